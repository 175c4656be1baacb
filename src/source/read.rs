//! Reads all files below a folder in one consistent state. Files that change meanwhile are read again; a folder that never
//! stops changing is an error.
//!
//! A writer that pauses in the middle of a file for longer than [`QUIET`] looks like one that is done. Writing a new file
//! and renaming it, as git, Kubernetes and most editors do, avoids this.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read},
    path::Path,
    time::{Duration, SystemTime},
};

use rustix::fs::{Mode, OFlags};

pub(super) use super::survey::Rules;
use super::{
    SourceError,
    survey::{FoundFile, Stamp, Survey, io_problem, survey},
};
use crate::core::problem::Problem;

/// A file that changed more recently than this may be half written.
const QUIET: Duration = Duration::from_millis(100);
/// How often a changing folder is read again; with `QUIET` in between, for two seconds in all.
const ATTEMPTS: u32 = 20;
/// In how many of these a change to a folder's entries counts, since other files than manifests come and go too.
const STRICT_ATTEMPTS: u32 = 5;

/// The result of one attempt.
enum ReadAttempt {
    Complete(BTreeMap<String, Vec<u8>>),
    /// This file or folder was changing.
    Changing(String),
}

/// All files below `root` that match the rules, by their path below it.
pub(super) async fn read(root: &Path, rules: Rules) -> Result<BTreeMap<String, Vec<u8>>, SourceError> {
    let origin = root.display().to_string();
    let mut changing = origin.clone();
    for number in 0..ATTEMPTS {
        let path = root.to_owned();
        let attempt = tokio::task::spawn_blocking(move || attempt(&path, rules, number < STRICT_ATTEMPTS)).await;
        match attempt.map_err(|error| SourceError::Failed { origin: origin.clone(), why: error.to_string() })?? {
            ReadAttempt::Complete(files) => return Ok(files),
            ReadAttempt::Changing(name) => changing = name,
        }
        tokio::time::sleep(QUIET).await;
    }
    Err(SourceError::Busy { origin, file: changing })
}

fn attempt(root: &Path, rules: Rules, strict: bool) -> Result<ReadAttempt, SourceError> {
    let before = survey(root, rules)?;
    if let Some(name) = still_changing(&before, strict) {
        return Ok(ReadAttempt::Changing(name));
    }
    read_surveyed(&before, root, rules)
}

/// Reads the files of a survey, and checks that nothing changed meanwhile.
fn read_surveyed(before: &Survey, root: &Path, rules: Rules) -> Result<ReadAttempt, SourceError> {
    let (mut files, mut problems) = (BTreeMap::new(), before.problems.clone());
    // Even with a problem the rest is read, so that all problems are reported at once.
    for (name, found) in &before.files {
        match read_file(found) {
            Ok(Some(bytes)) => {
                files.insert(name.clone(), bytes);
            }
            Ok(None) => return Ok(ReadAttempt::Changing(name.clone())),
            Err(error) => problems.push(io_problem(&format!("{}{name}", rules.label), &found.path, &error)),
        }
    }
    let after = survey(root, rules)?;
    if let Some(name) = before.difference(&after) {
        return Ok(ReadAttempt::Changing(name));
    }
    if problems.is_empty() { Ok(ReadAttempt::Complete(files)) } else { Err(refused(root, problems)) }
}

fn refused(root: &Path, mut problems: Vec<Problem>) -> SourceError {
    problems.sort();
    SourceError::Refused { origin: root.display().to_string(), problems }
}

/// What changed so recently that it may still be written. Time stamps do not tell two writes apart within one tick of the
/// kernel's clock, so only older ones are reliable.
fn still_changing(survey: &Survey, strict: bool) -> Option<String> {
    if let Some(name) = &survey.vanished {
        return Some(name.clone());
    }
    let now = crate::clock::system();
    let recently = |changed: SystemTime| now.duration_since(changed).is_ok_and(|age| age < QUIET);
    let file = survey.files.iter().find(|(_, found)| recently(found.stamp.changed_at()));
    let folder = || survey.folders_changed.iter().find(|(_, changed)| strict && recently(**changed));
    file.map(|(name, _)| name.clone()).or_else(|| folder().map(|(path, _)| path.display().to_string()))
}

/// A file's content, or `None` if it changed since the survey.
fn read_file(found: &FoundFile) -> io::Result<Option<Vec<u8>>> {
    // If it became a link, a pipe or a device since the survey, opening it must neither follow nor block.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let file = match rustix::fs::open(&found.path, flags, Mode::empty()) {
        Ok(descriptor) => File::from(descriptor),
        Err(rustix::io::Errno::NOENT | rustix::io::Errno::LOOP | rustix::io::Errno::NXIO) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    if Stamp::of(&file.metadata()?) != found.stamp {
        return Ok(None);
    }
    let mut bytes = Vec::with_capacity(found.stamp.size as usize);
    (&file).take(found.stamp.size + 1).read_to_end(&mut bytes)?;
    let unchanged = Stamp::of(&file.metadata()?) == found.stamp && bytes.len() as u64 == found.stamp.size;
    Ok(unchanged.then_some(bytes))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const ALL: Rules = Rules { label: "", matches: |_| true, limited: true };

    /// What a read reports as changing if `meanwhile` runs between survey and read.
    fn changing(meanwhile: impl FnOnce(&Path)) -> Option<String> {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a"), "1").unwrap();
        fs::write(folder.path().join("b"), "1").unwrap();
        let before = survey(folder.path(), ALL).unwrap();
        meanwhile(folder.path());
        match read_surveyed(&before, folder.path(), ALL).unwrap() {
            ReadAttempt::Complete(files) => {
                assert_eq!(files.len(), 2);
                None
            }
            ReadAttempt::Changing(name) => Some(name),
        }
    }

    #[test]
    fn a_change_during_a_read_is_detected() {
        assert_eq!(changing(|_| {}), None);
        assert_eq!(changing(|root| fs::write(root.join("b"), "12").unwrap()), Some("b".into()));
        assert_eq!(changing(|root| fs::write(root.join("c"), "1").unwrap()), Some("c".into()));
        assert_eq!(changing(|root| fs::remove_file(root.join("a")).unwrap()), Some("a".into()));
        assert_eq!(changing(|root| fs::create_dir(root.join("d")).unwrap()), Some("a folder".into()));
        let replaced = |root: &Path| {
            fs::write(root.join(".new"), "1").unwrap();
            fs::rename(root.join(".new"), root.join("a")).unwrap();
        };
        assert_eq!(changing(replaced), Some("a".into()));
        let made_a_link = |root: &Path| {
            fs::remove_file(root.join("a")).unwrap();
            std::os::unix::fs::symlink("/etc/passwd", root.join("a")).unwrap();
        };
        assert_eq!(changing(made_a_link), Some("a".into()), "a link is never followed");
    }
}
