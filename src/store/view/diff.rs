//! What changed from one revision to another: file by file, and pod by pod. Only for people who see all tenants.

use std::collections::{BTreeMap, BTreeSet};

use super::{RevisionLine, View};
use crate::{
    core::{
        declare::{
            adapter,
            desired::{self, Desired},
            manifest,
        },
        names::PodId,
        report::comparison::{self, PodChange},
        site::Site,
    },
    store::{RevisionFiles, RevisionRow, error::Result},
};

/// Why the pods of two revisions cannot be compared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotComparable {
    #[error("revision {0} was stored without its adapters")]
    NoAdapters(i64),
    #[error("revision {0} has problems; see agentpod revisions {0}")]
    Invalid(i64),
}

/// One file that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ChangedFile {
    /// Its path; those of adapters and templates below their folder's name.
    pub(crate) path: String,
    /// `added`, `removed` or `changed`.
    pub(crate) change: &'static str,
    /// Its text before; `None` if it was not there, or is not text.
    pub(crate) old: Option<String>,
    /// Its text afterwards; `None` if it is not there, or is not text.
    pub(crate) new: Option<String>,
    /// Whether both sides are text.
    pub(crate) is_text: bool,
}

/// A revision with its files.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Side {
    pub(crate) row: RevisionRow,
    pub(crate) files: RevisionFiles,
}

/// The difference of two revisions.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RevisionDiff {
    /// The older one; `None`: there is none, and everything is new.
    pub(crate) from: Option<RevisionLine>,
    pub(crate) files: Vec<ChangedFile>,
    pub(crate) pods: std::result::Result<BTreeMap<PodId, PodChange>, NotComparable>,
}

impl View<'_> {
    /// What a revision changed: against another one, or the accepted one before it. `None` for a tenant's person, and if its
    /// files are no longer kept.
    pub(crate) async fn revision_diff(
        &self,
        id: i64,
        against: Option<i64>,
        site: Option<&Site>,
    ) -> Result<Option<RevisionDiff>> {
        let row = if self.person.sees_all() { self.store.revision(id).await? } else { None };
        let Some(after) = self.side(row).await? else { return Ok(None) };
        let before = match against {
            Some(against) => self.store.revision(against).await?,
            None => self.store.accepted_before(id).await?,
        };
        let (is_first, before) = (before.is_none(), self.side(before).await?);
        if before.is_none() && !is_first {
            return Ok(None);
        }
        let from = before.as_ref().map(|side| RevisionLine::from(&side.row));
        let site = site.cloned();
        let compared = tokio::task::spawn_blocking(move || {
            let none = RevisionFiles::default();
            let old = before.as_ref().map_or(&none, |side| &side.files);
            let files = changed_files(old, &after.files);
            let pods = match (&before, &site) {
                (Some(before), Some(site)) => changed_pods(before, &after, site),
                (None, Some(site)) => build(&after, site)
                    .map(|desired| desired.pods.into_keys().map(|id| (id, PodChange::Added)).collect()),
                (_, None) => Ok(BTreeMap::new()),
            };
            (files, pods)
        });
        let Ok((files, pods)) = compared.await else { return Ok(None) };
        Ok(Some(RevisionDiff { from, files, pods }))
    }

    async fn side(&self, row: Option<RevisionRow>) -> Result<Option<Side>> {
        let Some(row) = row else { return Ok(None) };
        Ok(self.store.files_of(row.id).await?.map(|files| Side { row, files }))
    }
}

/// The files that differ, in order.
pub(crate) fn changed_files(before: &RevisionFiles, after: &RevisionFiles) -> Vec<ChangedFile> {
    let (before, after) = (by_path(before), by_path(after));
    let paths: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let one = |path: &String| {
        let (old, new) = (before.get(path).copied(), after.get(path).copied());
        let change = match (old, new) {
            (None, _) => "added",
            (_, None) => "removed",
            (Some(old), Some(new)) if old != new => "changed",
            _ => return None,
        };
        let text = |bytes: Option<&[u8]>| bytes.map(|bytes| std::str::from_utf8(bytes).map(str::to_owned)).transpose();
        let (old, new, is_text) = match (text(old), text(new)) {
            (Ok(old), Ok(new)) => (old, new, true),
            _ => (None, None, false),
        };
        Some(ChangedFile { path: path.clone(), change, old, new, is_text })
    };
    paths.into_iter().filter_map(one).collect()
}

/// All files of a revision by path; those of adapters and templates below their folder's name.
fn by_path(files: &RevisionFiles) -> BTreeMap<String, &[u8]> {
    let manifests = files.manifests.iter().map(|(path, bytes)| (path.clone(), bytes.as_slice()));
    let adapters = files.adapters.iter().flat_map(|files| {
        let folders = [("adapters", &files.adapters), ("templates", &files.templates)];
        folders.into_iter().flat_map(|(folder, files)| {
            files.iter().map(move |(path, bytes)| (format!("{folder}/{path}"), bytes.as_slice()))
        })
    });
    manifests.chain(adapters).collect()
}

/// The pods that differ, or why that is unknown.
pub(crate) fn changed_pods(
    before: &Side,
    after: &Side,
    site: &Site,
) -> std::result::Result<BTreeMap<PodId, PodChange>, NotComparable> {
    Ok(comparison::changes(&build(before, site)?, &build(after, site)?))
}

fn build(side: &Side, site: &Site) -> std::result::Result<Desired, NotComparable> {
    let id = side.row.id;
    let Some(adapters) = &side.files.adapters else {
        return Err(NotComparable::NoAdapters(id));
    };
    let invalid = || NotComparable::Invalid(id);
    let (adapters, problems) = adapter::read(adapters);
    let texts = side.files.manifests.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice()));
    let (manifests, found) = manifest::read(texts);
    if !(problems.is_empty() && found.is_empty()) {
        return Err(invalid());
    }
    desired::build(&manifests, &adapters, site, &BTreeMap::new(), &BTreeMap::new()).map_err(|_| invalid())
}
