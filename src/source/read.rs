//! Reading all files below a folder at one moment. Files that change meanwhile are read again, so that what comes out
//! is one state that the folder was really in, whole; a folder that never comes to rest is an error.
//!
//! What cannot be known: a writer that pauses in the middle of a file for longer than [`REST`] looks like one that is
//! done. Writing beside the file and renaming, as git, Kubernetes and most editors do, has no middle.

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
    survey::{FoundFile, Stamp, Survey, fault, survey},
};
use crate::core::problem::Problem;

/// A file that changed less long ago than this may still be half written.
const REST: Duration = Duration::from_millis(100);
/// How often a folder that changes is looked at again; with `REST` between, two seconds in all.
const ATTEMPTS: u32 = 20;
/// For how many of them a change of a folder's list of names counts: other names than ours come and go in it too.
const PATIENT_ATTEMPTS: u32 = 5;

/// What one attempt gives.
enum ReadAttempt {
    Whole(BTreeMap<String, Vec<u8>>),
    /// This file or folder was changing.
    Moving(String),
}

/// All files below `root` that count, by their path below it.
pub(super) async fn read(root: &Path, rules: Rules) -> Result<BTreeMap<String, Vec<u8>>, SourceError> {
    let origin = root.display().to_string();
    let mut moving = origin.clone();
    for number in 0..ATTEMPTS {
        let path = root.to_owned();
        let attempt = tokio::task::spawn_blocking(move || attempt(&path, rules, number < PATIENT_ATTEMPTS)).await;
        match attempt.map_err(|error| SourceError::Failed { origin: origin.clone(), why: error.to_string() })?? {
            ReadAttempt::Whole(files) => return Ok(files),
            ReadAttempt::Moving(name) => moving = name,
        }
        tokio::time::sleep(REST).await;
    }
    Err(SourceError::Busy { origin, file: moving })
}

fn attempt(root: &Path, rules: Rules, patient: bool) -> Result<ReadAttempt, SourceError> {
    let before = survey(root, rules)?;
    if let Some(name) = still_moving(&before, patient) {
        return Ok(ReadAttempt::Moving(name));
    }
    take(&before, root, rules)
}

/// Reads what a survey found, if it is still the same when all of it is read.
fn take(before: &Survey, root: &Path, rules: Rules) -> Result<ReadAttempt, SourceError> {
    let (mut files, mut problems) = (BTreeMap::new(), before.problems.clone());
    // With a problem nothing will come of it, but what cannot be opened should be told in one go.
    for (name, found) in &before.files {
        match read_file(found) {
            Ok(Some(bytes)) => {
                files.insert(name.clone(), bytes);
            }
            Ok(None) => return Ok(ReadAttempt::Moving(name.clone())),
            Err(error) => problems.push(fault(&format!("{}{name}", rules.label), &found.path, &error)),
        }
    }
    let after = survey(root, rules)?;
    if let Some(name) = before.difference(&after) {
        return Ok(ReadAttempt::Moving(name));
    }
    if problems.is_empty() { Ok(ReadAttempt::Whole(files)) } else { Err(refused(root, problems)) }
}

fn refused(root: &Path, mut problems: Vec<Problem>) -> SourceError {
    problems.sort();
    SourceError::Refused { origin: root.display().to_string(), problems }
}

/// What changed so lately that a writer may be in the middle of it. A time stamp alone cannot tell two writes within
/// one tick of the kernel's clock apart; one that is older than a moment can.
fn still_moving(survey: &Survey, patient: bool) -> Option<String> {
    if let Some(name) = &survey.vanished {
        return Some(name.clone());
    }
    let now = crate::clock::system();
    let lately = |changed: SystemTime| now.duration_since(changed).is_ok_and(|age| age < REST);
    let file = survey.files.iter().find(|(_, found)| lately(found.stamp.changed_at()));
    let folder = || survey.folders_changed.iter().find(|(_, changed)| patient && lately(**changed));
    file.map(|(name, _)| name.clone()).or_else(|| folder().map(|(path, _)| path.display().to_string()))
}

/// A file's content, or nothing if it is not the one that was surveyed, or no longer.
fn read_file(found: &FoundFile) -> io::Result<Option<Vec<u8>>> {
    // It was a plain file a moment ago. If it is something else by now, opening may neither follow it nor wait for it.
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

    const ALL: Rules = Rules { label: "", counts: |_| true, limited: true };

    /// What comes of a reading when `meanwhile` happens between looking and reading.
    fn moving(meanwhile: impl FnOnce(&Path)) -> Option<String> {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a"), "1").unwrap();
        fs::write(folder.path().join("b"), "1").unwrap();
        let before = survey(folder.path(), ALL).unwrap();
        meanwhile(folder.path());
        match take(&before, folder.path(), ALL).unwrap() {
            ReadAttempt::Whole(files) => {
                assert_eq!(files.len(), 2);
                None
            }
            ReadAttempt::Moving(name) => Some(name),
        }
    }

    #[test]
    fn whatever_changes_while_files_are_read_makes_them_be_read_again() {
        assert_eq!(moving(|_| {}), None);
        assert_eq!(moving(|root| fs::write(root.join("b"), "12").unwrap()), Some("b".into()));
        assert_eq!(moving(|root| fs::write(root.join("c"), "1").unwrap()), Some("c".into()));
        assert_eq!(moving(|root| fs::remove_file(root.join("a")).unwrap()), Some("a".into()));
        assert_eq!(moving(|root| fs::create_dir(root.join("d")).unwrap()), Some("a folder".into()));
        let replaced = |root: &Path| {
            fs::write(root.join(".new"), "1").unwrap();
            fs::rename(root.join(".new"), root.join("a")).unwrap();
        };
        assert_eq!(moving(replaced), Some("a".into()));
        let made_a_link = |root: &Path| {
            fs::remove_file(root.join("a")).unwrap();
            std::os::unix::fs::symlink("/etc/passwd", root.join("a")).unwrap();
        };
        assert_eq!(moving(made_a_link), Some("a".into()), "it is never followed");
    }
}
