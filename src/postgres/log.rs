//! The server's log: its last lines for an error, and keeping it from growing without end. It may not interpret it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::OFlags;

/// Above this, what there is moves to `server.log.1`.
const LIMIT: u64 = 4 << 20;
const EVERY: Duration = Duration::from_secs(600);
/// How much of it an error shows.
const LINES: usize = 15;
const BYTES: u64 = 4096;

/// Where the log ends now.
pub fn end(log: &Path) -> u64 {
    fs::metadata(log).map_or(0, |meta| meta.len())
}

/// The last lines written after `from`, indented.
pub fn since(log: &Path, from: u64) -> String {
    let read = || -> io::Result<String> {
        let mut file = plain(OpenOptions::new().read(true), log)?;
        let from = from.max(file.metadata()?.len().saturating_sub(BYTES));
        file.seek(SeekFrom::Start(from))?;
        let mut bytes = Vec::new();
        file.take(BYTES).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    let text = read().unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    if lines.is_empty() {
        return "  (it wrote none)".to_owned();
    }
    lines[lines.len().saturating_sub(LINES)..].iter().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}

/// Never ends. The server has the file open for appending, so cutting it off under its hands is safe.
pub async fn keep_bounded(log: PathBuf) {
    loop {
        if let Err(error) = trim(&log, LIMIT) {
            tracing::warn!(log = %log.display(), %error, "cannot shorten PostgreSQL's log");
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// Moves the last `limit` bytes of a log that has more to `server.log.1`, leaving it empty.
fn trim(log: &Path, limit: u64) -> io::Result<()> {
    if end(log) <= limit {
        return Ok(());
    }
    let mut file = plain(OpenOptions::new().read(true).write(true), log)?;
    let old = log.with_extension("log.1");
    match fs::remove_file(&old) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut kept = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&old)?;
    file.seek(SeekFrom::End(-(limit as i64)))?;
    io::copy(&mut (&file).take(limit), &mut kept)?;
    kept.flush()?;
    file.set_len(0)
}

/// Never through a link, for we may be root and the directory somebody's.
fn plain(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    options.custom_flags(OFlags::NOFOLLOW.bits() as i32).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_over_its_limit_is_emptied_and_its_end_kept_beside_it() {
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
        assert_eq!(since(&log, 13), "  (it wrote none)");
        assert_eq!(since(&dir.path().join("none"), 0), "  (it wrote none)");
    }
}
