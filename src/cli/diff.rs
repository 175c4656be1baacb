//! `agentpod diff`: compares the revision in force with another one, file by file, and lists the pods that differ. It
//! reads only the database, which keeps the files of both.

use std::{collections::BTreeMap, process::ExitCode};

use anyhow::{Context, Result, bail};
use serde::Serialize;
use serde_json::json;

use super::{
    Output,
    connect::{Access, Database},
    output::{self, sanitize},
    revisions::{self, NamedRevision},
};
use crate::{
    config::Settings,
    core::{names::PodId, report::comparison::PodChange},
    dashboard::pages::diff::unified,
    store::{
        RevisionRow, Store,
        view::{ChangedFile, NotComparable, RevisionLine, Side, changed_files, changed_pods},
    },
};

/// The two revisions to compare.
struct Sides {
    before: Side,
    after: Side,
    /// The ID of the one in force.
    in_force: i64,
}

/// One file that differs.
#[derive(Debug, PartialEq, Serialize)]
struct FileDifference {
    path: String,
    /// `added`, `removed` or `changed`.
    change: &'static str,
    /// The unified diff; empty for files that are not text.
    diff: String,
}

/// Runs `agentpod diff [REV]`.
pub(crate) async fn run(settings: Settings, revision: Option<String>, format: Output) -> Result<ExitCode> {
    let read = async |database: &Database| sides(&database.store, revision.as_deref()).await;
    let Sides { before, after, in_force } = Database::with(&settings, Access::Existing, read).await?;
    let files: Vec<FileDifference> =
        changed_files(&before.files, &after.files).into_iter().map(FileDifference::from).collect();
    let pods = changed_pods(&before, &after, &settings.site);
    match format {
        Output::Json | Output::Yaml => {
            let (from, to) = (RevisionLine::from(&before.row), RevisionLine::from(&after.row));
            let diff = json!({
                "from": NamedRevision::of(&from, Some(in_force)), "to": NamedRevision::of(&to, Some(in_force)),
                "files": files, "pods": pods.as_ref().ok(), "pods_unknown": pods.as_ref().err().map(ToString::to_string),
            });
            output::data(format, &diff)?;
        }
        Output::Text => {
            let title = |side: &Side| {
                let line = RevisionLine::from(&side.row);
                format!("{} ({}, {})", line.id, revisions::short(&line), revisions::state(&line, Some(in_force)))
            };
            output::print(&format!("from revision {} to {}\n", title(&before), title(&after)))?;
            for file in &files {
                output::print(&colored(file))?;
            }
            if files.is_empty() {
                output::print("no files differ\n")?;
            }
            output::print(&pods_text(&pods))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The revision in force and the named one, by default the previous accepted one.
async fn sides(store: &Store, name: Option<&str>) -> Result<Sides> {
    let Some(in_force) = store.in_force().await? else {
        bail!("no revision is in force yet, so there is nothing to compare; see agentpod revisions");
    };
    let other = match name {
        Some(name) => find(store, name).await?,
        None => match store.accepted_before(in_force.id).await? {
            Some(row) => row,
            None => bail!("revision {} is the only accepted one; name another, see agentpod revisions", in_force.id),
        },
    };
    let id = in_force.id;
    let (before, after) = if other.id < id { (other, in_force) } else { (in_force, other) };
    Ok(Sides { before: side(store, before).await?, after: side(store, after).await?, in_force: id })
}

async fn find(store: &Store, name: &str) -> Result<RevisionRow> {
    let by_number = match name.parse() {
        Ok(id) => store.revision(id).await?,
        Err(_) => None,
    };
    match by_number {
        Some(row) => Ok(row),
        None => {
            let rows = store.revisions(None, revisions::SEARCH_LIMIT as i64).await?;
            let found = rows.into_iter().find(|row| revisions::matches(&RevisionLine::from(row), name));
            found.with_context(|| revisions::not_found(name))
        }
    }
}

async fn side(store: &Store, row: RevisionRow) -> Result<Side> {
    match store.files_of(row.id).await? {
        Some(files) => Ok(Side { row, files }),
        None => bail!("the files of revision {} are no longer kept", row.id),
    }
}

impl From<ChangedFile> for FileDifference {
    fn from(file: ChangedFile) -> Self {
        let diff = match file.is_text {
            true => unified(&file.path, file.old.as_deref(), file.new.as_deref()),
            false => String::new(),
        };
        Self { path: file.path, change: file.change, diff }
    }
}

/// A file's diff in color; the output strips colors where there is no terminal.
fn colored(file: &FileDifference) -> String {
    let (bold, red, green, cyan, end) = ("\x1b[1m", "\x1b[31m", "\x1b[32m", "\x1b[36m", "\x1b[0m");
    if file.diff.is_empty() {
        return format!("{bold}{} is {}{end}\n", sanitize(&file.path), file.change);
    }
    let line = |line: &str| {
        let text = sanitize(line);
        let color = match line.chars().next() {
            _ if line.starts_with("--- ") || line.starts_with("+++ ") => bold,
            Some('-') => red,
            Some('+') => green,
            Some('@') => cyan,
            _ => return text,
        };
        format!("{color}{text}{end}")
    };
    file.diff.lines().map(line).collect::<Vec<_>>().join("\n") + "\n"
}

fn pods_text(pods: &Result<BTreeMap<PodId, PodChange>, NotComparable>) -> String {
    match pods {
        Err(error) => format!("the pods cannot be compared: {error}"),
        Ok(pods) if pods.is_empty() => "no pods differ".into(),
        Ok(pods) => pods.iter().map(|(id, change)| format!("{id} {change}")).collect::<Vec<_>>().join("\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::RevisionFiles;

    fn files(list: &[(&str, &'static [u8])]) -> RevisionFiles {
        let manifests = list.iter().map(|(path, text)| ((*path).into(), text.to_vec())).collect();
        RevisionFiles { manifests, adapters: None }
    }

    fn differences(before: &RevisionFiles, after: &RevisionFiles) -> Vec<FileDifference> {
        changed_files(before, after).into_iter().map(FileDifference::from).collect()
    }

    #[test]
    fn files_are_compared_one_by_one_and_files_that_are_not_text_are_only_named() {
        let before =
            files(&[("a.yaml", b"one\ntwo\nthree\n"), ("b.yaml", b"x\n"), ("same.yaml", b"s\n"), ("z.bin", b"\xff")]);
        let after =
            files(&[("a.yaml", b"one\n2\nthree"), ("c.yaml", b"y\n"), ("same.yaml", b"s\n"), ("z.bin", b"\xfe")]);
        let found = differences(&before, &after);
        let summary: Vec<_> = found.iter().map(|file| (file.path.as_str(), file.change, file.diff.as_str())).collect();
        let first = "--- a/a.yaml\n+++ b/a.yaml\n@@ -1,3 +1,3 @@\n one\n-two\n-three\n+2\n+three\n\\ No newline at end of file\n";
        assert_eq!(
            summary,
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
    fn a_files_content_cannot_move_the_terminals_cursor() {
        let (before, after) = (files(&[]), files(&[("a.yaml", b"\x1b[2Jgone\ttab\n")]));
        let shown = colored(&differences(&before, &after)[0]);
        assert!(shown.contains("\x1b[32m+\u{fffd}[2Jgone\ttab\x1b[0m"), "{shown:?}");
    }
}
