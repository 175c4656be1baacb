//! Checks that the server's user can enter its directories, by trying it. It changes no permissions.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
};

use super::{error::PostgresError, owner::Owner, process};

/// Checks that the owner can enter `dir`; if not, the error names the first directory that blocks it.
pub(crate) async fn check(owner: &Owner, dir: &Path) -> Result<(), PostgresError> {
    if owner.switch().is_none() || can_enter(owner, dir).await {
        return Ok(());
    }
    let mut ancestors: Vec<&Path> = dir.ancestors().collect();
    ancestors.reverse();
    for step in ancestors {
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
