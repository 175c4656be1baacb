//! The container engine by way of the `docker` command, as a person uses it and with none of the code under test; names
//! that nobody else has, and a guard that cleans up whatever happens.

use std::{
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
};

use agentpod::core::names::InstanceName;

static TAKEN: AtomicU32 = AtomicU32::new(0);

/// Kinds of objects, with what lists their ids and what removes them. Containers first: what is used cannot be removed.
const KINDS: [(&[&str], &[&str]); 3] = [
    (&["ps", "--all", "--quiet", "--no-trunc"], &["rm", "--force", "--volumes"]),
    (&["volume", "ls", "--quiet"], &["volume", "rm", "--force"]),
    (&["network", "ls", "--quiet"], &["network", "rm"]),
];

/// Runs `docker`; answers its output.
pub fn docker(arguments: &[&str]) -> String {
    run(arguments).unwrap_or_else(|error| panic!("docker {}: {error}", arguments.join(" ")))
}

/// The same where it may fail.
pub fn try_docker(arguments: &[&str]) -> Option<String> {
    run(arguments).ok()
}

fn run(arguments: &[&str]) -> Result<String, String> {
    let output =
        Command::new("docker").args(arguments).output().map_err(|error| format!("is it installed? {error}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

/// Removes every container, volume and network with one of these labels, such as `agentpod.instance=test`. All containers
/// go first, so that a network goes even if a container with another label uses it.
pub fn remove_all(labels: &[&str]) {
    for (list, remove) in KINDS {
        for label in labels {
            let found = try_docker(&[list, &["--filter", &format!("label={label}")]].concat()).unwrap_or_default();
            let found: Vec<&str> = found.lines().collect();
            if !found.is_empty() {
                try_docker(&[remove, &found[..]].concat());
            }
        }
    }
}

/// An instance name that nobody else has, in this run or another.
pub fn unique_instance() -> InstanceName {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let number = TAKEN.fetch_add(1, Ordering::Relaxed);
    format!("t{:x}-{:x}-{number}", std::process::id(), now.as_millis() & 0xff_ffff).parse().unwrap()
}

/// Removes everything of an instance when it goes, also when the test fails.
pub struct Cleanup(pub InstanceName);

impl Drop for Cleanup {
    fn drop(&mut self) {
        remove_all(&[&format!("agentpod.instance={}", self.0)]);
    }
}
