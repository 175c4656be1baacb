//! Which files and variables a reference may really lead to, links resolved: below the folders for secrets, and never to a
//! credential of our own. Reads no values.

use std::path::{Path, PathBuf};

use crate::core::secret::{SecretError, SecretRoots};

/// What references may lead to.
#[derive(Debug, Clone)]
pub struct SecretAccess {
    roots: SecretRoots,
    /// Files and folders of our own.
    own: Vec<PathBuf>,
}

impl Default for SecretAccess {
    /// Anywhere, for tests.
    fn default() -> Self {
        Self { roots: SecretRoots::anywhere(), own: Vec::new() }
    }
}

impl SecretAccess {
    /// Below these roots, and never to these files or folders.
    pub(crate) fn new(roots: SecretRoots, own: Vec<PathBuf>) -> Self {
        Self { roots, own }
    }

    pub(super) fn variable(&self, name: &str) -> Result<(), SecretError> {
        if self.roots.allows_variable(name) { Ok(()) } else { Err(SecretError::NotForPods) }
    }

    /// The file that a path leads to.
    pub(super) fn file(&self, path: &str) -> Result<PathBuf, SecretError> {
        if !path.starts_with('/') {
            return Err(SecretError::RelativePath);
        }
        let folder = self.roots.folder_of(path, None).ok_or(SecretError::OutsideRoots)?;
        let resolved = |path: &Path| path.canonicalize().map_err(|error| super::read_error(&error));
        let file = resolved(Path::new(path))?;
        if !file.starts_with(resolved(Path::new(&folder))?) || is_system(&file) {
            return Err(SecretError::OutsideRoots);
        }
        let is_own = |own: &PathBuf| own.canonicalize().is_ok_and(|own| file.starts_with(own));
        if self.own.iter().any(is_own) { Err(SecretError::OwnFile) } else { Ok(file) }
    }
}

fn is_system(file: &Path) -> bool {
    ["/proc", "/sys", "/dev"].iter().any(|folder| file.starts_with(folder))
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    #[test]
    fn a_link_leads_neither_out_of_a_tenants_folder_nor_to_our_own_files() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for tenant in ["alice", "bob"] {
            fs::create_dir_all(path("secrets").join(tenant)).unwrap();
            fs::write(path("secrets").join(tenant).join("key"), tenant).unwrap();
        }
        fs::create_dir(path("state")).unwrap();
        fs::write(path("state/instance.key"), "k").unwrap();
        symlink(path("secrets/bob/key"), path("secrets/alice/bobs")).unwrap();
        symlink(path("state/instance.key"), path("secrets/alice/ours")).unwrap();
        symlink("/proc/self/environ", path("secrets/alice/environ")).unwrap();
        symlink("key", path("secrets/alice/again")).unwrap();
        let text = |name: &str| path(name).display().to_string();
        let own = vec![path("state"), path("none")];
        let of =
            |folder: String| SecretAccess::new(SecretRoots { folders: vec![folder], variables: vec![] }, own.clone());
        let access = of(text("secrets/{tenant}"));
        assert!(access.file(&text("secrets/alice/key")).is_ok() && access.file(&text("secrets/alice/again")).is_ok());
        for bad in ["secrets/alice/bobs", "secrets/alice/ours", "secrets/alice/environ", "state/instance.key"] {
            assert_eq!(access.file(&text(bad)), Err(SecretError::OutsideRoots), "{bad}");
        }
        let wide = of(folder.path().display().to_string());
        assert_eq!(wide.file(&text("state/instance.key")), Err(SecretError::OwnFile));
        assert_eq!(wide.file(&text("secrets/alice/ours")), Err(SecretError::OwnFile));
        assert_eq!(wide.file(&text("secrets/alice/none")), Err(SecretError::Missing));
    }
}
