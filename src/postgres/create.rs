//! Making a data directory, with our role and database in it, so that it is either whole or not there: all is done
//! in a directory beside it, which is renamed at the end. It may not touch a data directory that exists.

use std::fs::{self, File};
use std::path::Path;
use std::time::UNIX_EPOCH;

use tokio::process::Command;

use super::{DATABASE, binaries::Binaries, error::PostgresError, files, home::Home, owner::Owner, process};

const UNFINISHED: &str = "data.new-";

/// Only during our turn.
pub async fn create(home: &Home, binaries: &Binaries, owner: &Owner) -> Result<(), PostgresError> {
    remove_unfinished(home)?;
    // A name of its own each time: the initdb of a killed AgentPod may still be writing into the last one.
    let moment = crate::clock::system().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    let fresh = home.root().join(format!("{UNFINISHED}{}-{moment}", std::process::id()));
    files::own_dir(&fresh, owner)?;

    let mut initdb = process::command(&binaries.program("initdb"), owner, home.root());
    initdb.arg("-D").arg(&fresh).args(["--username=postgres", "--encoding=UTF8", "--locale=C", "--data-checksums"]);
    initdb.args(["--auth-local=trust", "--auth-host=reject", "--no-sync"]);
    must_succeed(initdb, owner, &fresh, "").await?;

    // One statement a line. The role can make databases (tests want fresh ones) and nothing else.
    let sql = format!("CREATE ROLE {DATABASE} LOGIN CREATEDB;\nCREATE DATABASE {DATABASE} OWNER {DATABASE};\n");
    let mut single = process::command(&binaries.program("postgres"), owner, home.root());
    single.arg("--single").arg("-D").arg(&fresh).args(["-c", "exit_on_error=on", "-c", "fsync=off", "postgres"]);
    must_succeed(single, owner, &fresh, &sql).await?;

    // Once, at the end: it has no name yet that anybody would trust.
    let mut sync = process::command(&binaries.program("initdb"), owner, home.root());
    sync.arg("-D").arg(&fresh).arg("--sync-only");
    must_succeed(sync, owner, &fresh, "").await?;

    let data = home.data();
    fs::rename(&fresh, &data).map_err(PostgresError::io("renaming the new data directory to", &data))?;
    let synced = File::open(home.root()).and_then(|dir| dir.sync_all());
    synced.map_err(PostgresError::io("syncing", home.root()))
}

fn remove_unfinished(home: &Home) -> Result<(), PostgresError> {
    let entries = fs::read_dir(home.root()).map_err(PostgresError::io("reading", home.root()))?;
    for entry in entries.flatten() {
        if entry.file_name().to_str().is_some_and(|name| name.starts_with(UNFINISHED)) {
            // One that is still being written into resists; the next time will do.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    Ok(())
}

async fn must_succeed(command: Command, owner: &Owner, dir: &Path, input: &str) -> Result<(), PostgresError> {
    let program = command.as_std().get_program().into();
    let output = process::run(command, owner, input).await?;
    if output.status.success() {
        return Ok(());
    }
    let failure = PostgresError::CreateFailed {
        dir: dir.to_path_buf(),
        program,
        ended: output.status.to_string(),
        output: process::said(&output),
    };
    let _ = fs::remove_dir_all(dir);
    Err(failure)
}
