//! A git repository to be followed, and a work tree to push to it from, with git's own program and none of the machine's
//! settings.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// A bare repository `repo.git` and a work tree, in a folder that goes with it.
pub struct Repository {
    folder: tempfile::TempDir,
}

impl Repository {
    /// An empty one, whose own branch will be `main`.
    pub fn new() -> Self {
        Self::of("sha1")
    }

    /// One whose objects have IDs of this kind, `sha1` or `sha256`.
    pub fn of(ids: &str) -> Self {
        let repository = Self { folder: tempfile::Builder::new().prefix("agentpod-git-").tempdir().unwrap() };
        let ids = format!("--object-format={ids}");
        git(repository.root(), &["init", "--quiet", &ids, "--bare", "repo.git"]);
        git(repository.root(), &["init", "--quiet", &ids, "work"]);
        git(&repository.work(), &["remote", "add", "origin", repository.bare().to_str().unwrap()]);
        repository
    }

    /// One with a first commit of these files.
    pub fn with(files: &[(&str, &str)]) -> Self {
        let repository = Self::new();
        repository.push(files, "the first");
        repository
    }

    /// The folder of everything.
    pub fn root(&self) -> &Path {
        self.folder.path()
    }

    /// A path beside the repository, for keys and the like.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root().join(name)
    }

    /// The repository.
    pub fn bare(&self) -> PathBuf {
        self.path("repo.git")
    }

    /// The work tree.
    pub fn work(&self) -> PathBuf {
        self.path("work")
    }

    /// Writes files in the work tree, commits everything in it and pushes the branch it is on. Answers the commit.
    pub fn push(&self, files: &[(&str, &str)], message: &str) -> String {
        self.write(files);
        self.push_all(message)
    }

    /// Writes files in the work tree.
    pub fn write(&self, files: &[(&str, &str)]) {
        for (name, text) in files {
            let path = self.work().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
    }

    /// Commits all there is in the work tree and pushes, also what is no child of what was there.
    pub fn push_all(&self, message: &str) -> String {
        self.run(&["add", "--all"]);
        self.run(&["commit", "--quiet", "--allow-empty", "-m", message]);
        self.run(&["push", "--quiet", "--force", "origin", "HEAD"]);
        self.run(&["rev-parse", "HEAD"])
    }

    /// Runs git in the work tree.
    pub fn run(&self, arguments: &[&str]) -> String {
        git(&self.work(), arguments)
    }

    /// Has every commit signed with this key from now on.
    pub fn sign_with(&self, key: &Path) {
        for (name, value) in
            [("gpg.format", "ssh"), ("user.signingkey", key.to_str().unwrap()), ("commit.gpgsign", "true")]
        {
            self.run(&["config", name, value]);
        }
    }

    /// Makes an SSH key of its own, and answers the file; the public half is beside it.
    pub fn key(&self, name: &str, passphrase: &str) -> PathBuf {
        let file = self.path(name);
        let made = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-C", "test", "-N", passphrase, "-f"])
            .arg(&file)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        file
    }
}

/// The public half of a key.
pub fn public(key: &Path) -> String {
    fs::read_to_string(key.with_extension("pub")).unwrap().trim().to_owned()
}

/// Runs git in a folder, without the machine's settings.
pub fn git(folder: &Path, arguments: &[&str]) -> String {
    let identity = ["-c", "user.name=Tess", "-c", "user.email=tess@example.com", "-c", "init.defaultBranch=main"];
    let output = Command::new("git")
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .args(identity)
        .args(["-c", "protocol.file.allow=always"])
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
