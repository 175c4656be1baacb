//! Guessing passwords: slow, counted and seen, and no way to learn which names there are.

use time::Duration;

use super::stage::{PASSWORD, Stage, everybody, known_as};

#[tokio::test]
async fn after_ten_failures_an_account_waits_also_for_the_right_password_and_others_do_not() {
    let stage = Stage::closed().await;
    for _ in 0..10 {
        let answer = stage.try_sign_in("olga", "not the password", &[]).await;
        assert_eq!((answer.status, answer.header("set-cookie")), (401, ""));
        assert!(answer.body.contains("The name or the password is wrong."), "{}", answer.body);
    }
    for password in ["not the password", PASSWORD] {
        let answer = stage.try_sign_in("olga", password, &[]).await;
        assert_eq!((answer.status, answer.header("retry-after"), answer.header("set-cookie")), (429, "601", ""));
        assert!(answer.body.contains("Too many attempts."), "{}", answer.body);
    }
    stage.sign_in("victor").await;
    let failed = stage.events("sign_in_failed").await;
    assert_eq!(failed, [(10, "a sign-in as olga failed".into())], "one line, counted");
    stage.later(Duration::minutes(10));
    stage.sign_in("olga").await;
}

#[tokio::test]
async fn many_tries_at_a_time_are_many() {
    let stage = Stage::closed().await;
    let tries = (0..40).map(|_| stage.try_sign_in("olga", "not the password", &[]));
    let answers = futures_util::future::join_all(tries).await;
    let looked_at = answers.iter().filter(|answer| answer.status == 401).count();
    assert!((1..=10).contains(&looked_at), "{looked_at} passwords were looked at");
}

#[tokio::test]
async fn a_name_that_nobody_has_is_answered_alike_and_written_down_nowhere() {
    let stage = Stage::closed().await;
    let known = stage.try_sign_in("olga", "not the password", &[]).await;
    let unknown = stage.try_sign_in("hunter2", "not the password", &[]).await;
    assert_eq!((unknown.status, &unknown.body.replace("hunter2", "olga")), (known.status, &known.body));
    let failed = stage.events("sign_in_failed").await;
    assert_eq!(failed[1..], [(1, "a sign-in with an unknown name failed".into())]);
    assert!(!stage.dump().await.contains("hunter2"), "it may be a password in the wrong field");
}

#[tokio::test]
async fn an_address_waits_whatever_names_it_tries_and_nobody_talks_their_way_to_another_address() {
    let stage = Stage::closed().await;
    for number in 0..30 {
        let lie = format!("203.0.113.{number}");
        let answer = stage.try_sign_in(&format!("name{number}"), "x", &[("x-forwarded-for", &lie)]).await;
        assert_eq!(answer.status, 401);
    }
    assert_eq!(stage.try_sign_in("olga", PASSWORD, &[("x-forwarded-for", "203.0.113.99")]).await.status, 429);

    let trusted = agentpod::config::AccessSettings {
        trusted_proxies: vec!["127.0.0.1".parse().unwrap()],
        ..known_as("http://localhost")
    };
    let stage = Stage::with(trusted, &everybody()).await;
    for number in 0..30 {
        stage.try_sign_in(&format!("name{number}"), "x", &[("x-forwarded-for", "198.51.100.1, 203.0.113.7")]).await;
    }
    let from = async |address| stage.try_sign_in("olga", PASSWORD, &[("x-forwarded-for", address)]).await.status;
    assert_eq!((from("203.0.113.7").await, from("203.0.113.8").await), (429, 303), "a trusted proxy says who is who");
}

#[tokio::test]
async fn a_name_that_the_database_does_not_take_is_no_name() {
    let stage = Stage::closed().await;
    assert_eq!(stage.try_sign_in("ol\0ga", PASSWORD, &[]).await.status, 400);
}
