//! What people ask for by the buttons of a page.

use agentpod::core::{
    decide::{
        request::{EndedRequest, RequestSpec},
        request_kind::{RequestArgument, RequestKind},
    },
    report::phase::Phase,
};

use time::OffsetDateTime;

use crate::testkit::{
    dashboard::{ALAN, OLGA, VICTOR},
    declared::{Declared, pod},
    pages::Stage,
    rows,
};

const ASK: &str = "/dashboard/requests";

#[tokio::test]
async fn a_button_becomes_a_request_and_leads_back_with_a_message() {
    let stage = Stage::new().await;
    let answer =
        stage.ask("POST", ASK, OLGA, "kind=restart&pod=alice/assistant&back=/dashboard/pods/alice/assistant").await;
    assert_eq!((answer.status, answer.header("location")), (303, "/dashboard/pods/alice/assistant?requested=1"));
    let open = stage.store.open_requests().await.unwrap();
    assert_eq!(open[0].request.what, RequestSpec::Restart { pod: pod("alice/assistant") });
    assert_eq!(open[0].request.actor, "olga");
    let page = stage.page("/dashboard/pods/alice/assistant?requested=1", OLGA).await;
    assert!(page.contains("Restart requested") && page.contains("requested by olga"));
    assert!(page.contains("not reachable while it starts again"), "it asks first: {page}");
    // Once it was carried out the page says so, and only to whoever may see the pod.
    let request = open[0].request.clone();
    let done = EndedRequest { id: 1, request, outcome: "restarted alice_assistant-1".into(), done: true };
    stage.store.end_requests(&[done], &Default::default(), OffsetDateTime::now_utc()).await.unwrap();
    let page = stage.page("/dashboard/pods/alice/assistant?requested=1", OLGA).await;
    assert!(page.contains("is done: restarted alice_assistant-1") && !page.contains("Restart requested"), "{page}");
    assert!(!stage.page("/dashboard?requested=99", OLGA).await.contains("is done"));
}

#[tokio::test]
async fn a_pod_is_opened_by_whom_may_and_only_while_it_has_a_container_and_an_agentpod_leads() {
    let stage = Stage::new().await;
    stage.checked(crate::testkit::pages::TENANTS).await;
    const OPEN: &str = "/dashboard/pods/bob/helper/open";
    assert!(!stage.page("/dashboard/pods/bob/helper", OLGA).await.contains("/open\""), "it has no container");
    stage.is("bob/helper", Phase::Running, "ProbeSucceeded", "it answers").await;
    assert!(stage.page("/dashboard/pods/bob/helper", OLGA).await.contains("helper/open\""));
    assert!(!stage.page("/dashboard/pods/bob/helper", VICTOR).await.contains("helper/open\""));
    // Only the AgentPod that leads reaches agents, and this one does not.
    let answer = stage.ask("POST", OPEN, OLGA, "").await;
    assert!(answer.status == 503 && answer.body.contains("does not reach agents"), "{}", answer.body);
    for (token, status) in [(VICTOR, 403), (ALAN, 404), ("", 303)] {
        assert_eq!(stage.ask("POST", OPEN, token, "").await.status, status);
    }
}

#[tokio::test]
async fn a_pause_can_last_until_somebody_ends_it() {
    let stage = Stage::new().await;
    let body = "kind=pause&for=resumed&pod=alice/assistant&back=/dashboard/pods/alice/assistant";
    assert_eq!(stage.ask("POST", ASK, OLGA, body).await.status, 303);
    let open = stage.store.open_requests().await.unwrap();
    assert_eq!(open[0].request.what, RequestSpec::Pause { pod: pod("alice/assistant"), until: None });
    let page = stage.page("/dashboard/pods/alice/assistant", OLGA).await;
    assert!(page.contains("Paused until somebody resumes it"), "{page}");
}

#[tokio::test]
async fn a_pause_is_shown_with_its_end_and_can_be_ended() {
    let stage = Stage::new().await;
    let answer = stage
        .ask("POST", ASK, ALAN, "kind=pause&for=1h&pod=alice/assistant&back=/dashboard/pods/alice/assistant")
        .await;
    assert_eq!(answer.status, 303);
    let page = stage.page("/dashboard/pods/alice/assistant", ALAN).await;
    assert!(page.contains("Paused until") && page.contains("value=\"resume\"") && !page.contains("value=\"pause\""));
    let answer = stage.ask("POST", ASK, ALAN, "kind=pause&for=1h&pod=alice/assistant").await;
    assert_eq!(answer.status, 409, "it is paused already");
    assert!(answer.body.contains("already paused"));
    assert_eq!(stage.ask("POST", ASK, ALAN, "kind=resume&pod=alice/assistant").await.status, 303);
}

#[tokio::test]
async fn a_held_plan_is_approved_by_its_hash() {
    let stage = Stage::new().await;
    let message = "9 of 48 pods would go at once; agentpod approve 5d0c41aa90f3 lets them go";
    stage.is("bob/helper", Phase::Held, "TooManyRemovals", message).await;
    let page = stage.page("/dashboard/source", OLGA).await;
    assert!(
        page.contains("The removal of 1 pod waits for approval") && page.contains("value=\"5d0c41aa90f3\""),
        "{page}"
    );
    assert!(!stage.page("/dashboard/source", VICTOR).await.contains("value=\"approve\""));
    assert_eq!(stage.ask("POST", ASK, OLGA, "kind=approve&plan=5d0c41aa90f3").await.status, 303);
    let page = stage.page("/dashboard/source", OLGA).await;
    assert!(page.contains("by olga") && !page.contains("value=\"approve\""));
}

#[tokio::test]
async fn held_removals_are_one_banner_on_the_overview_with_a_link_and_a_button_and_no_rows() {
    let mut declared = Declared::tenants();
    for number in 0..12 {
        declared = declared.pod(&format!("alice/n{number:02}"), &format!("subdomain: n{number:02}"));
    }
    let stage = Stage::with(&declared.pod("bob/down", "subdomain: down")).await;
    let message = "12 of 13 pods would go at once; agentpod approve 5d0c41aa90f3 lets them go";
    for number in 0..12 {
        stage.is(&format!("alice/n{number:02}"), Phase::Held, "TooManyRemovals", message).await;
    }
    stage.is("bob/down", Phase::Unhealthy, "ProbeFailed", "it does not answer").await;
    let page = stage.page("/dashboard", OLGA).await;
    assert_eq!(page.matches("The removal of 12 pods waits for approval").count(), 1, "{page}");
    assert_eq!(page.matches("data-pod=").count(), 1, "only the pod that is down needs attention");
    assert!(page.contains("value=\"5d0c41aa90f3\"") && page.contains("Open the source"), "{page}");
    let page = stage.page("/dashboard", VICTOR).await;
    assert!(page.contains("waits for approval") && !page.contains("value=\"approve\""), "{page}");
    let overview = stage.store.view(&rows::anybody()).overview().await.unwrap();
    assert_eq!((overview.needs_attention_count, overview.held_removals.unwrap().count), (1, 12));
    let source = overview.source.unwrap();
    assert_eq!((source.health.to_string().as_str(), source.needs_attention), ("degraded", 1));
}

#[tokio::test]
async fn a_person_without_permission_is_refused_and_sees_no_button() {
    let stage = Stage::new().await;
    for (token, body, status) in [
        (VICTOR, "kind=restart&pod=alice/assistant", 403),
        (VICTOR, "kind=sync", 403),
        (ALAN, "kind=sync", 403),
        (ALAN, "kind=approve&plan=5d0c41aa90f3", 403),
        (ALAN, "kind=restart&pod=bob/helper", 403),
        (OLGA, "kind=restart&pod=alice/none", 404),
        (OLGA, "kind=restart&pod=<b>", 400),
        (OLGA, "kind=pause&for=forever&pod=alice/assistant", 400),
        (OLGA, "kind=pause&for=0s&pod=alice/assistant", 400),
        (OLGA, "kind=pause&for=9000h&pod=alice/assistant", 400),
        (OLGA, "kind=restart&pod=alice/idle", 409),
        (OLGA, "kind=approve&plan=nonsense", 409),
        (OLGA, "kind=purge", 400),
    ] {
        assert_eq!(stage.ask("POST", ASK, token, body).await.status, status, "{body}");
    }
    assert!(stage.store.open_requests().await.unwrap().is_empty());
    assert!(!stage.page("/dashboard/pods/alice/assistant", VICTOR).await.contains("value=\"restart\""));
    assert!(!stage.page("/dashboard", ALAN).await.contains("value=\"sync\""));
}

#[tokio::test]
async fn after_asking_nobody_is_led_to_another_site() {
    let stage = Stage::new().await;
    let mut number = 0;
    for back in
        ["//evil.example", "https://evil.example", "/\\evil.example", "/login", "/dashboard?x=%0d%0aset-cookie:a"]
    {
        number += 1;
        let answer = stage.ask("POST", ASK, OLGA, &format!("kind=sync&back={back}")).await;
        assert_eq!(
            (answer.status, answer.header("location")),
            (303, format!("/dashboard?requested={number}").as_str()),
            "{back}"
        );
    }
}

#[tokio::test]
async fn a_form_of_every_kind_is_stored_under_that_kind() {
    let stage = Stage::new().await;
    for kind in RequestKind::ALL {
        let body: String = kind
            .info()
            .takes
            .iter()
            .map(|takes| match takes {
                RequestArgument::Pod => "&pod=alice/assistant",
                RequestArgument::Duration => "&for=1h",
                RequestArgument::Plan => "&plan=5d0c41aa90f3",
            })
            .collect();
        let answer = stage.ask("POST", ASK, OLGA, &format!("kind={kind}{body}")).await;
        assert_eq!(answer.status, 303, "{kind}: {}", answer.body);
        let page = stage.page(answer.header("location"), OLGA).await;
        assert!(page.contains(kind.info().confirmation), "{kind}");
    }
    let stored: Vec<RequestKind> =
        stage.store.open_requests().await.unwrap().iter().map(|open| open.request.what.kind()).collect();
    assert_eq!(stored, RequestKind::ALL);
}
