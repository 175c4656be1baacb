//! The other ways in: an API token, a proxy that is trusted, and being on the machine itself.

use std::net::{IpAddr, Ipv4Addr};

use agentpod::{config::AccessSettings, core::access::Role};
use time::Duration;

use super::stage::{Stage, behind, everybody, is_shut_out, known_as, person, starts};

#[tokio::test]
async fn an_api_token_lets_in_until_it_expires_is_revoked_or_its_account_is_disabled() {
    let stage = Stage::closed().await;
    let expires = stage.now() + Duration::days(90);
    let id = stage.token("olga", "agentpod_one", Some(expires)).await;
    stage.token("vera", "agentpod_two", None).await;
    let who = async |token: &str| stage.who(&[("authorization", &format!("Bearer {token}"))]).await;
    assert_eq!(who("agentpod_one").await.as_deref(), Some("olga Operator None Token"));
    assert_eq!(who("agentpod_two").await.as_deref(), Some("vera Viewer Some(\"alice\") Token"));
    let used = stage.store.api_tokens(Some("olga")).await.unwrap().remove(0).last_used;
    assert_eq!(used, Some(stage.now()));
    for wrong in ["agentpod_on", "agentpod_onee", "", "AGENTPOD_ONE"] {
        assert_eq!(who(wrong).await, None, "{wrong}");
    }
    let cookie = stage.sign_in("olga").await;
    let both = stage.get("/api/v1/who", &[("cookie", &cookie), ("authorization", "Bearer nonsense")]).await;
    is_shut_out(&both, "/api/v1/who");
    assert!(both.body.contains("agentpod account token"), "{}", both.body);
    stage.later(Duration::days(90));
    assert_eq!(who("agentpod_one").await, None, "expired");
    assert!(who("agentpod_two").await.is_some());
    stage.store.disable_account("vera", "the test", stage.now()).await.unwrap();
    assert_eq!(who("agentpod_two").await, None, "disabled");
    stage.store.enable_account("vera", "the test", stage.now()).await.unwrap();
    assert!(who("agentpod_two").await.is_some());
    assert_eq!(stage.store.revoke_api_token(id, "the test", stage.now()).await.unwrap().as_deref(), Some("olga"));
    assert_eq!(stage.store.revoke_api_token(id, "the test", stage.now()).await.unwrap(), None);
    let kinds = ["api_token_created", "api_token_revoked", "account_disabled"];
    for (kind, many) in kinds.into_iter().zip([2, 1, 1]) {
        assert_eq!(stage.events(kind).await.len(), many, "{kind}");
    }
}

#[tokio::test]
async fn a_proxys_word_is_taken_from_listed_addresses_only() {
    let named = [("remote-user", "paula"), ("remote-groups", "staff, admins")];
    let trusted = Stage::with(behind("127.0.0.0/8", &["admins"]), &[]).await;
    assert_eq!(trusted.who(&named).await.as_deref(), Some("paula Operator None Proxy"));
    assert_eq!(trusted.who(&named[..1]).await.as_deref(), Some("paula Viewer None Proxy"));
    assert_eq!(
        trusted.who(&[named[0], ("remote-groups", "admins2,noadmins")]).await.unwrap(),
        "paula Viewer None Proxy"
    );
    assert_eq!(trusted.who(&[]).await, None, "nobody is let in for being on the machine");
    let twice = [("remote-user", "paula"), ("remote-user", "olga")];
    assert_eq!(trusted.who(&twice).await, None, "the proxy did not replace the header");
    let write = async |more: &[(&str, &str)]| {
        trusted.ask("POST", "/api/v1/restart/alice", &[&named, more].concat(), "").await.status
    };
    assert_eq!(write(&[("origin", "https://evil.example")]).await, 403, "a browser sends the proxy's cookie by itself");
    assert_eq!(write(&[("origin", &trusted.origin()), ("sec-fetch-site", "same-origin")]).await, 200);

    let elsewhere = Stage::with(behind("10.0.0.0/8", &["admins"]), &[]).await;
    assert_eq!(elsewhere.who(&named).await, None);
    assert_eq!(elsewhere.who(&[&named[..], &[("x-forwarded-for", "10.0.0.1")]].concat()).await, None);
    let without = Stage::closed().await;
    assert_eq!(without.who(&named).await, None, "and from nobody when it is not set up");
}

#[tokio::test]
async fn somebody_a_proxy_names_has_the_role_of_their_account_and_not_more_by_their_groups() {
    let stage = Stage::with(behind("127.0.0.1", &["admins"]), &everybody()).await;
    let who = async |name| stage.who(&[("remote-user", name), ("remote-groups", "admins")]).await;
    assert_eq!(who("vera").await.as_deref(), Some("vera Viewer Some(\"alice\") Proxy"));
    assert_eq!(who("paula").await.as_deref(), Some("paula Operator None Proxy"));
    assert_eq!(who("Vera").await, who("vera").await, "who writes the name otherwise keeps their tenant");
    stage.store.disable_account("vera", "the test", stage.now()).await.unwrap();
    for name in ["vera", "VERA"] {
        assert_eq!(who(name).await, None, "{name}");
    }
    assert_eq!(who("<script>").await.as_deref(), Some("<script> Operator None Proxy"), "escaping is for pages");
    assert_eq!(who(&"x".repeat(129)).await, None);
}

#[tokio::test]
async fn without_accounts_whoever_is_on_the_machine_is_an_operator_until_the_first_account_is_made() {
    let stage = Stage::open().await;
    assert_eq!(stage.who(&[]).await.as_deref(), Some("local Operator None Loopback"));
    assert_eq!(stage.get("/", &[]).await.header("location"), "/dashboard");
    assert_eq!(stage.get("/api/v1/status", &[]).await.status, 200);
    assert_eq!(stage.ask("POST", "/api/v1/restart/alice", &[], "").await.status, 200);
    let olga = person("olga", Role::Operator, None);
    assert!(stage.store.add_account(&olga, None, "the test", stage.now()).await.unwrap());
    for path in ["/api/v1/who", "/api/v1/status", "/dashboard"] {
        is_shut_out(&stage.get(path, &[]).await, path);
    }
    assert_eq!(stage.get("/", &[]).await.status, 200, "the sign-in");
}

#[tokio::test]
async fn without_accounts_no_other_name_other_page_or_proxy_gets_in() {
    let stage = Stage::open().await;
    let port = stage.server.address.port();
    for host in ["evil.example", "localhost.evil.example", "alice.localhost", "10.0.0.1", ""] {
        let host = format!("{host}:{port}");
        for path in ["/", "/dashboard", "/api/v1/who", "/metrics"] {
            let answer = stage.get(path, &[("host", &host)]).await;
            assert_eq!(answer.status, 403, "{host} {path}: {}", answer.body);
        }
        assert_eq!(stage.get("/healthz", &[("host", &host)]).await.status, 200);
    }
    for host in ["localhost", "127.0.0.1", "[::1]", "LOCALHOST"] {
        assert!(stage.who(&[("host", &format!("{host}:{port}"))]).await.is_some(), "{host}");
    }
    for passed_on in ["x-forwarded-for", "x-forwarded-host", "forwarded", "x-real-ip"] {
        assert_eq!(stage.who(&[(passed_on, "127.0.0.1")]).await, None, "{passed_on}");
    }
    for told in [("origin", "http://evil.example"), ("origin", "http://localhost:1"), ("sec-fetch-site", "cross-site")]
    {
        assert_eq!(stage.ask("POST", "/api/v1/restart/alice", &[told], "").await.status, 403, "{told:?}");
    }
    let named = Stage::with(known_as("http://pods.localhost:8080"), &[]).await;
    assert!(named.who(&[("host", "pods.localhost:8080")]).await.is_some());
}

#[tokio::test]
async fn figures_are_for_this_machine_and_for_whom_sees_all() {
    let stage = Stage::closed().await;
    // The gate lets it through; what stands behind is not of this test.
    let is_let_in = async |headers: &[(&str, &str)]| !matches!(stage.get("/metrics", headers).await.status, 401 | 403);
    assert!(is_let_in(&[]).await, "a scraper on this machine");
    assert!(!is_let_in(&[("x-forwarded-for", "203.0.113.7")]).await, "somebody behind a proxy on this machine");
    assert!(!is_let_in(&[("host", "pods.example.com")]).await);
    stage.token("victor", "agentpod_v", None).await;
    stage.token("vera", "agentpod_a", None).await;
    let behind_a_proxy = ("x-forwarded-for", "203.0.113.7");
    assert!(is_let_in(&[behind_a_proxy, ("authorization", "Bearer agentpod_v")]).await);
    assert!(!is_let_in(&[behind_a_proxy, ("authorization", "Bearer agentpod_a")]).await, "a tenant's person");
}

#[tokio::test]
async fn nothing_is_served_beyond_this_machine_when_nobody_could_sign_in() {
    let everywhere: IpAddr = Ipv4Addr::UNSPECIFIED.into();
    let here: IpAddr = Ipv4Addr::LOCALHOST.into();
    let operator = [person("olga", Role::Operator, None)];
    let why = starts(everywhere, AccessSettings::default(), &[]).await.unwrap_err();
    for part in ["0.0.0.0:7070", "agentpod account add", "--forward-auth-header", "127.0.0.1"] {
        assert!(why.contains(part), "{part:?} is missing in {why}");
    }
    let why = starts(here, known_as("https://pods.example.com"), &[]).await.unwrap_err();
    assert!(why.contains("https://pods.example.com") && why.contains("agentpod account add"), "{why}");
    assert_eq!(starts(everywhere, AccessSettings::default(), &operator).await, Ok(()));
    assert_eq!(starts(everywhere, behind("10.0.0.0/8", &[]), &[]).await, Ok(()));
    assert_eq!(starts(here, known_as("https://pods.example.com"), &operator).await, Ok(()));
    assert_eq!(starts(here, known_as("http://pods.localhost:8080"), &[]).await, Ok(()));
    assert_eq!(starts("::1".parse().unwrap(), AccessSettings::default(), &[]).await, Ok(()));
}

#[tokio::test]
async fn what_goes_on_after_its_request_can_ask_whether_its_visitor_is_still_in() {
    let stage = Stage::with(behind("127.0.0.1", &[]), &everybody()).await;
    let (olga, victor) = (stage.sign_in("olga").await, stage.sign_in("victor").await);
    let id = stage.token("alan", "agentpod_alan", None).await;
    let mut seen = Vec::new();
    for headers in [
        ("cookie", olga.as_str()),
        ("cookie", victor.as_str()),
        ("authorization", "Bearer agentpod_alan"),
        ("remote-user", "vera"),
        ("remote-user", "paula"),
    ] {
        assert!(stage.who(&[headers]).await.is_some(), "{headers:?}");
        seen.push(stage.last_seen());
    }
    let still = async || {
        let mut still = Vec::new();
        for visitor in &seen {
            still.push(stage.server.auth.is_admitted(visitor).await);
        }
        still
    };
    assert_eq!(still().await, [true; 5]);
    let soon = std::time::Duration::from_millis(10);
    for visitor in &seen {
        let out = stage.server.auth.until_not_admitted(visitor, soon);
        assert!(tokio::time::timeout(10 * soon, out).await.is_err(), "{} is let in", visitor.person.name);
    }
    stage.store.set_password("olga", "$argon2id$", "the test", stage.now()).await.unwrap();
    stage.store.revoke_api_token(id, "the test", stage.now()).await.unwrap();
    stage.store.disable_account("vera", "the test", stage.now()).await.unwrap();
    assert_eq!(still().await, [false, true, false, false, true]);
    for number in [0, 2, 3] {
        stage.server.auth.until_not_admitted(&seen[number], soon).await;
    }
    stage.later(Duration::days(8));
    assert_eq!(still().await, [false, false, false, false, true]);

    let open = Stage::open().await;
    open.who(&[]).await.unwrap();
    assert!(open.server.auth.is_admitted(&open.last_seen()).await);
    assert!(open.store.add_account(&everybody()[0], None, "the test", open.now()).await.unwrap());
    assert!(!open.server.auth.is_admitted(&open.last_seen()).await);
}
