//! What the test programs and the benches share: databases, servers, repositories, a browser, whole stands, and waiting
//! without sleeping. It knows the public interface only, and holds no test of its own.

#![allow(dead_code)] // each program uses its part

pub mod browser;
pub mod command;
pub mod dashboard;
pub mod declared;
pub mod docker;
pub mod files;
pub mod git_http;
pub mod http;
pub mod log;
pub mod manifests;
pub mod openclaw;
pub mod pages;
pub mod postgres;
pub mod process;
pub mod reconciler;
pub mod repository;
pub mod rows;
pub mod site;
pub mod sshd;
pub mod stand;
pub mod store;
pub mod subnet;
pub mod tls;
pub mod turn;
pub mod wait;

use std::{path::Path, process::Command};

/// The repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The program `agentpod` as this build made it, in the repository and with none of the machine's settings.
pub fn agentpod() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_agentpod"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("AGENTPOD_") || name == "DATABASE_URL" || name == "SSL_CERT_FILE" {
            command.env_remove(name);
        }
    }
    command.current_dir(root()).env("NO_COLOR", "1");
    command
}

/// An ignored test of this program, to be run as a process of its own: `module` is its `module_path!()`.
pub fn as_process(module: &str, test: &str) -> Command {
    let (_, module) = module.split_once("::").expect("a test program's module");
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([&format!("{module}::{test}"), "--exact", "--ignored", "--nocapture"]);
    command
}
