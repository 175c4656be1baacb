//! The folders of adapters and templates are read as carefully as manifests.

use std::{fs::File, os::unix::fs::symlink, path::Path};

use agentpod::source::AdapterFolders;

use super::{folder, write};
use crate::testkit::site::shipped_folders;

fn folders(root: &Path) -> AdapterFolders {
    AdapterFolders { adapters: root.join("adapters"), templates: root.join("templates") }
}

#[tokio::test]
async fn the_shipped_adapters_are_read_with_their_templates() {
    let shipped = shipped_folders().read().await.unwrap();
    assert!(shipped.files.adapters.contains_key("openclaw/adapter.yaml"));
    assert!(shipped.files.adapters.contains_key("openclaw/samples/full.yaml"));
    assert!(shipped.files.templates.contains_key("openclaw/openclaw.json5.j2"));
}

#[tokio::test]
async fn every_file_of_an_adapter_is_read_and_nothing_beside_the_folders() {
    let (_folder, root) = folder();
    write(
        &root,
        &[
            ("adapters/x/adapter.yaml", "a"),
            ("adapters/README.md", "r"),
            ("templates/x/t.j2", "t"),
            ("templates/x/t.j2~", "b"),
        ],
    );
    let first = folders(&root).read().await.unwrap();
    assert_eq!(first.files.adapters.keys().collect::<Vec<_>>(), ["x/adapter.yaml"]);
    assert_eq!(first.files.templates.keys().collect::<Vec<_>>(), ["x/t.j2"]);
    write(&root, &[("adapters/README.md", "changed")]);
    assert_eq!(folders(&root).read().await.unwrap().digest, first.digest);
    write(&root, &[("templates/x/t.j2", "changed")]);
    assert_ne!(folders(&root).read().await.unwrap().digest, first.digest);
}

#[tokio::test]
async fn problems_name_their_folder() {
    let (_folder, root) = folder();
    write(&root, &[("adapters/x/adapter.yaml", "a"), ("templates/x/t.j2", "t")]);
    File::create(root.join("adapters/x/logo.png")).unwrap().set_len(100 << 20).unwrap();
    let error = folders(&root).read().await.unwrap_err();
    assert!(error.problems()[0].to_string().starts_with("adapters/x/logo.png: the file has"), "{error}");
    std::fs::remove_file(root.join("adapters/x/logo.png")).unwrap();
    symlink("/etc/passwd", root.join("templates/x/passwd")).unwrap();
    let error = folders(&root).read().await.unwrap_err();
    assert!(error.problems()[0].to_string().starts_with("templates/x/passwd: this link points outside"), "{error}");
}

#[tokio::test]
async fn no_adapter_at_all_is_an_error() {
    let (_folder, root) = folder();
    write(&root, &[("adapters/x/other.yaml", "a"), ("templates/x/t.j2", "t")]);
    assert_eq!(folders(&root).read().await.unwrap_err().code(), "source_empty");
}
