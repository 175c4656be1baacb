//! Problems of a folder have a path and say what to do; files that should not be read are not.

use std::{
    fs::{self, File, Permissions},
    os::unix::{fs::PermissionsExt, fs::symlink, net::UnixListener, process::CommandExt},
    path::Path,
    process::Command,
    time::Instant,
};

use agentpod::source::{Directory, MAX_DEPTH, MAX_FILES, SourceError};

use super::{folder, read, texts, write};

/// The problems of a folder, as text.
async fn problems(root: &Path) -> Vec<String> {
    let error = read(root).await.unwrap_err();
    assert_eq!(error.code(), "source_refused", "{error}");
    let problems = error.problems();
    assert!(problems.iter().all(|problem| problem.hint.is_some()), "{problems:?}");
    problems.iter().map(ToString::to_string).collect()
}

async fn only_problem(root: &Path) -> String {
    let mut found = problems(root).await;
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

#[tokio::test]
async fn the_same_files_give_the_same_revision_in_whatever_order_they_were_written() {
    let (_one, one) = folder();
    let (_two, two) = folder();
    write(&one, &[("a.yaml", "1"), ("x/b.yml", "2")]);
    write(&two, &[("x/b.yml", "2"), ("a.yaml", "1")]);
    let (first, second) = (read(&one).await.unwrap(), read(&two).await.unwrap());
    assert_eq!(first.revision, second.revision);
    assert_eq!(first.files.keys().collect::<Vec<_>>(), ["a.yaml", "x/b.yml"]);
    assert_eq!(first.origin, one.display().to_string());
    write(&two, &[("a.yaml", "3")]);
    assert_ne!(first.revision, read(&two).await.unwrap().revision);
}

#[tokio::test]
async fn hidden_files_backups_and_other_types_are_ignored() {
    let (_folder, root) = folder();
    write(
        &root,
        &[
            ("a.yaml", "1"),
            (".git/b.yaml", "2"),
            (".a.yaml.swp", "3"),
            ("a.yaml~", "4"),
            ("README.md", "5"),
            (".hidden.yaml", "6"),
        ],
    );
    symlink("me@host.123:456", root.join(".#a.yaml")).unwrap();
    write(&root, &[("#a.yaml#", "7")]);
    assert_eq!(texts(&root).await, "a.yaml=1");
}

#[tokio::test]
async fn a_missing_folder_or_a_file_in_its_place_is_an_error_that_names_it() {
    let (_folder, root) = folder();
    let missing = read(&root.join("nowhere")).await.unwrap_err();
    assert_eq!(missing.code(), "source_missing");
    assert!(missing.to_string().contains("nowhere") && missing.to_string().contains("create it"), "{missing}");
    write(&root, &[("a.yaml", "1")]);
    let file = read(&root.join("a.yaml")).await.unwrap_err();
    assert_eq!(file.code(), "source_not_a_folder");
    assert!(read(&root.join("a.yaml/b")).await.is_err());
    assert_eq!(missing.problems().len() + file.problems().len(), 2);
}

#[tokio::test]
async fn an_empty_folder_is_an_error_and_never_an_empty_set() {
    let (_folder, root) = folder();
    write(&root, &[("README.md", "nothing here"), (".git/a.yaml", "1")]);
    let error = read(&root).await.unwrap_err();
    assert_eq!(error.code(), "source_empty");
    assert!(error.to_string().contains("nothing was changed"), "{error}");
    assert!(error.problems()[0].hint.as_ref().unwrap().contains(".yaml"));
}

#[tokio::test]
async fn an_empty_file_is_a_problem_and_not_a_removal() {
    let (_folder, root) = folder();
    write(&root, &[("a.yaml", ""), ("b.yaml", "1")]);
    assert!(only_problem(&root).await.starts_with("a.yaml: the file is empty\n  help: "));
}

#[tokio::test]
async fn a_file_of_100_mb_is_refused_without_being_read() {
    let (_folder, root) = folder();
    write(&root, &[("a.yaml", "1")]);
    File::create(root.join("big.yaml")).unwrap().set_len(100 << 20).unwrap();
    let start = Instant::now();
    let problem = only_problem(&root).await;
    assert!(problem.starts_with("big.yaml: the file has 104857600 bytes"), "{problem}");
    assert!(start.elapsed().as_secs() < 2);
}

#[tokio::test]
async fn files_that_are_too_large_in_total_are_refused() {
    let (_folder, root) = folder();
    for number in 0..65 {
        File::create(root.join(format!("{number}.yaml"))).unwrap().set_len(1 << 20).unwrap();
    }
    let problem = only_problem(&root).await;
    assert!(problem.contains("more than 64 MiB in total"), "{problem}");
}

#[tokio::test]
async fn more_files_than_the_limit_are_refused() {
    let (_folder, root) = folder();
    for number in 0..=MAX_FILES {
        fs::write(root.join(format!("{number}.yaml")), "1").unwrap();
    }
    let problem = only_problem(&root).await;
    assert!(problem.contains("more than 10000 files"), "{problem}");
}

#[tokio::test]
async fn folders_that_are_nested_too_deep_are_a_problem() {
    let (_folder, root) = folder();
    let deep = vec!["d"; MAX_DEPTH].join("/");
    write(&root, &[(&format!("{deep}/a.yaml"), "1")]);
    assert!(read(&root).await.is_ok());
    write(&root, &[(&format!("{deep}/d/a.yaml"), "1")]);
    let problem = only_problem(&root).await;
    assert!(problem.starts_with(&format!("{deep}/d: folders are nested more than 32 levels deep here")), "{problem}");
}

#[tokio::test]
async fn links_within_the_folder_are_followed_and_all_others_are_problems() {
    let (_folder, root) = folder();
    write(&root, &[("real/a.yaml", "1"), ("../outside.yaml", "2"), ("../outside/b.yaml", "3")]);
    symlink("real/a.yaml", root.join("link.yaml")).unwrap();
    symlink("../outside.yaml", root.join("README")).unwrap();
    assert_eq!(texts(&root).await, "link.yaml=1 real/a.yaml=1");
    symlink("../outside.yaml", root.join("out.yaml")).unwrap();
    symlink("../outside", root.join("out")).unwrap();
    symlink("/etc/passwd", root.join("passwd.yaml")).unwrap();
    symlink("nowhere", root.join("dangling.yaml")).unwrap();
    symlink("round.yaml", root.join("round.yaml")).unwrap();
    symlink("..", root.join("real/up")).unwrap();
    let found = problems(&root).await;
    let starts = [
        "dangling.yaml: this link points to nowhere, which does not exist",
        "out: this link points outside the folder, to ",
        "out.yaml: this link points outside the folder, to ",
        "passwd.yaml: this link points outside the folder, to /etc/passwd",
        "real/up: this link is a loop",
        "round.yaml: this link is part of a loop",
    ];
    assert_eq!(found.len(), starts.len(), "{found:#?}");
    for (problem, start) in found.iter().zip(starts) {
        assert!(problem.starts_with(start), "{problem}");
    }
}

#[tokio::test]
async fn folders_that_link_to_each_other_are_a_problem_and_not_endless() {
    let (_folder, root) = folder();
    write(&root, &[("a/a.yaml", "1"), ("b/b.yaml", "2")]);
    symlink("../b", root.join("a/to-b")).unwrap();
    symlink("../a", root.join("b/to-a")).unwrap();
    let found = problems(&root).await;
    assert!(found.len() == 2 && found.iter().all(|problem| problem.contains("is a loop")), "{found:?}");
}

#[tokio::test]
async fn a_pipe_or_a_socket_is_a_problem_and_is_never_opened() {
    let (_folder, root) = folder();
    write(&root, &[("a.yaml", "1")]);
    assert!(Command::new("mkfifo").arg(root.join("pipe.yaml")).status().unwrap().success());
    let _socket = UnixListener::bind(root.join("socket.yaml")).unwrap();
    symlink("pipe.yaml", root.join("to-pipe.yaml")).unwrap();
    let found = problems(&root).await;
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found.iter().all(|problem| problem.contains("a pipe, socket or device")), "{found:?}");
}

#[tokio::test]
async fn a_name_that_is_not_text_is_a_problem() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt};
    let (_folder, root) = folder();
    fs::write(root.join(OsStr::from_bytes(b"caf\xe9.yaml")), "1").unwrap();
    fs::write(root.join("two\nlines.yaml"), "1").unwrap();
    let found = problems(&root).await;
    assert!(found.len() == 2 && found.iter().all(|problem| problem.contains("not valid text")), "{found:?}");
    assert!(found.iter().any(|problem| problem.starts_with("two?lines.yaml: ")), "{found:?}");
}

/// Root may read everything, so a child process reads as the user nobody.
#[tokio::test]
async fn an_unreadable_file_or_folder_is_an_error_that_says_who_may_not_read_it() {
    let (holder, root) = folder();
    write(&root, &[("a.yaml", "1"), ("closed/b.yaml", "2"), ("secret.yaml", "3")]);
    fs::set_permissions(holder.path(), Permissions::from_mode(0o755)).unwrap();
    for name in ["closed", "secret.yaml"] {
        fs::set_permissions(root.join(name), Permissions::from_mode(0o0)).unwrap();
    }
    let mut child = crate::testkit::as_process(module_path!(), "child_that_reads");
    child.env("READ_THIS", &root).current_dir("/");
    if rustix_is_root() {
        child.uid(65_534).gid(65_534);
    }
    let output = child.output().unwrap();
    let message = String::from_utf8_lossy(&output.stdout);
    fs::set_permissions(root.join("closed"), Permissions::from_mode(0o755)).unwrap();
    for name in ["closed", "secret.yaml"] {
        assert!(message.contains(&format!("{name}: AgentPod may not read this")), "{message}");
        assert!(message.contains(&format!("chmod -R a+rX {}", root.join(name).display())), "{message}");
    }
    assert!(!message.contains("a.yaml:"), "{message}");
}

fn rustix_is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[tokio::test]
#[ignore = "run by an_unreadable_file_or_folder_is_an_error_that_says_who_may_not_read_it"]
async fn child_that_reads() {
    let Some(root) = std::env::var_os("READ_THIS") else { return };
    match Directory::new(root).read().await {
        Err(error @ SourceError::Refused { .. }) => error.problems().iter().for_each(|problem| println!("{problem}")),
        other => println!("{other:?}"),
    }
}
