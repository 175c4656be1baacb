//! The form for a new pod where it may be committed: who may, what is written in whose name, and what is not.

use std::{fs, path::Path};

use agentpod::core::{decide::request::RequestSpec, declare::manifest};
use tempfile::TempDir;

use super::forms::untouched;
use crate::testkit::rows;
use crate::testkit::{
    dashboard::{ALAN, OLGA, VICTOR},
    pages::{Stage, TENANTS},
};

const COMMIT: &str = "/dashboard/pods/new/commit";

/// A folder with the tenants and one pod, and a dashboard that commits to it.
async fn stage() -> (Stage, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("all.yaml"), TENANTS).unwrap();
    let stage = Stage::committing_to(folder.path()).await;
    stage.checked(TENANTS).await;
    (stage, folder)
}

fn names(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_checked_manifest_is_committed_recorded_and_read_at_once() {
    let (stage, folder) = stage().await;
    let body = untouched("echo").await;
    let form = stage.ask("POST", "/dashboard/pods/new", OLGA, &body).await.body;
    assert!(form.contains(COMMIT) && form.contains("in your name"), "{form}");
    let answer = stage.ask("POST", COMMIT, OLGA, &body).await;
    let text = answer.body;
    assert_eq!(answer.status, 200, "{text}");
    assert!(text.contains("new was committed") && text.contains("alice-new.yaml, in "), "{text}");
    assert_eq!(names(folder.path()), ["alice-new.yaml", "all.yaml"]);
    let written = fs::read(folder.path().join("alice-new.yaml")).unwrap();
    let (manifests, problems) = manifest::read([("alice-new.yaml", written.as_slice())]);
    assert!(problems.is_empty() && manifests.pods.keys().map(ToString::to_string).eq(["alice/new"]));
    let events = rows::events(&stage.store, None, 100).await;
    let edited = events.iter().find(|row| row.kind.as_str() == "edited").expect("it is told");
    assert!(edited.message.contains("alice/new: olga added it to the source: alice-new.yaml"), "{edited:?}");
    let asked = stage.store.open_requests().await.unwrap();
    assert!(
        asked.iter().any(|open| open.request.what == RequestSpec::Sync && open.request.actor == "olga"),
        "{asked:?}"
    );
    // Sent once more, by a click too many: it is there already, and stays as it is.
    let again = stage.ask("POST", COMMIT, OLGA, &body).await;
    assert!(again.status == 409 && again.body.contains("declared already"), "{}", again.body);
    assert_eq!(fs::read(folder.path().join("alice-new.yaml")).unwrap(), written);
    assert_eq!(names(folder.path()), ["alice-new.yaml", "all.yaml"]);
}

#[tokio::test]
async fn what_would_be_refused_is_shown_with_its_problems_and_not_written() {
    let (stage, folder) = stage().await;
    let body = untouched("echo").await.replace("subdomain=new", "subdomain=bob");
    let form = stage.ask("POST", "/dashboard/pods/new", OLGA, &body).await.body;
    assert!(!form.contains(COMMIT), "there is nothing to commit yet");
    let answer = stage.ask("POST", COMMIT, OLGA, &body).await;
    let text = answer.body;
    assert!(answer.status == 409 && text.contains("Not committed"), "{text}");
    assert!(text.contains("class=\"caret\">^^^") && text.contains("value=\"alice\""), "what was typed is still there");
    assert_eq!(names(folder.path()), ["all.yaml"]);
}

#[tokio::test]
async fn viewers_commit_nothing_and_a_tenants_operator_only_for_the_tenant_and_without_secrets() {
    let (stage, folder) = stage().await;
    let body = untouched("echo").await;
    let form = stage.ask("POST", "/dashboard/pods/new", VICTOR, &body).await.body;
    assert!(form.contains("No problems") && !form.contains(COMMIT), "{form}");
    let of_bob = body.replace("tenant=alice", "tenant=bob");
    let with_secret = format!("{body}&secrets=KEY+file+%2Fetc%2Fagentpod%2Fbob.key");
    let with_tenant = format!("{body}&with-tenant=yes");
    let form = stage.ask("POST", "/dashboard/pods/new", ALAN, &body).await;
    assert!(form.status == 403 && !form.body.contains(COMMIT), "the form itself names other tenants");
    for (token, body) in [(VICTOR, &body), (ALAN, &of_bob), (ALAN, &with_secret), (ALAN, &with_tenant), ("", &body)] {
        let answer = stage.ask("POST", COMMIT, token, body).await;
        assert!([401, 403, 303].contains(&answer.status), "{}: {}", answer.status, answer.body);
        assert_eq!(names(folder.path()), ["all.yaml"], "{token}: {body}");
    }
    // What is wrong names nothing of other tenants but what was typed.
    let taken = stage.ask("POST", COMMIT, ALAN, &body.replace("subdomain=new", "subdomain=bob")).await;
    assert!(taken.status == 409 && !taken.body.contains("all.yaml"), "{}", taken.body);
    let answer = stage.ask("POST", COMMIT, ALAN, &body).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(names(folder.path()), ["alice-new.yaml", "all.yaml"]);
}

#[tokio::test]
async fn without_the_setting_nothing_can_be_committed() {
    let stage = Stage::new().await;
    stage.checked(TENANTS).await;
    let form = stage.ask("POST", "/dashboard/pods/new", OLGA, &untouched("echo").await).await.body;
    assert!(form.contains("No problems") && !form.contains(COMMIT), "{form}");
    let answer = stage.ask("POST", COMMIT, OLGA, &untouched("echo").await).await;
    assert!(answer.status == 403 && answer.body.contains("--edits commit"), "{}", answer.body);
}
