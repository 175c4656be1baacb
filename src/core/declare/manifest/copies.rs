//! Recognizes the copies that synchronization programs leave beside a file when two people changed it. Such a copy declares
//! everything a second time; what is reported is what it is, and not that the original is declared twice.

use std::collections::BTreeSet;

use crate::core::problem::Problem;

/// The problem of a file that is a copy of another one, if it is one.
pub(super) fn problem(file: &str, files: &BTreeSet<&str>) -> Option<Problem> {
    let (folder, name) = file.rsplit_once('/').map_or(("", file), |(folder, name)| (folder, name));
    let (stem, ending) = name.rsplit_once('.')?;
    let (original, is_certain) = original(stem)?;
    let beside =
        if folder.is_empty() { format!("{original}.{ending}") } else { format!("{folder}/{original}.{ending}") };
    let what = match (is_certain, files.contains(beside.as_str())) {
        (_, true) => format!("this file is a copy of {beside}, made when two programs or people changed it"),
        (true, false) => {
            format!("this file is a copy of {beside}, which is gone; it was made when two people changed that")
        }
        (false, false) => return None,
    };
    Some(Problem::of_file(file, what).hint(format!("take over into {beside} what is right, and delete the copy")))
}

/// The name without what marks a copy, and whether only a copy is marked like that.
fn original(stem: &str) -> Option<(&str, bool)> {
    let certain = [".sync-conflict-", " (conflicted copy", " (conflict ", " (Case Conflict", " (Konfliktkopie"];
    if let Some(at) = certain.iter().find_map(|mark| stem.find(mark)) {
        return Some((stem.get(..at)?, true));
    }
    // Dropbox names who it was: `alice (Bob's conflicted copy 2026-11-27)`.
    if let Some((original, mark)) = stem.rsplit_once(" (")
        && mark.contains("conflicted copy")
    {
        return Some((original, true));
    }
    // What a person could also call a file: a copy only if the original is there.
    let unsure = [" - Copy", " copy", "_LOCAL_", "_REMOTE_", "_BASE_", "_BACKUP_"];
    if let Some(at) = unsure.iter().find_map(|mark| stem.find(mark)) {
        return Some((stem.get(..at)?, false));
    }
    let (original, number) = stem.strip_suffix(')')?.rsplit_once(" (")?;
    number.bytes().all(|byte| byte.is_ascii_digit()).then_some((original, false))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conflict_copy_is_named_as_one_and_its_original_is_left_alone() {
        for copy in [
            "t/alice.sync-conflict-20261127-073000-ABCDEFG.yaml",
            "t/alice (conflicted copy).yaml",
            "t/alice (Bob's conflicted copy 2026-11-27).yaml",
            "t/alice (1).yaml",
            "t/alice - Copy.yaml",
            "t/alice_REMOTE_4711.yaml",
        ] {
            let files = BTreeSet::from([copy, "t/alice.yaml"]);
            let problem = problem(copy, &files).expect(copy);
            assert!(problem.what.starts_with("this file is a copy of t/alice.yaml"), "{problem}");
            assert_eq!(super::problem("t/alice.yaml", &files), None);
        }
        assert!(problem("alice (1).yaml", &BTreeSet::from(["alice (1).yaml"])).is_none(), "without an original");
        let gone = problem("alice (conflicted copy).yaml", &BTreeSet::new()).unwrap();
        assert!(gone.what.contains("which is gone"), "{gone}");
    }
}
