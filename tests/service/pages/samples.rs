//! Every page with its sample. The pages are left in the target folder, to be looked at.

use std::{fs, path::Path};

use agentpod::dashboard::pages::{
    Frame, PageContent,
    account::AccountPage,
    adapters::AdaptersPage,
    document,
    events::EventsPage,
    fragment,
    logs::LogsPage,
    manifest::ManifestPage,
    new::{Committed, NewPodPage},
    open::OpenPage,
    overview::OverviewPage,
    pod::PodPage,
    pods::PodsPage,
    problem::ProblemPage,
    revision::RevisionPage,
    settings::SettingsPage,
    source::SourcePage,
    tenant::TenantPage,
    tenants::TenantsPage,
};
use serde_json::json;

fn written<P: PageContent>() -> (&'static str, String) {
    let page = P::sample();
    let frame = Frame::sample(&page.title(), P::TAB);
    (P::TEMPLATE, document(&frame, &page).unwrap_or_else(|error| panic!("{}: {error:#}", P::TEMPLATE)))
}

/// Every page by its template.
pub fn all() -> Vec<(&'static str, String)> {
    let choose = NewPodPage::default();
    let committed = Committed {
        pod: "alice/assistant".into(),
        place: "alice-assistant.yaml in commit 0123456789".into(),
        origin: "https://forge.example/agents.git@main".into(),
    };
    let committed = NewPodPage { committed: Some(committed), ..NewPodPage::default() };
    let frame = Frame::sample("New pod", "pods");
    let stands_alone = |template, values| {
        (template, fragment(template, &values).unwrap_or_else(|error| panic!("{template}: {error:#}")))
    };
    vec![
        written::<OverviewPage>(),
        written::<PodsPage>(),
        written::<PodPage>(),
        written::<LogsPage>(),
        written::<ManifestPage>(),
        written::<NewPodPage>(),
        ("choose.html", document(&frame, &choose).unwrap()),
        ("committed.html", document(&frame, &committed).unwrap()),
        written::<TenantsPage>(),
        written::<EventsPage>(),
        written::<TenantPage>(),
        written::<AdaptersPage>(),
        written::<AccountPage>(),
        written::<SourcePage>(),
        written::<RevisionPage>(),
        written::<SettingsPage>(),
        written::<OpenPage>(),
        written::<ProblemPage>(),
        stands_alone(
            "sign-in.html",
            json!({"problem": "name or password is wrong", "next": "/dashboard", "name": "alma"}),
        ),
        stands_alone(
            "refusal.html",
            json!({"title": "Not Found", "status": 404, "detail": "there is nothing at this URL"}),
        ),
    ]
}

#[test]
fn every_page_renders_with_its_sample() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pages");
    fs::create_dir_all(&folder).unwrap();
    for (template, text) in all() {
        assert!(text.trim_end().ends_with("</html>"), "{template}");
        fs::write(folder.join(template), text).unwrap();
    }
}
