//! What every source of manifests agrees on: which files are manifests, and what a set of them may not be. Looks at
//! names and lengths, never at what a manifest says.

use std::collections::BTreeMap;

use super::SourceError;
use crate::core::problem::Problem;

/// Whether a file is a manifest, by its path below the root.
pub(super) fn is_manifest(name: &str) -> bool {
    let file = name.rsplit('/').next().unwrap_or(name);
    let stem = file.strip_suffix(".yaml").or_else(|| file.strip_suffix(".yml"));
    stem.is_some_and(|stem| !stem.is_empty())
}

/// Refuses a set of no manifests, and one with empty files in it. An empty set is more often a mount that failed or a
/// wrong folder than a wish to remove everything.
pub(super) fn whole(
    origin: String,
    files: BTreeMap<String, Vec<u8>>,
    hint: &'static str,
) -> Result<BTreeMap<String, Vec<u8>>, SourceError> {
    if files.is_empty() {
        return Err(SourceError::Empty { origin, expected: "no manifest (no .yaml or .yml file)", hint });
    }
    let blank = |name: &String| {
        Problem::of_file(name, "the file is empty")
            .hint("an interrupted write leaves such a file; write manifests into it, or delete it")
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
