//! Rendered files as the archives that carry them into a container: one for each folder, since the API unpacks into one
//! folder. The texts can contain secrets, so no error in here may quote them.

use std::collections::BTreeMap;

use tar::{Builder, EntryType, Header};

use crate::{
    core::declare::desired::RenderedFile,
    engine::{EngineError, Result},
};

/// Archives by folder. Files belong to root and have the time `changed_at` (seconds), which programs that watch files
/// read.
pub(crate) fn archives(files: &[RenderedFile], changed_at: u64) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut builders: BTreeMap<&str, Builder<Vec<u8>>> = BTreeMap::new();
    for file in files {
        let (folder, name) = split(&file.path)
            .ok_or_else(|| EngineError::Refused(format!("{:?} is not the absolute path of a file", file.path)))?;
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Regular);
        header.set_size(file.text.len() as u64);
        header.set_mode(file.mode & 0o777);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(changed_at);
        let builder = builders.entry(folder).or_insert_with(|| Builder::new(Vec::new()));
        let added = builder.append_data(&mut header, name, file.text.as_bytes());
        added.map_err(|error| EngineError::Refused(format!("{} cannot be archived: {error}", file.path)))?;
    }
    let finish = |(folder, builder): (&str, Builder<Vec<u8>>)| match builder.into_inner() {
        Ok(bytes) => Ok((folder.to_owned(), bytes)),
        Err(error) => Err(EngineError::Refused(format!("the files of {folder} cannot be archived: {error}"))),
    };
    builders.into_iter().map(finish).collect()
}

/// An archive with an empty folder and the folders above it, as they are below the folder that it is unpacked into.
pub(crate) fn folder(path: &str, owner: Owner, changed_at: u64) -> Result<Vec<u8>> {
    let failed = |error: std::io::Error| EngineError::Refused(format!("the folder {path} cannot be archived: {error}"));
    let mut builder = Builder::new(Vec::new());
    let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
    for end in ends {
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Directory);
        header.set_size(0);
        header.set_mode(0o755);
        header.set_uid(owner.user);
        header.set_gid(owner.group);
        header.set_mtime(changed_at);
        builder.append_data(&mut header, format!("{}/", &path[..end]), std::io::empty()).map_err(failed)?;
    }
    builder.into_inner().map_err(failed)
}

/// The owner of a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Owner {
    /// The user's number.
    pub(crate) user: u64,
    /// The group's number.
    pub(crate) group: u64,
}

impl Owner {
    /// From `uid:gid`.
    pub(crate) fn of(user: &str) -> Option<Self> {
        let (user, group) = user.split_once(':')?;
        Some(Self { user: user.parse().ok()?, group: group.parse().ok()? })
    }
}

fn split(path: &str) -> Option<(&str, &str)> {
    let (folder, name) = path.rsplit_once('/')?;
    let absolute = path.starts_with('/') && !matches!(name, "" | "." | "..");
    absolute.then_some((if folder.is_empty() { "/" } else { folder }, name))
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn file(path: &str, mode: u32, text: &str) -> RenderedFile {
        RenderedFile { path: path.into(), mode, text: text.into(), hot: false }
    }

    #[test]
    fn files_are_packed_by_folder_and_belong_to_root() {
        let files =
            [file("/config/a.json", 0o444, "{}"), file("/config/b", 0o100_600, "b"), file("/etc/c", 0o644, "c")];
        let mut seen = Vec::new();
        for (folder, bytes) in archives(&files, 1_700_000_000).unwrap() {
            for entry in tar::Archive::new(bytes.as_slice()).entries().unwrap() {
                let mut entry = entry.unwrap();
                let mut text = String::new();
                entry.read_to_string(&mut text).unwrap();
                let header = entry.header();
                let owner = (header.uid().unwrap(), header.gid().unwrap());
                assert_eq!((owner, header.mtime().unwrap()), ((0, 0), 1_700_000_000));
                seen.push(format!("{folder} {} {:o} {text}", entry.path().unwrap().display(), header.mode().unwrap()));
            }
        }
        assert_eq!(seen, ["/config a.json 444 {}", "/config b 600 b", "/etc c 644 c"]);
    }

    #[test]
    fn a_path_that_is_not_a_files_is_refused_without_quoting_the_text() {
        for path in ["relative", "/config/", "/config/..", ""] {
            let error = archives(&[file(path, 0o444, "secret")], 0).unwrap_err();
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }

    #[test]
    fn a_long_name_survives() {
        let name = "n".repeat(150);
        let archive = &archives(&[file(&format!("/c/{name}"), 0o444, "x")], 0).unwrap()["/c"];
        let mut archive = tar::Archive::new(archive.as_slice());
        let entry = archive.entries().unwrap().next().unwrap().unwrap();
        assert_eq!(entry.path().unwrap().to_str(), Some(name.as_str()));
    }
}
