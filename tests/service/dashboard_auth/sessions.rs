//! Signing in, and every way a session ends.

use time::Duration;

use super::stage::{FORM, PASSWORD, Stage, everybody, form, is_shut_out, known_as};
use agentpod::core::event::EventKind;

#[tokio::test]
async fn once_there_is_an_account_nothing_is_shown_to_whoever_did_not_sign_in() {
    let stage = Stage::closed().await;
    for path in [
        "/dashboard",
        "/dashboard/csrf",
        "/dashboard/forgetful",
        "/api/v1/status",
        "/api/v1/busy",
        "/api/v1/who",
        "/nowhere",
        "/api/v1/nowhere",
        "/logout",
    ] {
        for cookie in ["", "agentpod_session=", "agentpod_session=made-up", "__Host-agentpod=made-up"] {
            is_shut_out(&stage.get(path, &[("cookie", cookie)]).await, path);
        }
        is_shut_out(&stage.ask("POST", path, &[], "").await, path);
    }
    assert_eq!(stage.get("/healthz", &[]).await.status, 200);
    assert_eq!(stage.get("/readyz", &[]).await.status, 200);
    assert_eq!(stage.ask("POST", "/hooks/git", &[], "").await.status, 404, "the webhook is not there, and not locked");
    let door = stage.get("/", &[]).await;
    assert!(door.status == 200 && door.body.contains("<form method=\"post\" action=\"/login\">"), "{}", door.body);
}

#[tokio::test]
async fn the_sign_in_leads_to_the_requested_page_and_to_no_other_site() {
    let stage = Stage::closed().await;
    let sent = stage.get("/dashboard/pods?sort=name&page=2", &[]).await;
    assert_eq!(sent.header("location"), "/?next=%2Fdashboard%2Fpods%3Fsort%3Dname%26page%3D2");
    let door = stage.get(sent.header("location"), &[]).await;
    assert!(door.body.contains("value=\"&#x2f;dashboard&#x2f;pods?sort=name&amp;page=2\""), "{}", door.body);
    let sign_in = async |next: &str| {
        let body = form(&[("name", "olga"), ("password", PASSWORD), ("next", next)]);
        let answer = stage.ask("POST", "/login", &[("content-type", FORM)], &body).await;
        assert_eq!(answer.status, 303);
        answer.header("location").to_owned()
    };
    assert_eq!(sign_in("/dashboard/pods?page=2").await, "/dashboard/pods?page=2");
    for elsewhere in ["//evil.example", "https://evil.example", "/\\evil.example", "/\r\nset-cookie: a=b"] {
        assert_eq!(sign_in(elsewhere).await, "/dashboard", "{elsewhere:?}");
        let door = stage.get(&format!("/?{}", form(&[("next", elsewhere)])), &[]).await;
        assert!(!door.body.contains("evil"), "{}", door.body);
    }
    let html = stage.get("/?next=/%22%3E%3Cscript%3Ealert(1)%3C/script%3E", &[]).await;
    assert!(!html.body.contains("<script>"), "{}", html.body);
    assert!(html.body.contains("&lt;script&gt;"), "what was asked for is kept, as text: {}", html.body);
}

#[tokio::test]
async fn whoever_signs_in_is_in_with_the_role_and_tenant_of_their_account() {
    let stage = Stage::closed().await;
    for (name, shown) in [
        ("olga", "olga Operator None Session"),
        ("victor", "victor Viewer None Session"),
        ("alan", "alan Operator Some(\"alice\") Session"),
    ] {
        let cookie = stage.sign_in(name).await;
        assert_eq!(stage.who(&[("cookie", &cookie)]).await.as_deref(), Some(shown));
        assert_eq!(stage.get("/", &[("cookie", &cookie)]).await.header("location"), "/dashboard");
    }
    let cookie = stage.sign_in("alan").await;
    let status = stage.get("/api/v1/status", &[("cookie", &cookie)]).await;
    assert_eq!(
        (status.status, status.header("content-type")),
        (403, "application/problem+json"),
        "it shows all tenants"
    );
    assert_eq!(
        stage.events("signed_in").await,
        [(1, "olga signed in".into()), (1, "victor signed in".into()), (2, "alan signed in".into())]
    );
}

#[tokio::test]
async fn a_cookie_is_for_the_server_alone_and_behind_tls_it_is_nobody_elses_to_set() {
    let stage = Stage::closed().await;
    let answer = stage.try_sign_in("olga", PASSWORD, &[]).await;
    let cookie = answer.header("set-cookie");
    assert!(cookie.starts_with("agentpod_session_test_"), "{cookie}");
    for part in ["; HttpOnly", "; SameSite=Lax", "; Path=/", "; Max-Age=604800"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(!cookie.contains("Secure") && !cookie.contains("Domain"), "{cookie}");
    assert_eq!(cookie.split(['=', ';']).nth(1).unwrap().len(), 43, "256 bits");

    let secure = Stage::with(known_as("https://pods.example.com"), &everybody()).await;
    let ours = [("host", "pods.example.com"), ("origin", "https://pods.example.com")];
    let answer = secure.try_sign_in("olga", PASSWORD, &ours).await;
    let cookie = answer.header("set-cookie");
    assert!(cookie.starts_with("__Host-agentpod_test_") && cookie.contains("; Secure"), "{cookie}");
    assert!(cookie.contains("; HttpOnly") && cookie.contains("; Path=/") && !cookie.contains("Domain"), "{cookie}");
    let sent = answer.cookie();
    assert!(secure.who(&[("cookie", &sent)]).await.is_some());
    assert_eq!(secure.who(&[("cookie", &sent.replace("__Host-agentpod_", "agentpod_session_"))]).await, None);
}

#[tokio::test]
async fn a_session_ends_when_it_is_not_used_and_after_a_week_in_any_case() {
    let stage = Stage::closed().await;
    let cookie = stage.sign_in("olga").await;
    let is_in = async || stage.who(&[("cookie", &cookie)]).await.is_some();
    stage.later(Duration::hours(11));
    assert!(is_in().await);
    stage.later(Duration::hours(11));
    assert!(is_in().await, "it was used in between");
    stage.later(Duration::hours(12));
    assert!(!is_in().await);

    let stage = Stage::closed().await;
    let cookie = stage.sign_in("olga").await;
    for _ in 0..15 {
        stage.later(Duration::hours(11));
        assert!(stage.who(&[("cookie", &cookie)]).await.is_some());
    }
    stage.later(Duration::hours(3));
    assert_eq!(stage.who(&[("cookie", &cookie)]).await, None, "a week is over");
}

#[tokio::test]
async fn signing_out_ends_the_session_and_no_other() {
    let stage = Stage::closed().await;
    let (cookie, other) = (stage.sign_in("olga").await, stage.sign_in("olga").await);
    assert_ne!(cookie, other);
    let csrf = stage.csrf(&cookie).await;
    let headers = [("cookie", cookie.as_str()), ("content-type", FORM)];
    assert_eq!(stage.ask("POST", "/logout", &headers, "").await.status, 403, "another page cannot sign somebody out");
    let out = stage.ask("POST", "/logout", &headers, &form(&[("csrf", &csrf)])).await;
    assert_eq!((out.status, out.header("location")), (303, "/"));
    let name = cookie.split('=').next().unwrap();
    let removed = out.header("set-cookie");
    assert!(removed.starts_with(&format!("{name}=;")) && removed.contains("Max-Age=0"), "{removed}");
    assert_eq!(stage.who(&[("cookie", &cookie)]).await, None, "also for whoever kept the cookie");
    assert!(stage.who(&[("cookie", &other)]).await.is_some());
    let viewer = stage.sign_in("victor").await;
    let csrf = stage.csrf(&viewer).await;
    let out = stage.ask("POST", "/logout", &[("cookie", &viewer), ("x-csrf-token", &csrf)], "").await;
    assert_eq!(out.status, 303, "a viewer may sign out, too");
}

#[tokio::test]
async fn two_dashboards_on_one_host_do_not_sign_each_other_out() {
    // Both are of the same instance. A browser keeps one cookie of each name, and sends all of them to every port.
    let stages = [Stage::closed().await, Stage::closed().await];
    let mut jar = std::collections::BTreeMap::new();
    for stage in &stages {
        let cookies = header_of(&jar);
        let answer = stage.try_sign_in("olga", PASSWORD, &[("cookie", &cookies)]).await;
        let (name, value) =
            answer.cookie().split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned())).unwrap();
        jar.insert(name, value);
    }
    for stage in &stages {
        assert!(stage.who(&[("cookie", &header_of(&jar))]).await.is_some(), "{jar:?}");
    }
}

fn header_of(jar: &std::collections::BTreeMap<String, String>) -> String {
    jar.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
}

#[tokio::test]
async fn signing_in_anew_ends_the_session_that_this_browser_had() {
    let stage = Stage::closed().await;
    let before = stage.sign_in("victor").await;
    let after = stage.try_sign_in("olga", PASSWORD, &[("cookie", &before)]).await.cookie();
    assert_ne!(before, after);
    assert_eq!(stage.who(&[("cookie", &before)]).await, None);
    assert!(stage.who(&[("cookie", &after)]).await.unwrap().starts_with("olga "));
}

#[tokio::test]
async fn the_sessions_of_an_account_that_is_disabled_removed_or_gets_another_password_end_at_once() {
    let stage = Stage::closed().await;
    let [olga, victor, alan] =
        [stage.sign_in("olga").await, stage.sign_in("victor").await, stage.sign_in("alan").await];
    stage.store.disable_account("olga", "the test", stage.now()).await.unwrap();
    stage.store.remove_account("victor", "the test", stage.now()).await.unwrap();
    stage.store.set_password("alan", "$argon2id$", "the test", stage.now()).await.unwrap();
    for cookie in [&olga, &victor, &alan] {
        assert_eq!(stage.who(&[("cookie", cookie)]).await, None);
    }
    assert_eq!(stage.try_sign_in("olga", PASSWORD, &[]).await.status, 401, "and nobody signs in by it");
    assert!(stage.store.enable_account("olga", "the test", stage.now()).await.unwrap());
    assert_eq!(stage.who(&[("cookie", &olga)]).await, None, "enabled again, the old session stays ended");
    stage.sign_in("olga").await;
    for kind in ["account_disabled", "account_removed", "account_enabled", "password_changed"] {
        assert_eq!(stage.events(kind).await.len(), 1, "{kind}");
    }
}

#[tokio::test]
async fn an_account_keeps_fifty_sessions_and_those_that_are_over_are_forgotten() {
    let stage = Stage::closed().await;
    let cookie = stage.sign_in("alan").await;
    let named = |id: &str| format!("{}={id}", cookie.split('=').next().unwrap());
    let mut first = String::new();
    for number in 0..51 {
        let id = format!("session-{number}").into();
        let event = agentpod::store::Event::of_none(EventKind::SignedIn, "olga signed in");
        let lifetime = agentpod::dashboard::auth::LIFETIME;
        assert!(stage.store.begin_session(&id, "olga", lifetime, &event, stage.now()).await.unwrap());
        stage.later(Duration::seconds(1));
        first = named(&format!("session-{number}"));
    }
    assert!(stage.who(&[("cookie", &first)]).await.is_some());
    assert_eq!(stage.who(&[("cookie", &named("session-0"))]).await, None);
    assert!(stage.who(&[("cookie", &named("session-1"))]).await.is_some());
    stage.later(Duration::days(8));
    stage.sign_in("victor").await;
    assert_eq!(stage.dump().await.matches("\"id_hash\"").count(), 1);
}
