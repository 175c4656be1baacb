//! Adding a pod to a source: what may be added, by whom and where, and concurrent changes of a folder.

use std::{collections::BTreeMap, fs, os::unix::fs::MetadataExt, path::Path, sync::Arc};

use agentpod::{
    core::{
        access::{Person, Role},
        declare::edit::{FileChange, NewPod, SourceFiles},
        problem::Problem,
    },
    source::{Directory, Edit, NotEdited, Source},
};

use super::{folder, write};
use crate::testkit::{
    manifests::pod,
    site::{shipped_adapters, site},
};

const TENANT: &str = "{apiVersion: agentpod.dev/v1, kind: Tenant, metadata: {name: alice}}\n";

fn files(files: &[(&str, &str)]) -> SourceFiles {
    files.iter().map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec())).collect()
}

fn message(outcome: Result<impl std::fmt::Debug, Vec<Problem>>) -> String {
    outcome.expect_err("this is refused").iter().map(|problem| format!("{problem}\n")).collect()
}

#[tokio::test]
async fn a_new_pod_goes_to_its_own_file_and_never_to_an_existing_one() {
    let adapters = shipped_adapters().await;
    let new = NewPod::parse(&pod("alice/new", "subdomain: new")).unwrap();
    let first = files(&[("alice.yaml", TENANT)]);
    let place = |files: &SourceFiles| new.file_in("here", files, &adapters, &site()).map(|change| change.path);
    assert_eq!(place(&first), Ok("alice-new.yaml".into()));
    let mut taken = first.clone();
    taken.insert("alice-new.yaml".into(), pod("alice/other", "subdomain: other").into_bytes());
    assert_eq!(place(&taken), Ok("alice-new-2.yaml".into()));
    let below = [first, files(&[("deep/alice-new.yaml", &pod("alice/other", "subdomain: other"))])];
    assert_eq!(place(&below.into_iter().flatten().collect()), Ok("alice-new.yaml".into()));
    let with_tenant = NewPod::parse(&format!("{TENANT}---\n{}", pod("alice/new", "subdomain: new"))).unwrap();
    assert_eq!(with_tenant.file_in("here", &BTreeMap::new(), &adapters, &site()).unwrap().path, "alice-new.yaml");
}

#[tokio::test]
async fn an_edit_that_would_break_the_revision_is_refused_like_by_validate() {
    let adapters = shipped_adapters().await;
    let there =
        files(&[("alice.yaml", TENANT), ("pods/one.yaml", &format!("# one\n{}", pod("alice/one", "subdomain: one")))]);
    let broken = [there.clone(), files(&[("broken.yaml", "kind: Pod\n")])].into_iter().flatten().collect();
    for (there, text, why) in [
        (&there, pod("alice/one", "subdomain: two"), "pod alice/one is declared already"),
        (&there, pod("alice/one", "subdomain: two"), "it is declared in pods/one.yaml:2"),
        (&there, pod("alice/new", "subdomain: one"), "one"),
        (&there, pod("bob/new", "subdomain: new"), "bob"),
        (&there, pod("alice/new", "subdomain: new, config: {no: 1}"), "alice-new.yaml:1:"),
        (&there, format!("{TENANT}---\n{}", pod("alice/new", "subdomain: new")), "alice"),
        (&broken, pod("alice/new", "subdomain: new"), "broken.yaml"),
    ] {
        let new = NewPod::parse(&text).unwrap();
        let message = message(new.file_in("here", there, &adapters, &site()));
        assert!(message.contains(why), "{text}: {message}");
    }
}

#[test]
fn only_one_new_pod_is_added_alone_or_with_its_tenant() {
    let one = pod("alice/one", "subdomain: one");
    let other_tenant = TENANT.replace("alice", "bob");
    let defaults = "{apiVersion: agentpod.dev/v1, kind: Defaults, spec: {}}\n";
    for text in [
        TENANT.to_owned(),
        defaults.to_owned(),
        format!("{one}---\n{}", pod("alice/two", "subdomain: two")),
        format!("{other_tenant}---\n{one}"),
        format!("{defaults}---\n{one}"),
    ] {
        assert!(message(NewPod::parse(&text)).contains("not one new pod"), "{text}");
    }
    for text in ["", "{", "kind: Pod\n", &one.replace("subdomain", "subdomian"), &format!("{one}---\n{one}")] {
        assert!(message(NewPod::parse(text)).contains("pod.yaml"), "{text}");
    }
}

#[test]
fn operators_may_add_pods_tenant_operators_only_without_secrets_and_viewers_none() {
    let person = |role, tenant: Option<&str>| Person {
        name: "tess".into(),
        role,
        tenant: tenant.map(|tenant| tenant.parse().unwrap()),
    };
    let plain = pod("alice/one", "subdomain: one");
    let with_secret = pod("alice/one", "subdomain: one, secrets: {KEY: {file: /etc/agentpod/bob.key}}");
    let with_tenant = format!("{TENANT}---\n{plain}");
    let (fleet_wide, alices, bobs) = (Some(None), Some(Some("alice")), Some(Some("bob")));
    for (text, operator, may) in [
        (&plain, fleet_wide, true),
        (&plain, alices, true),
        (&plain, bobs, false),
        (&with_secret, fleet_wide, true),
        (&with_secret, alices, false),
        (&with_tenant, fleet_wide, true),
        (&with_tenant, alices, false),
    ] {
        let new = NewPod::parse(text).unwrap();
        let tenant = operator.unwrap();
        assert_eq!(new.authorize(&person(Role::Operator, tenant)).is_ok(), may, "{text} by {tenant:?}");
        assert!(new.authorize(&person(Role::Viewer, tenant)).is_err(), "{text} by a viewer");
    }
}

/// An edit that adds a file.
fn edit(file: &str, text: &str) -> Edit {
    change(FileChange { path: file.into(), before: None, after: Some(text.into()) })
}

fn change(change: FileChange) -> Edit {
    Edit { decide: Arc::new(move |_| Ok(change.clone())), author: "tess".into(), summary: "Add pod alice/new".into() }
}

fn names(root: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(root).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_file_is_added_completely_and_nothing_else_is_left() {
    let (_guard, root) = folder();
    write(&root, &[("a.yaml", "1")]);
    let added = Source::Directory(Directory::new(&root)).edit(edit("new.yaml", "text\n")).await.unwrap();
    assert_eq!((added.location(), added.commit), ("new.yaml".into(), None));
    assert_eq!(names(&root), ["a.yaml", "new.yaml"]);
    assert_eq!(fs::read_to_string(root.join("new.yaml")).unwrap(), "text\n");
    let metadata = fs::metadata(root.join("new.yaml")).unwrap();
    assert_eq!((metadata.mode() & 0o200, metadata.nlink()), (0o200, 1));
}

#[tokio::test]
async fn a_file_that_appeared_meanwhile_is_not_overwritten() {
    let (_guard, root) = folder();
    write(&root, &[("a.yaml", "1")]);
    let (path, edit) = (root.join("new.yaml"), edit("new.yaml", "ours"));
    let ours = edit.decide.clone();
    let decide = Arc::new(move |files: &SourceFiles| {
        fs::write(&path, "theirs").unwrap();
        ours(files)
    });
    let why = Source::Directory(Directory::new(&root)).edit(Edit { decide, ..edit }).await.unwrap_err();
    assert!(why.to_string().contains("was not changed"), "{why}");
    assert_eq!(fs::read_to_string(root.join("new.yaml")).unwrap(), "theirs");
    assert_eq!(names(&root), ["a.yaml", "new.yaml"]);
}

#[tokio::test]
async fn a_refused_edit_is_not_written_and_an_empty_folder_cannot_be_edited() {
    let (_guard, root) = folder();
    let source = Source::Directory(Directory::new(&root));
    assert!(matches!(source.edit(edit("new.yaml", "text")).await, Err(NotEdited::Unread(_))), "a mount that failed?");
    write(&root, &[("a.yaml", "1")]);
    let decide =
        Arc::new(|files: &SourceFiles| Err(vec![Problem::of_file("new.yaml", format!("{} there", files.len()))]));
    let why = source.edit(Edit { decide, ..edit("new.yaml", "text") }).await.unwrap_err();
    assert_eq!(why.problems()[0].what, "1 there");
    assert_eq!(names(&root), ["a.yaml"]);
}

#[tokio::test]
async fn an_unwritable_folder_is_an_error_that_says_what_to_do() {
    let (_guard, root) = folder();
    write(&root, &[("a.yaml", "1"), ("below/b.yaml", "1")]);
    // Permissions do not stop root, but a missing folder does.
    let why = Source::Directory(Directory::new(&root)).edit(edit("none/new.yaml", "text")).await.unwrap_err();
    let NotEdited::Unwritten { what, hint, .. } = why else { panic!("{why:?}") };
    assert!(what.starts_with("none/new.yaml cannot be written") && hint.contains("save the file yourself"));
    assert_eq!(names(&root), ["a.yaml", "below"]);
}

#[tokio::test]
async fn a_file_is_replaced_or_removed_only_if_it_still_is_what_was_seen() {
    let (_guard, root) = folder();
    write(&root, &[("a.yaml", "1"), ("b.yaml", "2")]);
    fs::set_permissions(root.join("a.yaml"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    std::os::unix::fs::symlink("a.yaml", root.join("link.yaml")).unwrap();
    let source = Source::Directory(Directory::new(&root));
    let of = |path: &str, before: &str, after: Option<&str>| {
        change(FileChange { path: path.into(), before: Some(before.into()), after: after.map(str::to_owned) })
    };
    source.edit(of("a.yaml", "1", Some("one\n"))).await.unwrap();
    assert_eq!(fs::read_to_string(root.join("a.yaml")).unwrap(), "one\n");
    assert_eq!(fs::metadata(root.join("a.yaml")).unwrap().mode() & 0o777, 0o600, "its permissions stay");
    source.edit(of("link.yaml", "one\n", Some("through the link\n"))).await.unwrap();
    assert_eq!(fs::read_to_string(root.join("a.yaml")).unwrap(), "through the link\n");
    assert!(fs::symlink_metadata(root.join("link.yaml")).unwrap().is_symlink());
    for after in [Some("ours"), None] {
        let why = source.edit(of("b.yaml", "seen before", after)).await.unwrap_err();
        assert!(why.to_string().contains("changed by somebody else"), "{why}");
    }
    assert_eq!(fs::read_to_string(root.join("b.yaml")).unwrap(), "2");
    source.edit(of("b.yaml", "2", None)).await.unwrap();
    assert_eq!(names(&root), ["a.yaml", "link.yaml"]);
}
