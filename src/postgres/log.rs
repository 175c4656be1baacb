//! The server's log: quotes its last lines in errors, and limits its size. It does not interpret the log.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::OFlags;

/// The size in bytes above which the log moves to `server.log.1`.
const MAX_BYTES: u64 = 4 << 20;
/// How often the size is checked.
const CHECK_INTERVAL: Duration = Duration::from_secs(600);
/// The most lines in an error.
const QUOTED_LINES: usize = 15;
/// The most bytes in an error.
const QUOTED_BYTES: u64 = 4096;

/// The current size of the log.
pub(crate) fn end(log: &Path) -> u64 {
    fs::metadata(log).map_or(0, |meta| meta.len())
}

/// The last lines written after `from`, indented.
pub(crate) fn since(log: &Path, from: u64) -> String {
    let read = || -> io::Result<String> {
        let mut file = open_no_follow(OpenOptions::new().read(true), log)?;
        let from = from.max(file.metadata()?.len().saturating_sub(QUOTED_BYTES));
        file.seek(SeekFrom::Start(from))?;
        let mut bytes = Vec::new();
        file.take(QUOTED_BYTES).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    let text = read().unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    if lines.is_empty() {
        return "  (none)".to_owned();
    }
    lines[lines.len().saturating_sub(QUOTED_LINES)..]
        .iter()
        .map(|line| format!("  {line}"))
        .collect::<Vec<_>>()
        .join("\n")
}

/// Limits the log's size for ever. The server has the file open for appending, so truncating it is safe.
pub(crate) async fn limit_size(log: PathBuf) {
    loop {
        if let Err(error) = trim(&log, MAX_BYTES) {
            tracing::warn!(log = %log.display(), %error, "cannot truncate PostgreSQL's log");
        }
        tokio::time::sleep(CHECK_INTERVAL).await;
    }
}

/// Moves the last `limit` bytes of a larger log to `server.log.1`, and empties it.
fn trim(log: &Path, limit: u64) -> io::Result<()> {
    if end(log) <= limit {
        return Ok(());
    }
    let mut file = open_no_follow(OpenOptions::new().read(true).write(true), log)?;
    let old = log.with_extension("log.1");
    match fs::remove_file(&old) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut backup = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&old)?;
    file.seek(SeekFrom::End(-(limit as i64)))?;
    io::copy(&mut (&file).take(limit), &mut backup)?;
    backup.flush()?;
    file.set_len(0)
}

/// Opens a file, but never through a link: AgentPod may be root in another user's directory.
fn open_no_follow(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    options.custom_flags(OFlags::NOFOLLOW.bits() as i32).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_over_its_limit_is_emptied_and_its_end_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("server.log");
        fs::write(&log, "old and long ago\nnew\n").unwrap();
        trim(&log, 100).unwrap();
        assert_eq!(end(&log), 21);
        trim(&log, 4).unwrap();
        assert_eq!(end(&log), 0);
        assert_eq!(fs::read_to_string(dir.path().join("server.log.1")).unwrap(), "new\n");
    }

    #[test]
    fn only_lines_written_since_the_mark_are_shown() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("server.log");
        fs::write(&log, "before\nafter\n").unwrap();
        assert_eq!(since(&log, 7), "  after");
        assert_eq!(since(&log, 13), "  (none)");
        assert_eq!(since(&dir.path().join("none"), 0), "  (none)");
    }
}
