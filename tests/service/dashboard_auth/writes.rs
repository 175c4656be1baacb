//! What changes something: only from our own pages, only by whom it is allowed.

use super::stage::{FORM, Stage, form};

const PATHS: [&str; 2] = ["/dashboard/restart/alice", "/api/v1/restart/alice"];

#[tokio::test]
async fn a_write_by_session_needs_the_token_that_its_page_was_given() {
    let stage = Stage::closed().await;
    let cookie = stage.sign_in("olga").await;
    let (csrf, again, other) =
        (stage.csrf(&cookie).await, stage.csrf(&cookie).await, stage.csrf(&stage.sign_in("olga").await).await);
    assert_ne!(csrf, again, "masked anew for each page");
    let session = ("cookie", cookie.as_str());
    for path in PATHS {
        for (token, status) in [("", 403), ("made-up", 403), (&other, 403), (&csrf, 200), (&again, 200)] {
            let header = stage.ask("POST", path, &[session, ("x-csrf-token", token)], "").await;
            assert_eq!(header.status, status, "{token}: {}", header.body);
            let field = form(&[("csrf", token), ("why", "because")]);
            let field = stage.ask("POST", path, &[session, ("content-type", FORM)], &field).await;
            assert_eq!(field.status, status, "{token}: {}", field.body);
            assert!(status == 403 || field.body == "done because", "{}", field.body);
        }
        assert_eq!(stage.ask("POST", path, &[session], "").await.status, 403);
        let json = format!("{{\"csrf\": \"{csrf}\"}}");
        let json = stage.ask("POST", path, &[session, ("content-type", "text/plain")], &json).await;
        assert_eq!(json.status, 403, "a field is one of a form");
    }
}

#[tokio::test]
async fn another_sites_page_can_neither_write_nor_sign_somebody_in_nor_open_a_socket() {
    let stage = Stage::closed().await;
    let cookie = stage.sign_in("olga").await;
    let csrf = stage.csrf(&cookie).await;
    let (session, token) = (("cookie", cookie.as_str()), ("x-csrf-token", csrf.as_str()));
    let ours = stage.origin();
    let neighbour = format!("http://127.0.0.1:{}", stage.server.address.port() ^ 1);
    for told in [
        ("origin", "https://evil.example"),
        ("origin", "null"),
        ("origin", neighbour.as_str()),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("sec-fetch-site", ""),
    ] {
        for path in PATHS {
            assert_eq!(stage.ask("POST", path, &[session, token, told], "").await.status, 403, "{told:?}");
        }
        let upgrade = [session, told, ("connection", "upgrade"), ("upgrade", "websocket")];
        assert_eq!(stage.get("/api/v1/who", &upgrade).await.status, 403, "{told:?}");
        let login = stage.try_sign_in("olga", super::stage::PASSWORD, &[told]).await;
        assert_eq!((login.status, login.header("set-cookie")), (403, ""), "{told:?}");
    }
    let twice = [session, token, ("origin", ours.as_str()), ("origin", "https://evil.example")];
    assert_eq!(stage.ask("POST", PATHS[1], &twice, "").await.status, 403);
    for path in PATHS {
        let own = [session, token, ("origin", ours.as_str()), ("sec-fetch-site", "same-origin")];
        assert_eq!(stage.ask("POST", path, &own, "").await.status, 200);
    }
}

#[tokio::test]
async fn a_viewer_writes_nothing_and_a_tenants_operator_only_for_their_tenant() {
    let stage = Stage::closed().await;
    for (name, alice, bob) in [("olga", 200, 200), ("victor", 403, 403), ("alan", 200, 403), ("vera", 403, 403)] {
        let cookie = stage.sign_in(name).await;
        let csrf = stage.csrf(&cookie).await;
        let token = format!("agentpod_of-{name}");
        stage.token(name, &token, None).await;
        let bearer = format!("Bearer {token}");
        for headers in [&[("cookie", cookie.as_str()), ("x-csrf-token", &csrf)][..], &[("authorization", &bearer)]] {
            let may_write = if alice == 200 { 200 } else { 403 };
            assert_eq!(stage.ask("POST", "/api/v1/careless", headers, "").await.status, may_write, "{name}");
            for (tenant, status) in [("alice", alice), ("bob", bob)] {
                let api = stage.ask("POST", &format!("/api/v1/restart/{tenant}"), headers, "").await;
                assert_eq!(api.status, status, "{name} {tenant}: {}", api.body);
                assert!(status == 200 || api.header("content-type") == "application/problem+json");
                let page = stage.ask("POST", &format!("/dashboard/restart/{tenant}"), headers, "").await;
                assert_eq!(page.status, status, "{name} {tenant}: {}", page.body);
                assert!(status == 200 || page.body.contains(">Forbidden</h1>"), "{}", page.body);
            }
        }
    }
}

#[tokio::test]
async fn a_refused_method_is_answered_with_exactly_the_methods_that_exist() {
    let stage = Stage::closed().await;
    stage.token("olga", "agentpod_t", None).await;
    let bearer = ("authorization", "Bearer agentpod_t");
    let paths = "/ /login /logout /healthz /readyz /metrics /dashboard /dashboard/pods /dashboard/requests /dashboard/pods/new \
                 /dashboard/pods/new/manifest /dashboard/pods/new/commit /api/v1/status /api/v1/busy /api/v1/watch \
                 /api/v1/pods /api/v1/requests";
    for path in paths.split(' ') {
        let refused = stage.ask("DELETE", path, &[bearer], "").await;
        assert_eq!(refused.status, 405, "{path}");
        let allowed: Vec<&str> = refused.header("allow").split(", ").collect();
        for method in ["GET", "HEAD", "POST"] {
            let status = stage.ask(method, path, &[bearer], "").await.status;
            if allowed.contains(&method) {
                assert_ne!(status, 405, "{method} {path} is refused and allowed: {allowed:?}");
            } else {
                assert!(
                    [404, 405].contains(&status),
                    "{method} {path} is answered {status} and not allowed: {allowed:?}"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_head_has_no_body_and_a_large_body_is_refused() {
    let stage = Stage::closed().await;
    stage.token("olga", "agentpod_t", None).await;
    let bearer = ("authorization", "Bearer agentpod_t");
    let head = stage.ask("HEAD", "/api/v1/who", &[bearer], "").await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    let large = "x".repeat((1 << 20) + 1);
    assert_eq!(stage.ask("POST", "/api/v1/restart/alice", &[bearer], &large).await.status, 413);
    assert_eq!(stage.ask("POST", "/login", &[("content-type", FORM)], &large[..20_000]).await.status, 413);
}
