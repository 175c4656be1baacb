//! The command `agentpod`: reads the command line and runs one command.

use std::process::ExitCode;

use agentpod::cli::{self, Cli};
use clap::Parser;

fn main() -> ExitCode {
    let arguments = Cli::parse();
    if let Err(error) = give_git_its_limits() {
        eprintln!("error: git cannot be used: {error}");
        return ExitCode::FAILURE;
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: no threads can be started: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(cli::run(arguments)) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// A remote that stays silent for longer than these is given up on. They hold for the whole process.
#[expect(unsafe_code, reason = "libgit2 keeps its options in globals; there is no thread yet that could read them")]
fn give_git_its_limits() -> Result<(), git2::Error> {
    // SAFETY: nothing else runs yet, as these functions ask for.
    unsafe {
        git2::opts::set_server_connect_timeout_in_milliseconds(15_000)?;
        git2::opts::set_server_timeout_in_milliseconds(30_000)
    }
}
