//! Creates a data directory with AgentPod's role and database, completely or not at all: a temporary directory is renamed at
//! the end. It never touches an existing data directory.

use std::fs::{self, File};
use std::path::Path;
use std::time::UNIX_EPOCH;

use tokio::process::Command;

use super::{DATABASE, binaries::Binaries, error::PostgresError, files, home::Home, owner::Owner, process};

const UNFINISHED: &str = "data.new-";

/// Creates the data directory. Only while holding the turn.
pub(crate) async fn create(home: &Home, binaries: &Binaries, owner: &Owner) -> Result<(), PostgresError> {
    remove_unfinished(home)?;
    // A new name each time: the initdb of a killed AgentPod may still be writing into the last one.
    let nanoseconds = crate::clock::system().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    let draft = home.root().join(format!("{UNFINISHED}{}-{nanoseconds}", std::process::id()));
    files::own_dir(&draft, owner)?;

    let mut initdb = process::command(&binaries.program("initdb"), owner, home.root());
    initdb.arg("-D").arg(&draft).args(["--username=postgres", "--encoding=UTF8", "--locale=C", "--data-checksums"]);
    initdb.args(["--auth-local=trust", "--auth-host=reject", "--no-sync"]);
    run_checked(initdb, owner, &draft, "").await?;

    // One statement per line. The role may create databases, which tests need, and nothing else.
    let sql = format!("CREATE ROLE {DATABASE} LOGIN CREATEDB;\nCREATE DATABASE {DATABASE} OWNER {DATABASE};\n");
    let mut single = process::command(&binaries.program("postgres"), owner, home.root());
    single.arg("--single").arg("-D").arg(&draft).args(["-c", "exit_on_error=on", "-c", "fsync=off", "postgres"]);
    run_checked(single, owner, &draft, &sql).await?;

    // Synced once, at the end: nobody uses the directory under its temporary name.
    let mut sync = process::command(&binaries.program("initdb"), owner, home.root());
    sync.arg("-D").arg(&draft).arg("--sync-only");
    run_checked(sync, owner, &draft, "").await?;

    let data = home.data();
    fs::rename(&draft, &data).map_err(PostgresError::io("renaming the new data directory to", &data))?;
    let synced = File::open(home.root()).and_then(|dir| dir.sync_all());
    synced.map_err(PostgresError::io("syncing", home.root()))
}

fn remove_unfinished(home: &Home) -> Result<(), PostgresError> {
    let entries = fs::read_dir(home.root()).map_err(PostgresError::io("reading", home.root()))?;
    for entry in entries.flatten() {
        if entry.file_name().to_str().is_some_and(|name| name.starts_with(UNFINISHED)) {
            // One that is still being written cannot be removed; the next start tries again.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    Ok(())
}

async fn run_checked(command: Command, owner: &Owner, dir: &Path, input: &str) -> Result<(), PostgresError> {
    let program = command.as_std().get_program().into();
    let output = process::run(command, owner, input).await?;
    if output.status.success() {
        return Ok(());
    }
    let failure = PostgresError::CreateFailed {
        dir: dir.to_path_buf(),
        program,
        status: output.status.to_string(),
        output: process::output_text(&output),
    };
    let _ = fs::remove_dir_all(dir);
    Err(failure)
}
