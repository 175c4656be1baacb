//! The `agentpod` program: parses the command line and runs one command.

use std::process::ExitCode;

use agentpod::{
    cli,
    source::git::{HTTP_SCHEME, http_transport},
};

fn main() -> ExitCode {
    let arguments = cli::parse();
    if let Err(error) = set_up_git() {
        eprintln!("error: cannot set up git: {error}");
        return ExitCode::FAILURE;
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: cannot start threads: {error}");
            return ExitCode::FAILURE;
        }
    };
    let code = match runtime.block_on(cli::run(arguments)) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    };
    // A thread that still waits for somebody to type an answer does not keep an interrupted command.
    runtime.shutdown_background();
    code
}

/// Sets how long libgit2 waits for a silent remote, and its transport for HTTP, for the whole process.
#[expect(unsafe_code, reason = "libgit2 keeps its options in globals; no other thread runs yet that could read them")]
fn set_up_git() -> Result<(), git2::Error> {
    // SAFETY: no other thread runs yet, as these functions require.
    unsafe {
        git2::opts::set_server_connect_timeout_in_milliseconds(15_000)?;
        git2::opts::set_server_timeout_in_milliseconds(30_000)?;
        git2::transport::register(HTTP_SCHEME, http_transport)
    }
}
