//! `agentpod edit`: changes or removes a pod in the source. The change is made in the file's own text, shown as a diff, and
//! committed after a yes.

use std::{
    io::{Read, Seek, Write},
    process::{Command, ExitCode},
};

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::{Map, Value};

use super::{
    ask,
    backend::{ApiClient, Target},
    connect::{self, Access, Database},
    output::{self, sanitize},
};
use crate::{
    config::Settings,
    core::{
        access::{Person, Role},
        declare::document,
        names::PodId,
    },
    dashboard::api::{EditLine, ManifestEdit, ManifestLine},
    reconcile::{self, EditError, Edits},
};

/// What to change.
#[derive(Debug, Args)]
pub(crate) struct EditOptions {
    /// Set a value below spec, like config.model=provider/model or state=stopped; repeatable
    #[arg(long = "set", value_name = "PATH=VALUE")]
    set: Vec<String>,
    /// Remove a value below spec, like config.model; repeatable
    #[arg(long = "unset", value_name = "PATH")]
    unset: Vec<String>,
    /// Remove the pod from the source; its data is kept
    #[arg(long, conflicts_with_all = ["set", "unset"])]
    remove: bool,
    /// Only show the change
    #[arg(long)]
    dry_run: bool,
    /// Do not ask for confirmation
    #[arg(short, long)]
    yes: bool,
}

/// Where the manifest is.
enum Place {
    Local(Box<Settings>, Database, Person),
    Remote(Box<ApiClient>),
}

/// Runs `agentpod edit`.
pub(crate) async fn run(target: Target, id: &PodId, options: EditOptions) -> Result<ExitCode> {
    let place = match target {
        Target::Remote(server) => Place::Remote(Box::new(ApiClient::new(server)?)),
        Target::Local(settings) => {
            let database = Database::open(&settings, Access::Existing).await?;
            let person = Person { name: ask::actor_at_host(), role: Role::Operator, tenant: None };
            Place::Local(settings, database, person)
        }
    };
    let outcome = edit(&place, id, options).await;
    if let Place::Local(_, database, _) = place {
        database.close().await?;
    }
    outcome
}

async fn edit(place: &Place, id: &PodId, options: EditOptions) -> Result<ExitCode> {
    let found = place.manifest(id).await?;
    let change = if options.remove {
        ManifestEdit { remove: true, ..ManifestEdit::default() }
    } else if options.set.is_empty() && options.unset.is_empty() {
        match in_editor(&found.text)? {
            Some(text) => ManifestEdit { text: Some(text), ..ManifestEdit::default() },
            None => {
                output::print("nothing was changed")?;
                return Ok(ExitCode::SUCCESS);
            }
        }
    } else {
        ManifestEdit { patch: Some(patch(&options.set, &options.unset)?), ..ManifestEdit::default() }
    };
    let change = ManifestEdit { seen: Some(found.mark), ..change };
    let shown = place.edit(id, change.clone()).await?;
    output::print(shown.diff.lines().map(colored).collect::<Vec<_>>().join("\n").as_str())?;
    let question = if options.remove { format!("Remove {id} from the source") } else { "Commit this change".into() };
    if options.dry_run || !ask::confirm(&question, options.yes).await? {
        eprintln!("nothing was changed");
        return Ok(ExitCode::SUCCESS);
    }
    let done = place.edit(id, ManifestEdit { commit: true, ..change }).await?;
    output::print(&format!("changed {}", sanitize(&done.committed.unwrap_or_default())))?;
    Ok(ExitCode::SUCCESS)
}

impl Place {
    async fn manifest(&self, id: &PodId) -> Result<ManifestLine> {
        let found = match self {
            Self::Local(_, database, person) => {
                let found = reconcile::manifest(&database.store, id).await?;
                found.map(|found| ManifestLine::of(found, person))
            }
            Self::Remote(client) => client.find(&format!("/pods/{id}/manifest")).await?,
        };
        found.with_context(|| format!("the revision in force declares no pod {id}; list the pods with agentpod status"))
    }

    async fn edit(&self, id: &PodId, change: ManifestEdit) -> Result<EditLine> {
        match self {
            Self::Remote(client) => client.post(&format!("/pods/{id}/manifest"), &change).await,
            Self::Local(settings, database, person) => {
                let edit = change.of_pod(id).context("there is nothing to change")?;
                let prepared = reconcile::preview(&database.store, &settings.site, person, edit.clone()).await?;
                let prepared = prepared.context("no revision is in force")?.map_err(|error| why(&error))?;
                let mut line = EditLine::of(id, &prepared, person);
                if change.commit {
                    let (source, folders) = (connect::source(settings), connect::folders(settings));
                    let edits = Edits::new(source, folders, settings.site.clone(), database.store.clone());
                    let edited =
                        edits.edit_pod(person, edit, crate::clock::now()).await.map_err(|error| why(&error))?;
                    line.committed = Some(edited.location());
                }
                Ok(line)
            }
        }
    }
}

fn why(error: &EditError) -> anyhow::Error {
    match error {
        EditError::Forbidden(why) => anyhow::anyhow!("{why}"),
        EditError::NotEdited(not_edited) => {
            let problems: Vec<String> = not_edited.problems().iter().map(ToString::to_string).collect();
            anyhow::anyhow!("{}", problems.join("\n"))
        }
    }
}

/// The merge patch of some settings below `spec`.
fn patch(set: &[String], unset: &[String]) -> Result<Value> {
    let mut patch = Value::Object(Map::new());
    for setting in set {
        let Some((path, text)) = setting.split_once('=') else { bail!("--set {setting}: write PATH=VALUE") };
        let (documents, _) = document::read("value", text.as_bytes());
        // What is not YAML is a text.
        let value = documents.first().map_or_else(|| text.into(), |found| found.root.to_json());
        insert(&mut patch, path, value)?;
    }
    for path in unset {
        insert(&mut patch, path, Value::Null)?;
    }
    Ok(serde_json::json!({ "spec": patch }))
}

fn insert(patch: &mut Value, path: &str, value: Value) -> Result<()> {
    let mut at = patch;
    for part in path.split('.') {
        if part.is_empty() {
            bail!("{path:?} is not a path like config.model");
        }
        let Value::Object(entries) = at else { bail!("{path} is inside a value that is set as a whole") };
        at = entries.entry(part).or_insert_with(|| Value::Object(Map::new()));
    }
    *at = value;
    Ok(())
}

/// Opens the text in the user's editor; `None` if it was left as it is.
fn in_editor(text: &str) -> Result<Option<String>> {
    let editor = ["VISUAL", "EDITOR"].into_iter().find_map(|name| std::env::var(name).ok().filter(|it| !it.is_empty()));
    let editor = editor.context("set EDITOR to open the manifest in an editor, or use --set, --unset or --remove")?;
    let mut file = tempfile::Builder::new().prefix("agentpod-").suffix(".yaml").tempfile()?;
    file.write_all(text.as_bytes())?;
    file.flush()?;
    // As git and kubectl do: the variable may have arguments.
    let status = Command::new("sh").arg("-c").arg(format!("{editor} \"$1\"")).arg("sh").arg(file.path()).status()?;
    if !status.success() {
        bail!("the editor ended with {status}, so nothing was changed");
    }
    // Editors may replace the file.
    let mut changed = String::new();
    match std::fs::File::open(file.path()) {
        Ok(mut other) => other.read_to_string(&mut changed)?,
        Err(_) => {
            file.rewind()?;
            file.read_to_string(&mut changed)?
        }
    };
    Ok((changed != text).then_some(changed))
}

/// A line of a diff in color; the output strips colors where there is no terminal.
fn colored(line: &str) -> String {
    let text = sanitize(line);
    let color = match line.chars().next() {
        _ if line.starts_with("--- ") || line.starts_with("+++ ") => "\x1b[1m",
        Some('-') => "\x1b[31m",
        Some('+') => "\x1b[32m",
        Some('@') => "\x1b[36m",
        _ => return text,
    };
    format!("{color}{text}\x1b[0m")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn settings_on_the_command_line_become_a_patch_of_the_spec() {
        let list = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let made = patch(&list(&["config.model=a/b", "config.n=3", "state=stopped"]), &list(&["resources.cpus"]));
        assert_eq!(
            made.unwrap(),
            json!({"spec": {"config": {"model": "a/b", "n": 3}, "state": "stopped", "resources": {"cpus": null}}})
        );
        for wrong in ["config.model", "=1", "config..x=1"] {
            assert!(patch(&list(&[wrong]), &[]).is_err(), "{wrong}");
        }
    }
}
