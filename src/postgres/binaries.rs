//! Finds the server's programs and their version. It runs only `postgres --version` and downloads nothing.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use super::{error::PostgresError, process};

/// The directories to search, in order.
#[derive(Debug, Clone)]
pub struct Search(Vec<PathBuf>);

/// One complete set of programs.
#[derive(Debug, Clone)]
pub(crate) struct Binaries {
    dir: PathBuf,
}

impl Search {
    /// Only `named` if the user set a directory, so that a wrong one is an error. Otherwise `PATH`, then the directories of
    /// distributions and of `make install`, newest major first.
    pub(crate) fn of_this_machine(named: Option<&Path>) -> Search {
        if let Some(named) = named {
            return Search::of([named]);
        }
        let path = env::var_os("PATH").unwrap_or_default();
        let debian = Path::new("/usr/lib/postgresql");
        let mut majors: Vec<(u32, PathBuf)> = fs::read_dir(debian)
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
            .collect();
        majors.sort_by_key(|(major, _)| std::cmp::Reverse(*major));
        let fallback = if majors.is_empty() { vec![debian.join("*/bin")] } else { vec![] };
        Search::of(
            env::split_paths(&path)
                .filter(|dir| dir.is_absolute())
                .chain(majors.into_iter().map(|(_, dir)| dir))
                .chain(fallback)
                .chain(["/usr/local/bin", "/usr/local/pgsql/bin"].map(PathBuf::from)),
        )
    }

    /// Searches these directories, in this order.
    pub fn of<P: AsRef<Path>>(dirs: impl IntoIterator<Item = P>) -> Search {
        let mut all: Vec<PathBuf> = Vec::new();
        for dir in dirs {
            if !all.iter().any(|known| known == dir.as_ref()) {
                all.push(dir.as_ref().to_path_buf());
            }
        }
        Search(all)
    }

    /// The first complete set of programs; with `required`, the first of that version.
    pub(crate) async fn find(&self, data: &Path, required: Option<u32>) -> Result<Binaries, PostgresError> {
        let mut others = Vec::new();
        for dir in &self.0 {
            if !["postgres", "initdb", "pg_ctl"].iter().all(|name| dir.join(name).is_file()) {
                continue;
            }
            let Some(major) = process::version(&dir.join("postgres")).await.as_deref().and_then(major_of) else {
                others.push(format!("programs of unknown version in {}", dir.display()));
                continue;
            };
            if required.is_none_or(|required| required == major) {
                return Ok(Binaries { dir: dir.clone() });
            }
            others.push(format!("PostgreSQL {major} in {}", dir.display()));
        }
        match required {
            Some(required) if !others.is_empty() => {
                Err(PostgresError::WrongMajor { data: data.to_path_buf(), required, found: others })
            }
            _ => Err(PostgresError::NoBinaries { searched: self.0.clone() }),
        }
    }
}

impl Binaries {
    pub fn program(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }
}

/// `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)` → 15, `postgres (PostgreSQL) 19beta1` → 19.
fn major_of(version: &str) -> Option<u32> {
    let number = version.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
    let end = number.find(|c: char| !c.is_ascii_digit()).unwrap_or(number.len());
    number[..end].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_is_parsed_from_releases_and_betas_only() {
        assert_eq!(major_of("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"), Some(15));
        assert_eq!(major_of("postgres (PostgreSQL) 19beta1"), Some(19));
        assert_eq!(major_of("postgres (PostgreSQL) 18"), Some(18));
        assert_eq!(major_of("command not found"), None);
    }

    #[test]
    fn a_directory_named_by_the_user_is_the_only_one_searched() {
        assert_eq!(Search::of_this_machine(Some(Path::new("/opt/pg"))).0, [PathBuf::from("/opt/pg")]);
    }

    #[test]
    fn the_default_directories_follow_the_path_and_none_is_searched_twice() {
        let dirs = Search::of_this_machine(None).0;
        assert!(dirs.iter().any(|dir| dir.starts_with("/usr/lib/postgresql")));
        assert_eq!(dirs.iter().filter(|dir| *dir == Path::new("/usr/local/bin")).count(), 1);
        assert_eq!(dirs.last().map(PathBuf::as_path), Some(Path::new("/usr/local/pgsql/bin")));
    }
}
