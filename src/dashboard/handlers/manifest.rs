//! `/dashboard/pods/T/P/manifest`: shows how a pod is declared, and changes or removes it. A change is computed anew when it
//! is committed, and refused if the file is no longer the one that was looked at.

use serde_json::{Map, Value, json};
use warp::{http::StatusCode, reply::Response};

use super::{
    Handlers, PageRequest, RequestBody,
    commit::of_their_own,
    lines,
    new::{self, SHOWN},
    pod::{id, missing},
};
use crate::{
    core::{
        access::{Person, Role},
        declare::pod_edit::{ManifestChange, PodEdit, PodManifest, PreparedEdit},
        names::PodId,
    },
    dashboard::{
        pages::{
            diff::{DiffPage, unified},
            fields::{Filled, edited, fields, filled_with},
            manifest::{CommittedEdit, EditForm, EditPreview, ManifestPage},
            new::number_or_text,
        },
        refusal::Refusal,
    },
    reconcile::{self, EditError},
    source::NotEdited,
};

impl Handlers {
    pub(crate) async fn manifest(
        &self,
        page_request: &PageRequest,
        tenant: &str,
        name: &str,
    ) -> Result<ManifestPage, Refusal> {
        let id = id(tenant, name)?;
        let found = self.declared_at(page_request, &id).await?;
        self.manifest_page(page_request, &id, &found, None).await
    }

    /// Previews or commits a change.
    pub(crate) async fn edit_manifest(
        &self,
        page_request: &PageRequest,
        tenant: &str,
        name: &str,
        sent: &RequestBody,
    ) -> Result<Response, Refusal> {
        let id = id(tenant, name)?;
        let found = self.declared_at(page_request, &id).await?;
        let filled = Filled(sent.fields());
        let edit = PodEdit {
            id: id.clone(),
            change: self.change(&found, &filled).await?,
            seen: filled.get("seen").map(str::to_owned),
        };
        let person = &page_request.visitor.person;
        let removes = edit.change == ManifestChange::Remove;
        let outcome = if filled.get("do") == Some("commit") {
            self.edits()?.edit_pod(person, edit, page_request.now).await.map(Done::Committed)
        } else {
            let site = self.api.settings.site.clone().ok_or_else(Refusal::internal)?;
            let prepared = reconcile::preview(&self.api.store, &site, person, edit).await?;
            prepared.ok_or_else(|| missing(&id))?.map(Done::Prepared)
        };
        let mut page = self.manifest_page(page_request, &id, &found, Some(&filled)).await?;
        match outcome {
            Ok(Done::Committed(edited)) => {
                let verb = if removes { "removed" } else { "changed" };
                page.committed = Some(CommittedEdit { title: format!("{id} was {verb}"), place: edited.location() });
                self.write(page_request, &page)
            }
            Ok(Done::Prepared(prepared)) => {
                page.preview = Some(preview(&prepared, person.sees_all(), removes, filled));
                self.write(page_request, &page)
            }
            Err(EditError::Forbidden(why)) => Err(Refusal::forbidden(why)),
            Err(EditError::NotEdited(not_edited)) => {
                page.preview = Some(refused(person, &id, &found.file, &not_edited, filled)?);
                let mut answer = self.write(page_request, &page)?;
                *answer.status_mut() = StatusCode::CONFLICT;
                Ok(answer)
            }
        }
    }

    /// The manifest in force. Its text may have more in it than what a viewer sees of a pod, so it is for operators.
    async fn declared_at(&self, page_request: &PageRequest, id: &PodId) -> Result<PodManifest, Refusal> {
        let person = &page_request.visitor.person;
        if !person.sees(&id.tenant) {
            return Err(missing(id));
        }
        page_request.visitor.needs(person.role == Role::Operator)?;
        let found = reconcile::manifest(&self.api.store, id).await?;
        found.ok_or_else(|| Refusal::not_found(format!("The revision in force declares no pod {id}.")))
    }

    async fn manifest_page(
        &self,
        page_request: &PageRequest,
        id: &PodId,
        found: &PodManifest,
        sent: Option<&Filled>,
    ) -> Result<ManifestPage, Refusal> {
        let is_form = sent.is_some_and(|sent| sent.get("what") == Some("form"));
        let text = sent.filter(|sent| sent.get("what") == Some("text")).and_then(|sent| raw(sent, "text"));
        Ok(ManifestPage {
            pod: lines::name(id),
            // A tenant's person does not see where manifests are kept.
            place: match page_request.visitor.person.sees_all() {
                true => format!("{}, line {}", found.file, found.line),
                false => String::new(),
            },
            text: text.unwrap_or_else(|| found.text.clone()),
            mark: found.mark.clone(),
            form: self.edit_form(found, sent.filter(|_| is_form)).await?,
            commits_to: self.commits_to(page_request),
            preview: None,
            committed: None,
        })
    }

    async fn edit_form(&self, found: &PodManifest, sent: Option<&Filled>) -> Result<Option<EditForm>, Refusal> {
        let spec = &found.value["spec"];
        let in_force = self.last_accepted("").await?;
        let Ok(adapter) = new::find(&in_force.adapters, spec["adapter"].as_str().unwrap_or_default()) else {
            return Ok(None);
        };
        let stored = Filled(filled_with(&adapter.config_schema, &spec["config"]));
        let text = |name: &str, value: &Value| match sent {
            Some(sent) => sent.text(name).to_owned(),
            None => plain(value),
        };
        let resources = adapter.spec.resources;
        Ok(Some(EditForm {
            state: text("state", &spec["state"]),
            memory: text("memory", &spec["resources"]["memory"]),
            cpus: text("cpus", &spec["resources"]["cpus"]),
            default_memory: resources.memory.map(|memory| memory.to_string()).unwrap_or_default(),
            default_cpus: resources.cpus.map(|cpus| cpus.to_string()).unwrap_or_default(),
            fields: fields(&adapter.config_schema, sent.unwrap_or(&stored)),
        }))
    }

    /// What the form asks for.
    async fn change(&self, found: &PodManifest, filled: &Filled) -> Result<ManifestChange, Refusal> {
        match filled.text("what") {
            "remove" => Ok(ManifestChange::Remove),
            "text" => {
                // Browsers send lines with CR LF, whatever the file has.
                let text = raw(filled, "text").unwrap_or_default().replace("\r\n", "\n");
                Ok(ManifestChange::Text(if found.text.contains("\r\n") { text.replace('\n', "\r\n") } else { text }))
            }
            "form" => {
                let spec = &found.value["spec"];
                let in_force = self.last_accepted("").await?;
                let adapter = new::find(&in_force.adapters, spec["adapter"].as_str().unwrap_or_default())?;
                let none = Map::new();
                let before = spec["config"].as_object().unwrap_or(&none);
                let after = edited(&adapter.config_schema, filled, before);
                let mut patch = Map::new();
                patch.insert("config".into(), difference(before, &after));
                let limit = |name: &str| {
                    let (old, text) = (&spec["resources"][name], filled.text(name));
                    (plain(old) != text).then(|| if text.is_empty() { Value::Null } else { number_or_text(text) })
                };
                let limits = ["memory", "cpus"].into_iter().filter_map(|name| Some((name.to_owned(), limit(name)?)));
                patch.insert("resources".into(), Value::Object(limits.collect()));
                match (spec["state"].as_str(), filled.text("state")) {
                    (None, "running" | "") => {}
                    (old, new) if old == Some(new) => {}
                    (_, new) => drop(patch.insert("state".into(), new.into())),
                }
                patch.retain(|_, value| value.as_object().is_none_or(|inner| !inner.is_empty()));
                Ok(ManifestChange::Merge(json!({"spec": patch})))
            }
            _ => Err(Refusal::bad_request("The form does not say what to change.")),
        }
    }
}

/// Why a change cannot be made, without other tenants' files for a tenant's person.
fn refused(
    person: &Person,
    id: &PodId,
    file: &str,
    not_edited: &NotEdited,
    filled: Filled,
) -> Result<EditPreview, Refusal> {
    tracing::info!("a change of {id} by {} was not made: {not_edited}", person.name);
    let mut problems = not_edited.problems();
    problems.truncate(SHOWN);
    if !person.sees_all() {
        return Err(Refusal::conflict(of_their_own(&problems, file)));
    }
    Ok(EditPreview {
        title: "This cannot be done".into(),
        diff: None,
        patch: String::new(),
        problems: lines::problems(&problems),
        sent: filled.0,
        removes: false,
    })
}

/// What a form led to.
enum Done {
    Prepared(PreparedEdit),
    Committed(crate::source::Edited),
}

/// A change to be looked at. A tenant's person sees the pod's own lines, and not what else is in the file.
fn preview(prepared: &PreparedEdit, sees_all: bool, removes: bool, filled: Filled) -> EditPreview {
    let change = &prepared.change;
    let whole = change.before.as_deref().map(|before| String::from_utf8_lossy(before).into_owned()).unwrap_or_default();
    let (before, after, file) = match sees_all {
        true => (whole, change.after.clone().unwrap_or_default(), change.path.as_str()),
        false => (prepared.own_before.clone(), prepared.own_after.clone(), "pod.yaml"),
    };
    let mut sent: Vec<(String, String)> = filled.0;
    sent.retain(|(name, _)| !matches!(name.as_str(), "csrf" | "do" | "seen"));
    sent.push(("seen".into(), prepared.mark.clone()));
    EditPreview {
        title: match (removes, change.after.is_none()) {
            (true, true) => format!("This would remove the pod, and the file {file} with it"),
            (true, false) => format!("This would remove the pod from {file}"),
            _ => format!("This would change {file}"),
        },
        patch: unified(file, Some(&before), change.after.as_ref().map(|_| after.as_str())),
        diff: Some(DiffPage::of(&before, &after)),
        problems: Vec::new(),
        sent,
        removes,
    }
}

/// The merge patch that leads from one mapping to the other.
fn difference(before: &Map<String, Value>, after: &Map<String, Value>) -> Value {
    let gone = before.keys().filter(|key| !after.contains_key(*key)).map(|key| (key.clone(), Value::Null));
    let changed = after.iter().filter_map(|(key, value)| match (before.get(key), value) {
        (Some(old), new) if old == new => None,
        (Some(Value::Object(old)), Value::Object(new)) => Some((key.clone(), difference(old, new))),
        (_, value) => Some((key.clone(), value.clone())),
    });
    Value::Object(gone.chain(changed).collect())
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The last value of a field as it was sent.
fn raw(filled: &Filled, name: &str) -> Option<String> {
    filled.0.iter().rev().find(|(field, _)| field == name).map(|(_, value)| value.clone())
}
