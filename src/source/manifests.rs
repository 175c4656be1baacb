//! The rules that all sources share: which files are manifests, and which sets of them are refused. It checks names and
//! sizes, not contents.

use std::collections::BTreeMap;

use super::SourceError;
use crate::core::problem::Problem;

/// Whether a file is a manifest, by its path below the root.
pub(super) fn is_manifest(name: &str) -> bool {
    let file = name.rsplit('/').next().unwrap_or(name);
    let stem = file.strip_suffix(".yaml").or_else(|| file.strip_suffix(".yml"));
    stem.is_some_and(|stem| !stem.is_empty())
}

/// Refuses an empty set of manifests, and one with empty files. An empty set is more often a failed mount or a wrong folder
/// than an intention to remove everything.
pub(super) fn check_set(
    origin: String,
    files: BTreeMap<String, Vec<u8>>,
    hint: &'static str,
) -> Result<BTreeMap<String, Vec<u8>>, SourceError> {
    if files.is_empty() {
        return Err(SourceError::Empty { origin, expected: "no manifest (no .yaml or .yml file)", hint });
    }
    let blank = |name: &String| {
        Problem::of_file(name, "the file is empty")
            .hint("an interrupted write leaves such a file; fill it, or delete it")
    };
    let problems: Vec<Problem> =
        files.iter().filter(|(_, bytes)| bytes.is_empty()).map(|(name, _)| blank(name)).collect();
    if problems.is_empty() { Ok(files) } else { Err(SourceError::Refused { origin, problems }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_yaml_files_are_manifests() {
        assert!(["a.yaml", "x/y/a.yml", "a.b.yaml"].into_iter().all(is_manifest));
        assert!(!["README.md", "a.yaml.bak", "a.json", "x/.yaml", "yaml", "a.yaml/b"].into_iter().any(is_manifest));
    }
}
