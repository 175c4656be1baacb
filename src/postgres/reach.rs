//! Whether the user that the server runs as can reach its files. Tried, not computed; no file's mode is changed.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
};

use super::{error::PostgresError, owner::Owner, process};

/// Proves by trying that the owner can enter `dir`; otherwise names the first directory in the way.
pub async fn must_reach(owner: &Owner, dir: &Path) -> Result<(), PostgresError> {
    if owner.switch().is_none() || can_enter(owner, dir).await {
        return Ok(());
    }
    let mut way: Vec<&Path> = dir.ancestors().collect();
    way.reverse();
    for step in way {
        if !can_enter(owner, step).await {
            let mode = match fs::metadata(step) {
                Ok(meta) => {
                    format!("mode {:04o}, owner {}", meta.permissions().mode() & 0o7777, meta.uid())
                }
                Err(error) => error.to_string(),
            };
            return Err(PostgresError::Blocked { dir: step.to_path_buf(), user: owner.name.clone(), mode });
        }
    }
    Ok(())
}

async fn can_enter(owner: &Owner, dir: &Path) -> bool {
    let mut shell = process::command(Path::new("/bin/sh"), owner, dir);
    shell.args(["-c", ":"]);
    process::run(shell, owner, "").await.is_ok()
}
