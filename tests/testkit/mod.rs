//! What the test programs and the benches share: databases, servers, repositories, a browser, whole stands, and waiting
//! without sleeping. It knows the public interface only, and holds no test of its own.

#![allow(dead_code)] // each program uses its part

pub mod browser;
pub mod declared;
pub mod engine;
pub mod git_http;
pub mod log;
pub mod openclaw;
pub mod postgres;
pub mod repository;
pub mod sshd;
pub mod stand;
pub mod subnet;

use std::{path::Path, process::Command};

/// The repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The program `agentpod` as this build made it.
pub fn agentpod() -> Command {
    Command::new(env!("CARGO_BIN_EXE_agentpod"))
}

/// An ignored test of this program, to be run as a process of its own: `module` is its `module_path!()`.
pub fn as_process(module: &str, test: &str) -> Command {
    let (_, module) = module.split_once("::").expect("a test program's module");
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([&format!("{module}::{test}"), "--exact", "--ignored", "--nocapture"]);
    command
}
