//! `agentpod diff`: what changed between the revision in force and another one, file by file, and which pods that is
//! about. Reads the database only: what both revisions were made of is kept there.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use serde::Serialize;
use serde_json::json;
use similar::TextDiff;

use super::{
    Output,
    connect::Database,
    output::{self, plain},
    revisions::{self, RevisionEntry},
};
use crate::{
    config::Settings,
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
    store::{RevisionFiles, RevisionRow, Store, view::RevisionLine},
};

/// How many unchanged lines are shown around a changed one.
const AROUND: usize = 3;
/// How long one file may take; after that its difference may be larger than it has to be.
const PATIENCE: Duration = Duration::from_secs(1);

/// A revision with what it was made of.
struct Side {
    row: RevisionRow,
    files: RevisionFiles,
}

/// One file that differs.
#[derive(Debug, PartialEq, Serialize)]
struct FileDifference {
    path: String,
    /// `added`, `removed` or `changed`.
    change: &'static str,
    /// The unified diff; empty for what is no text.
    diff: String,
}

/// `agentpod diff [REV]`.
pub async fn run(settings: Settings, wanted: Option<String>, how: Output) -> Result<ExitCode> {
    let database = Database::open(&settings).await?;
    let sides = sides(&database.store, wanted.as_deref()).await;
    database.close().await?;
    let (before, after, in_force) = sides?;
    let files = differences(&named(&before.files), &named(&after.files));
    let pods = pods(&before, &after, &settings.site);
    match how {
        Output::Json | Output::Yaml => {
            let (from, to) = (RevisionLine::from(&before.row), RevisionLine::from(&after.row));
            let shown = json!({
                "from": RevisionEntry::of(&from, Some(in_force)), "to": RevisionEntry::of(&to, Some(in_force)),
                "files": files, "pods": pods.as_ref().ok(), "pods_unknown": pods.as_ref().err(),
            });
            output::data(how, &shown)?;
        }
        Output::Text => {
            let title = |side: &Side| {
                let line = RevisionLine::from(&side.row);
                format!("{} ({}, {})", line.id, revisions::short(&line), revisions::state(&line, Some(in_force)))
            };
            output::print(&format!("from revision {} to {}\n", title(&before), title(&after)))?;
            for file in &files {
                output::print(&coloured(file))?;
            }
            if files.is_empty() {
                output::print("no file differs\n")?;
            }
            output::print(&about_pods(&pods))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The older and the newer of the revision in force and the wanted one; without a wish, the accepted one before it.
async fn sides(store: &Store, wanted: Option<&str>) -> Result<(Side, Side, i64)> {
    let Some(in_force) = store.in_force().await? else {
        bail!("no revision is in force yet, so there is nothing to compare with; see agentpod revisions");
    };
    let other = match wanted {
        Some(wanted) => find(store, wanted).await?,
        None => match store.accepted_before(in_force.id).await? {
            Some(row) => row,
            None => bail!(
                "revision {} is the only one that was accepted; name another: see agentpod revisions",
                in_force.id
            ),
        },
    };
    let id = in_force.id;
    let (before, after) = if other.id < id { (other, in_force) } else { (in_force, other) };
    Ok((side(store, before).await?, side(store, after).await?, id))
}

async fn find(store: &Store, wanted: &str) -> Result<RevisionRow> {
    let by_number = match wanted.parse() {
        Ok(id) => store.revision(id).await?,
        Err(_) => None,
    };
    match by_number {
        Some(row) => Ok(row),
        None => {
            let rows = store.revisions(None, revisions::SEARCHED as i64).await?;
            let found = rows.into_iter().find(|row| revisions::is_meant(&RevisionLine::from(row), wanted));
            found.with_context(|| revisions::unknown(wanted))
        }
    }
}

async fn side(store: &Store, row: RevisionRow) -> Result<Side> {
    match store.files_of(row.id).await? {
        Some(files) => Ok(Side { row, files }),
        None => bail!("the files of revision {} are not kept any more", row.id),
    }
}

/// All files of a revision under names that tell manifests from adapters and templates.
fn named(files: &RevisionFiles) -> BTreeMap<String, &[u8]> {
    let manifests = files.manifests.iter().map(|(path, bytes)| (path.clone(), bytes.as_slice()));
    let adapters = files.adapters.iter().flat_map(|files| {
        let folders = [("adapters", &files.adapters), ("templates", &files.templates)];
        folders.into_iter().flat_map(|(folder, files)| {
            files.iter().map(move |(path, bytes)| (format!("{folder}/{path}"), bytes.as_slice()))
        })
    });
    manifests.chain(adapters).collect()
}

fn differences(before: &BTreeMap<String, &[u8]>, after: &BTreeMap<String, &[u8]>) -> Vec<FileDifference> {
    let paths: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let one = |path: &String| {
        let (old, new) = (before.get(path).copied(), after.get(path).copied());
        let change = match (old, new) {
            (None, _) => "added",
            (_, None) => "removed",
            (Some(old), Some(new)) if old != new => "changed",
            _ => return None,
        };
        let (a, b) = (old.unwrap_or_default(), new.unwrap_or_default());
        let diff = match (std::str::from_utf8(a), std::str::from_utf8(b)) {
            (Ok(a), Ok(b)) => unified(path, (old.is_some(), a), (new.is_some(), b)),
            _ => String::new(),
        };
        Some(FileDifference { path: path.clone(), change, diff })
    };
    paths.into_iter().filter_map(one).collect()
}

fn unified(path: &str, (was, old): (bool, &str), (is, new): (bool, &str)) -> String {
    let name = |exists: bool, side: &str| if exists { format!("{side}/{path}") } else { "/dev/null".into() };
    let diff = TextDiff::configure().timeout(PATIENCE).diff_lines(old, new);
    diff.unified_diff().context_radius(AROUND).header(&name(was, "a"), &name(is, "b")).to_string()
}

/// A file's difference for a terminal: colours are taken out again where the output is none.
fn coloured(file: &FileDifference) -> String {
    let (bold, red, green, cyan, end) = ("\x1b[1m", "\x1b[31m", "\x1b[32m", "\x1b[36m", "\x1b[0m");
    if file.diff.is_empty() {
        return format!("{bold}{} is {}{end}\n", plain(&file.path), file.change);
    }
    let line = |line: &str| {
        let text = plain(line);
        let colour = match line.chars().next() {
            _ if line.starts_with("--- ") || line.starts_with("+++ ") => bold,
            Some('-') => red,
            Some('+') => green,
            Some('@') => cyan,
            _ => return text,
        };
        format!("{colour}{text}{end}")
    };
    file.diff.lines().map(line).collect::<Vec<_>>().join("\n") + "\n"
}

/// Which pods are others after than before, or why that cannot be said.
fn pods(before: &Side, after: &Side, site: &Site) -> Result<BTreeMap<PodId, PodChange>, String> {
    Ok(comparison::changes(&build(before, site)?, &build(after, site)?))
}

fn build(side: &Side, site: &Site) -> Result<Desired, String> {
    let id = side.row.id;
    let Some(adapters) = &side.files.adapters else {
        return Err(format!("revision {id} is from before its adapters were kept"));
    };
    let does_not = || format!("revision {id} does not build: see agentpod revisions {id}");
    let (adapters, problems) = adapter::read(adapters);
    let texts = side.files.manifests.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice()));
    let (manifests, found) = manifest::read(texts);
    if !(problems.is_empty() && found.is_empty()) {
        return Err(does_not());
    }
    desired::build(&manifests, &adapters, site, &BTreeMap::new(), &BTreeMap::new()).map_err(|_| does_not())
}

fn about_pods(pods: &Result<BTreeMap<PodId, PodChange>, String>) -> String {
    match pods {
        Err(why) => format!("which pods that is about cannot be said: {why}"),
        Ok(pods) if pods.is_empty() => "no pod is another one by it".into(),
        Ok(pods) => pods.iter().map(|(id, change)| format!("{id} {change}")).collect::<Vec<_>>().join("\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(list: &[(&str, &'static [u8])]) -> BTreeMap<String, &'static [u8]> {
        list.iter().map(|(path, text)| ((*path).into(), *text)).collect()
    }

    #[test]
    fn files_are_compared_one_by_one_and_what_is_no_text_is_only_named() {
        let before =
            files(&[("a.yaml", b"one\ntwo\nthree\n"), ("b.yaml", b"x\n"), ("same.yaml", b"s\n"), ("z.bin", b"\xff")]);
        let after =
            files(&[("a.yaml", b"one\n2\nthree"), ("c.yaml", b"y\n"), ("same.yaml", b"s\n"), ("z.bin", b"\xfe")]);
        let found = differences(&before, &after);
        let told: Vec<_> = found.iter().map(|file| (file.path.as_str(), file.change, file.diff.as_str())).collect();
        let first = "--- a/a.yaml\n+++ b/a.yaml\n@@ -1,3 +1,3 @@\n one\n-two\n-three\n+2\n+three\n\\ No newline at end of file\n";
        assert_eq!(
            told,
            [
                ("a.yaml", "changed", first),
                ("b.yaml", "removed", "--- a/b.yaml\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n"),
                ("c.yaml", "added", "--- /dev/null\n+++ b/c.yaml\n@@ -0,0 +1 @@\n+y\n"),
                ("z.bin", "changed", ""),
            ]
        );
        assert_eq!(differences(&before, &before), []);
    }

    #[test]
    fn what_a_file_says_cannot_move_the_terminals_cursor() {
        let (before, after) = (files(&[]), files(&[("a.yaml", b"\x1b[2Jgone\ttab\n")]));
        let shown = coloured(&differences(&before, &after)[0]);
        assert!(shown.contains("\x1b[32m+\u{fffd}[2Jgone\ttab\x1b[0m"), "{shown:?}");
    }
}
