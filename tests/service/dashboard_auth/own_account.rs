//! What people do with their own account: its password and its API tokens.

use super::stage::{FORM, PASSWORD, Stage, form};

const PAGE: &str = "/dashboard/account";

async fn send(stage: &Stage, cookie: &str, fields: &[(&str, &str)]) -> crate::testkit::http::Answer {
    let csrf = stage.csrf(cookie).await;
    let fields: Vec<_> = [("csrf", csrf.as_str())].into_iter().chain(fields.iter().copied()).collect();
    stage.ask("POST", PAGE, &[("cookie", cookie), ("content-type", FORM)], &form(&fields)).await
}

#[tokio::test]
async fn whoever_knows_the_current_password_changes_it_and_signs_in_anew() {
    let stage = Stage::closed().await;
    let (cookie, other) = (stage.sign_in("victor").await, stage.sign_in("victor").await);
    let new = "four blue words more";
    for (current, first, again, why) in [
        ("wrong", new, new, "The current password is wrong."),
        (PASSWORD, new, "something else", "The two new passwords differ."),
        (PASSWORD, "short", "short", "fewer than 12 characters"),
    ] {
        let fields = [("do", "password"), ("current", current), ("new", first), ("again", again)];
        let answer = send(&stage, &cookie, &fields).await;
        assert!(answer.status == 400 && answer.body.contains(why), "{}: {}", answer.status, answer.body);
    }
    let fields = [("do", "password"), ("current", PASSWORD), ("new", new), ("again", new)];
    let answer = send(&stage, &cookie, &fields).await;
    assert_eq!((answer.status, answer.header("location")), (303, "/"));
    for ended in [&cookie, &other] {
        assert_eq!(stage.who(&[("cookie", ended)]).await, None);
    }
    assert_eq!(stage.try_sign_in("victor", PASSWORD, &[]).await.status, 401);
    assert_eq!(stage.try_sign_in("victor", new, &[]).await.status, 303);
}

#[tokio::test]
async fn an_own_token_is_shown_once_works_and_is_revoked() {
    let stage = Stage::closed().await;
    let cookie = stage.sign_in("alan").await;
    let made = send(&stage, &cookie, &[("do", "token"), ("purpose", "a script"), ("days", "7")]).await;
    assert_eq!(made.status, 200, "{}", made.body);
    let token = made.body.split("<code>agp_").nth(1).and_then(|rest| rest.split('<').next()).expect("it is shown");
    let bearer = format!("Bearer agp_{token}");
    let shown = stage.who(&[("authorization", &bearer)]).await;
    assert_eq!(shown.as_deref(), Some("alan Operator Some(\"alice\") Token"));
    let page = stage.get(PAGE, &[("cookie", &cookie)]).await.body;
    assert!(page.contains("a script") && !page.contains(token), "only once: {page}");
    // A token cannot make further ones, and nobody revokes another's.
    let by_token = [("authorization", bearer.as_str()), ("content-type", FORM)];
    assert_eq!(stage.ask("POST", PAGE, &by_token, "do=token&days=7").await.status, 403);
    let olga = stage.sign_in("olga").await;
    assert_eq!(send(&stage, &olga, &[("do", "revoke"), ("id", "1")]).await.status, 404);
    assert_eq!(send(&stage, &cookie, &[("do", "revoke"), ("id", "1")]).await.status, 200);
    assert_eq!(stage.who(&[("authorization", &bearer)]).await, None);
    for days in ["0", "9999", "many"] {
        assert_eq!(send(&stage, &cookie, &[("do", "token"), ("days", days)]).await.status, 400, "{days}");
    }
}
