//! Watches on real folders: every kind of change is reported once, when it is complete.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    time::Duration,
};

use agentpod::source::Watch;
use tokio::time::timeout;

use super::{DEADLINE, folder, git, moving::config_map, read, texts, write};

/// Within this time no other report may follow; longer than the quiet period before a report.
const NOTHING: Duration = Duration::from_millis(600);
/// Every change must be reported well before the slow poll would find it.
const PROMPT: Duration = Duration::from_secs(8);

async fn watch(path: &Path) -> Watch {
    Watch::start(vec![path.to_owned()])
}

async fn changed(watch: &mut Watch) {
    timeout(PROMPT, watch.changed()).await.expect("the change is reported promptly");
}

async fn is_quiet(watch: &mut Watch) -> bool {
    timeout(NOTHING, watch.changed()).await.is_err()
}

#[tokio::test]
async fn a_file_written_in_place_or_renamed_over_is_one_change_each() {
    let (_folder, root) = folder();
    write(&root, &[("a.yaml", "1")]);
    let mut watch = watch(&root).await;
    write(&root, &[("a.yaml", "2")]);
    changed(&mut watch).await;
    assert_eq!(texts(&root).await, "a.yaml=2");
    for text in ["3", "4"] {
        // Like vim: a backup, the new text under another name, and a rename over the old file.
        write(&root, &[(".a.yaml.swp", "x"), ("4913", ""), ("a.yaml.new", text)]);
        fs::remove_file(root.join("4913")).unwrap();
        fs::rename(root.join("a.yaml"), root.join("a.yaml~")).unwrap();
        fs::rename(root.join("a.yaml.new"), root.join("a.yaml")).unwrap();
        fs::remove_file(root.join("a.yaml~")).unwrap();
        changed(&mut watch).await;
        assert_eq!(texts(&root).await, format!("a.yaml={text}"));
        assert!(is_quiet(&mut watch).await);
    }
    fs::remove_file(root.join("a.yaml")).unwrap();
    changed(&mut watch).await;
}

#[tokio::test]
async fn reading_files_and_writing_hidden_ones_is_not_a_change() {
    let (_folder, root) = folder();
    write(&root, &[("a.yaml", "1"), (".git/index", "1")]);
    let mut watch = watch(&root).await;
    read(&root).await.unwrap();
    write(&root, &[(".git/index", "2"), (".git/objects/00/1", "3"), (".a.yaml.swp", "4"), ("a.yaml~", "5")]);
    symlink("me@host.1:2", root.join(".#a.yaml")).unwrap();
    write(root.parent().unwrap(), &[("beside.yaml", "6")]);
    assert!(is_quiet(&mut watch).await);
    write(&root, &[("a.yaml", "2")]);
    changed(&mut watch).await;
}

#[tokio::test]
async fn a_new_folder_and_later_files_in_it_are_changes() {
    let (_folder, root) = folder();
    write(&root, &[("a.yaml", "1")]);
    let mut watch = watch(&root).await;
    write(&root, &[("x/y/z/b.yaml", "1")]);
    changed(&mut watch).await;
    write(&root, &[("x/y/z/b.yaml", "2")]);
    changed(&mut watch).await;
    fs::remove_dir_all(root.join("x")).unwrap();
    write(&root, &[("x/y/z/b.yaml", "3")]);
    changed(&mut watch).await;
    assert!(is_quiet(&mut watch).await);
    write(&root, &[("x/y/z/b.yaml", "4")]);
    changed(&mut watch).await;
    assert_eq!(texts(&root).await, "a.yaml=1 x/y/z/b.yaml=4");
}

#[tokio::test]
async fn a_thousand_files_written_at_once_are_one_change() {
    let (_folder, root) = folder();
    write(&root, &[("a.yaml", "1")]);
    let mut watch = watch(&root).await;
    for number in 0..1000 {
        fs::write(root.join(format!("{number}.yaml")), "1").unwrap();
    }
    changed(&mut watch).await;
    assert_eq!(read(&root).await.unwrap().files.len(), 1001);
    assert!(is_quiet(&mut watch).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_written_one_after_the_other_are_reported_once_the_last_is_written() {
    let (_folder, root) = folder();
    write(&root, &[("a.yaml", "1")]);
    let mut watch = watch(&root).await;
    let writing = tokio::spawn({
        let root = root.clone();
        async move {
            let mut tick = tokio::time::interval(Duration::from_millis(25));
            for number in 0..30 {
                tick.tick().await;
                fs::write(root.join(format!("{number}.yaml")), "1").unwrap();
            }
        }
    });
    changed(&mut watch).await;
    assert!(writing.is_finished(), "nothing is reported in between");
    assert!(is_quiet(&mut watch).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_that_never_stop_are_reported_anyway() {
    let (_folder, root) = folder();
    write(&root, &[("a.yaml", "1")]);
    let mut watch = watch(&root).await;
    let writing = tokio::spawn(async move {
        let mut tick = tokio::time::interval(Duration::from_millis(20));
        for number in 0.. {
            tick.tick().await;
            fs::write(root.join("a.yaml"), format!("{number}")).unwrap();
        }
    });
    changed(&mut watch).await;
    changed(&mut watch).await;
    writing.abort();
}

#[tokio::test]
async fn git_checkout_of_another_branch_is_one_change() {
    let (_folder, root) = folder();
    git(&root, &["init", "--quiet"]);
    for number in 0..30 {
        write(&root, &[(&format!("t{number}/a.yaml"), "main")]);
    }
    git(&root, &["add", "."]);
    git(&root, &["commit", "--quiet", "-m", "main"]);
    let main = read(&root).await.unwrap();
    git(&root, &["checkout", "--quiet", "-b", "other"]);
    for number in 10..40 {
        write(&root, &[(&format!("t{number}/a.yaml"), "other")]);
    }
    git(&root, &["rm", "--quiet", "-r", "t0", "t1"]);
    git(&root, &["add", "."]);
    git(&root, &["commit", "--quiet", "-m", "other"]);
    let other = read(&root).await.unwrap();
    let mut watch = watch(&root).await;
    for (branch, snapshot) in [("main", &main), ("other", &other), ("main", &main)] {
        git(&root, &["checkout", "--quiet", branch]);
        changed(&mut watch).await;
        assert_eq!(read(&root).await.unwrap().revision, snapshot.revision, "{branch}");
        assert!(is_quiet(&mut watch).await);
    }
    git(&root, &["status"]);
    git(&root, &["fetch", "--quiet", "."]);
    assert!(is_quiet(&mut watch).await);
}

#[tokio::test]
async fn a_config_map_swap_is_one_change() {
    let (_folder, root) = folder();
    config_map(&root, "1", &[("a.yaml", "1"), ("b.yaml", "1")]);
    let mut watch = watch(&root).await;
    for version in ["2", "3"] {
        config_map(&root, version, &[("a.yaml", version), ("b.yaml", version)]);
        changed(&mut watch).await;
        assert_eq!(texts(&root).await, format!("a.yaml={version} b.yaml={version}"));
        assert!(is_quiet(&mut watch).await);
    }
    write(&root, &[("..3/a.yaml", "edited behind the link")]);
    changed(&mut watch).await;
}

fn swap(link: &Path, target: &str) {
    let temporary = link.with_extension("tmp");
    symlink(target, &temporary).unwrap();
    fs::rename(temporary, link).unwrap();
}

#[tokio::test]
async fn a_root_that_is_a_link_and_is_swapped_is_one_change() {
    let (_holder, root) = folder();
    let holder: PathBuf = root.parent().unwrap().into();
    write(&holder, &[("one/sub/a.yaml", "1"), ("two/sub/a.yaml", "2"), ("three/sub/a.yaml", "3")]);
    swap(&holder.join("current"), "one");
    let direct = holder.join("current/sub");
    let root = holder.join("current");
    let (mut watch, mut below) = (watch(&root).await, watch(&direct).await);
    for (target, text) in [("two", "2"), ("three", "3")] {
        swap(&root, target);
        changed(&mut watch).await;
        changed(&mut below).await;
        assert_eq!(texts(&direct).await, format!("a.yaml={text}"));
    }
    write(&holder, &[("three/sub/a.yaml", "4")]);
    changed(&mut watch).await;
    changed(&mut below).await;
    write(&holder, &[("one/sub/a.yaml", "no longer watched")]);
    assert!(is_quiet(&mut watch).await);
}

#[tokio::test]
async fn a_root_that_is_removed_and_created_again_is_watched_again() {
    let (_folder, root) = folder();
    write(&root, &[("a.yaml", "1")]);
    let mut watch = watch(&root).await;
    fs::remove_dir_all(&root).unwrap();
    changed(&mut watch).await;
    assert_eq!(read(&root).await.unwrap_err().code(), "source_missing");
    write(&root, &[("a.yaml", "2")]);
    changed(&mut watch).await;
    write(&root, &[("a.yaml", "3")]);
    changed(&mut watch).await;
    // At once, and together with its parent folder.
    let parent = root.parent().unwrap();
    fs::remove_dir_all(parent).unwrap();
    write(&root, &[("a.yaml", "4")]);
    changed(&mut watch).await;
    assert!(is_quiet(&mut watch).await);
    write(&root, &[("a.yaml", "5")]);
    changed(&mut watch).await;
    assert_eq!(texts(&root).await, "a.yaml=5");
}

#[tokio::test]
async fn a_root_that_does_not_exist_yet_is_noticed_when_it_does() {
    let (_folder, root) = folder();
    let later = root.join("not/yet");
    let mut watch = watch(&later).await;
    write(&later, &[("a.yaml", "1")]);
    changed(&mut watch).await;
    assert_eq!(texts(&later).await, "a.yaml=1");
}

#[tokio::test]
async fn a_file_made_readable_is_a_change() {
    use std::os::unix::fs::PermissionsExt;
    let (_folder, root) = folder();
    write(&root, &[("x/a.yaml", "1")]);
    let mut watch = watch(&root).await;
    for name in ["x/a.yaml", "x"] {
        fs::set_permissions(root.join(name), fs::Permissions::from_mode(0o700)).unwrap();
        changed(&mut watch).await;
    }
}

#[tokio::test]
async fn several_folders_are_watched_together() {
    let (_one, one) = folder();
    let (_two, two) = folder();
    let mut watch = Watch::start(vec![one.clone(), two.clone()]);
    for root in [one, two] {
        write(&root, &[("a.yaml", "1")]);
        changed(&mut watch).await;
    }
}

#[tokio::test]
async fn waiting_for_a_change_can_be_cancelled_and_repeated() {
    let (_folder, root) = folder();
    let mut watch = watch(&root).await;
    write(&root, &[("a.yaml", "1")]);
    for _ in 0..20 {
        if timeout(Duration::from_millis(20), watch.changed()).await.is_ok() {
            return;
        }
    }
    changed(&mut watch).await;
}

#[tokio::test]
async fn without_notifications_the_folders_are_scanned() {
    let (_folder, root) = folder();
    write(&root, &[("a.yaml", "1")]);
    let mut watch = Watch::polling(vec![root.clone()]);
    for text in ["2", "3"] {
        write(&root, &[("a.yaml", text)]);
        timeout(DEADLINE, watch.changed()).await.expect("the change is found by comparing");
        assert_eq!(texts(&root).await, format!("a.yaml={text}"));
    }
}
