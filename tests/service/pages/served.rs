//! Pages as they are served.

use agentpod::{core::report::phase::Phase, dashboard::assets};

use crate::testkit::{
    dashboard::{ALAN, OLGA, VICTOR},
    declared::Declared,
    pages::{MARKUP, Stage, TENANTS},
};

const PAGES: [&str; 17] = [
    "/dashboard",
    "/dashboard/pods",
    "/dashboard/pods?phase=attention&sort=-age&q=a&tenant=alice&adapter=echo",
    "/dashboard/pods/new",
    "/dashboard/pods/new?adapter=openclaw&tenant=alice",
    "/dashboard/pods/alice/assistant",
    "/dashboard/pods/alice/assistant/logs",
    "/dashboard/tenants",
    "/dashboard/tenants?q=ali",
    "/dashboard/tenants/alice",
    "/dashboard/events",
    "/dashboard/events?severity=warning&kind=exited&tenant=alice&since=24h",
    "/dashboard/account",
    "/dashboard/adapters",
    "/dashboard/source",
    "/dashboard/revisions/2",
    "/dashboard/settings",
];

/// What belongs to no tenant alone.
const EVERYBODYS: [&str; 5] = [
    "/dashboard/adapters",
    "/dashboard/source",
    "/dashboard/settings",
    "/dashboard/pods/new",
    "/dashboard/revisions/2",
];

#[tokio::test]
async fn every_page_answers_over_an_empty_store_and_over_a_full_one() {
    let stage = Stage::new().await;
    for page in PAGES.into_iter().filter(|page| !page.contains("adapter=openclaw") && !page.contains("revisions")) {
        stage.page(page, OLGA).await;
    }
    stage.checked(TENANTS).await;
    stage.is("alice/assistant", Phase::Running, "ProbeSucceeded", "it answers").await;
    stage.tells("alice/assistant", "its container ended").await;
    for page in PAGES {
        let text = stage.page(page, OLGA).await;
        assert!(text.contains("<main") && text.trim_end().ends_with("</html>"), "{page}");
        stage.page(page, VICTOR).await;
    }
}

#[tokio::test]
async fn what_is_not_there_is_404_and_says_so_on_a_page() {
    let stage = Stage::new().await;
    for path in [
        "/dashboard/nowhere",
        "/dashboard/pods/alice/none",
        "/dashboard/pods/alice/none/logs",
        "/dashboard/pods/UPPER/case",
        "/dashboard/pods/alice/assistant/else",
        "/dashboard/tenants/nobody",
        "/dashboard/pods/new?adapter=none",
        "/assets/app-0000000000.css",
    ] {
        let answer = stage.get(path, OLGA).await;
        assert_eq!(answer.status, 404, "{path}");
    }
    let page = stage.get("/dashboard/nowhere", OLGA).await.body;
    assert!(
        page.contains("There is no such page.") && page.contains("href=\"&#x2f;dashboard&#x2f;pods\""),
        "it has the navigation: {page}"
    );
}

#[tokio::test]
async fn a_tenants_person_sees_that_tenants_pages_and_no_others() {
    let stage = Stage::new().await;
    stage.checked(TENANTS).await;
    stage.tells("bob/helper", "only for bob").await;
    for page in EVERYBODYS {
        let answer = stage.get(page, ALAN).await;
        assert!(answer.status == 403 && answer.body.contains("<nav class=\"tabs\""), "{page}: {}", answer.body);
    }
    for path in ["/dashboard/pods/bob/helper", "/dashboard/pods/bob/helper/logs", "/dashboard/tenants/bob"] {
        assert_eq!(stage.get(path, ALAN).await.status, 404, "{path}");
    }
    for page in ["/dashboard", "/dashboard/pods", "/dashboard/tenants", "/dashboard/tenants/alice"] {
        let text = stage.page(page, ALAN).await;
        assert!(!text.contains("bob") && !text.contains("/dashboard/source"), "{page}: {text}");
    }
    assert!(stage.page("/dashboard/pods", OLGA).await.contains("bob/"));
}

#[tokio::test]
async fn names_and_messages_with_markup_in_them_stay_text() {
    let stage =
        Stage::with(&Declared::tenants().pod("alice/assistant", "subdomain: alice, config: {greeting: \"<b>&\"}"))
            .await;
    stage.checked(TENANTS).await;
    stage.is("alice/assistant", Phase::Held, "ProbeSucceeded", MARKUP).await;
    stage.tells("alice/assistant", MARKUP).await;
    let quoted = url(MARKUP);
    for page in [
        "/dashboard".to_owned(),
        "/dashboard/pods/alice/assistant".into(),
        "/dashboard/source".into(),
        format!(
            "/dashboard/pods?q={quoted}&tenant={quoted}&phase={quoted}&adapter={quoted}&sort={quoted}&after={quoted}"
        ),
        format!("/dashboard/tenants?q={quoted}"),
        format!("/dashboard/pods/new?adapter=echo&tenant={quoted}"),
        format!("/dashboard?requested={quoted}"),
    ] {
        let text = stage.page(&page, OLGA).await;
        assert!(!text.contains("<img") && !text.contains("<b>&"), "{page}");
        assert!(!text.contains("javascript:") && !text.contains(" onerror=alert(1)>"), "{page}");
    }
    let body = format!(
        "adapter=echo&tenant={quoted}&name={quoted}&subdomain={quoted}&config.greeting={quoted}&secrets={quoted}"
    );
    let answer = stage.ask("POST", "/dashboard/pods/new", OLGA, &body).await;
    assert!(answer.status == 200 && !answer.body.contains("<img"), "{}", answer.body);
}

#[tokio::test]
async fn without_a_script_lists_are_filtered_sorted_and_paged_by_their_address() {
    let mut declared = Declared::tenants();
    for number in 0..60 {
        declared = declared.pod(&format!("alice/n{number:02}"), &format!("subdomain: n{number:02}"));
    }
    let stage = Stage::with(&declared).await;
    stage.is("alice/n07", Phase::Unhealthy, "ProbeFailed", "it does not answer").await;
    let names = async |path: &str| -> Vec<String> {
        let text = stage.page(path, OLGA).await.replace("&#x2f;", "/");
        text.split("data-pod=\"").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
    };
    let first = names("/dashboard/pods").await;
    assert_eq!((first.len(), first[0].as_str(), first[49].as_str()), (50, "alice/n00", "alice/n49"));
    let text = stage.page("/dashboard/pods?sort=name", OLGA).await;
    let next = text
        .split("rel=\"next\" href=\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap()
        .replace("&amp;", "&")
        .replace("&#x2f;", "/");
    let rest = names(&next).await;
    assert_eq!((rest.len(), rest[0].as_str()), (10, "alice/n50"));
    assert_eq!(names("/dashboard/pods?sort=-name").await[0], "alice/n59");
    assert_eq!(names("/dashboard/pods?phase=attention").await, ["alice/n07"]);
    assert_eq!(names("/dashboard/pods?q=n4").await.len(), 10);
    assert_eq!(names("/dashboard/pods?tenant=bob").await.len(), 0);
    assert!(stage.page("/dashboard/pods?tenant=bob", OLGA).await.contains("No pod matches"));
}

#[tokio::test]
async fn nothing_on_a_page_needs_more_than_its_policy_allows() {
    let stage = Stage::new().await;
    stage.checked(TENANTS).await;
    for page in PAGES {
        let answer = stage.get(page, OLGA).await;
        assert!(answer.header("content-security-policy").contains("script-src 'self'; style-src 'self'"), "{page}");
        let text = answer.body;
        assert!(!text.contains(" style=") && !text.contains("<style") && !text.contains(" onclick="), "{page}");
        let scripts: Vec<&str> = text.split("<script").skip(1).collect();
        assert!(
            scripts.iter().all(|script| script.starts_with(" type=\"module\" src=\"&#x2f;assets")
                || script.starts_with(" type=\"module\" src=\"/assets")),
            "{page}"
        );
    }
}

#[tokio::test]
async fn assets_are_kept_for_ever_under_their_hash_and_need_no_sign_in() {
    let stage = Stage::new().await;
    for asset in assets::all() {
        let answer = stage.get(&asset.path(), "").await;
        assert_eq!((answer.status, answer.header("content-type")), (200, asset.kind), "{}", asset.file);
        assert_eq!(answer.header("cache-control"), "public, max-age=31536000, immutable");
        assert_eq!(answer.bytes, asset.bytes);
    }
}

#[tokio::test]
async fn the_first_view_of_a_large_fleet_is_under_200_kb_with_everything_it_needs() {
    let mut declared = Declared::tenants();
    for number in 0..300 {
        declared = declared.pod(&format!("alice/agent-{number}"), &format!("subdomain: agent-{number}"));
    }
    let stage = Stage::with(&declared).await;
    for number in 0..60 {
        stage
            .is(&format!("alice/agent-{number}"), Phase::Held, "SecretMissing", &"a long sentence about why ".repeat(8))
            .await;
    }
    let files: usize = assets::all().map(|asset| asset.bytes.len()).sum();
    for page in ["/dashboard", "/dashboard/pods"] {
        let size = stage.page(page, OLGA).await.len() + files;
        assert!(size < 200_000, "{page}: {size} bytes");
    }
}

fn url(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}
