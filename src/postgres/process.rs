//! Runs PostgreSQL's programs as the right user, in a clean environment, and shielded from the terminal's signals.

use std::io;
use std::path::Path;
use std::process::{Output, Stdio};

use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::{error::PostgresError, owner::Owner};
use crate::postgres::owner::UserIds;

/// The inherited environment variables. Others may be tenants' secrets, which the server does not need.
const INHERITED: [&str; 2] = ["PATH", "LD_LIBRARY_PATH"];

/// A child in its own process group, so that Ctrl-C does not reach it.
pub(crate) fn command(program: &Path, owner: &Owner, dir: &Path) -> Command {
    let mut command = clean_command(program);
    command.current_dir(dir).process_group(0);
    if let Some(UserIds { uid, gid }) = owner.switch() {
        // Also drops root's supplementary groups.
        command.uid(uid).gid(gid);
    }
    command
}

/// Runs a command with `input` and collects its output.
pub(crate) async fn run(mut command: Command, owner: &Owner, input: &str) -> Result<Output, PostgresError> {
    let program = command.as_std().get_program().to_owned();
    let outcome: io::Result<Output> = async {
        let mut child = command.spawn()?;
        let mut stdin = child.stdin.take();
        let feed = async move {
            if let Some(stdin) = &mut stdin {
                // A program that exits early reports the reason itself; a broken pipe would only hide it.
                let _ = stdin.write_all(input.as_bytes()).await;
            }
        };
        let ((), output) = tokio::join!(feed, child.wait_with_output());
        output
    }
    .await;
    outcome.map_err(|why| PostgresError::CannotRun { program: program.into(), user: owner.name.clone(), why })
}

/// The output of `--version`, if the program runs.
pub(crate) async fn version(program: &Path) -> Option<String> {
    let output = clean_command(program).arg("--version").output().await.ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Both output streams, trimmed.
pub(crate) fn output_text(output: &Output) -> String {
    let text = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).trim().to_owned());
    text.join("\n").trim().to_owned()
}

fn clean_command(program: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .envs(INHERITED.iter().filter_map(|name| Some((name, std::env::var_os(name)?))))
        .envs([("LC_ALL", "C"), ("TZ", "UTC")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}
