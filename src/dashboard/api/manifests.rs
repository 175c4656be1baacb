//! How a pod is declared, and changes of it in the source. A change is shown first, and made when it is asked for with
//! `commit`; the file must then still be the one that was looked at.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use warp::{
    Reply,
    http::{HeaderValue, StatusCode},
    reply::Response,
};

use super::{Api, Question, Refusal, answer, params::Params, pods::missing};
use crate::{
    core::{
        access::{Person, Role},
        declare::pod_edit::{ManifestChange, PodEdit, PodManifest, PreparedEdit},
        names::PodId,
        problem::Problem,
    },
    dashboard::{
        auth::{RequestBody, Visitor},
        pages::diff::unified,
    },
    reconcile::{self, EditError},
    source::NotEdited,
};

/// The name of the file in diffs for people who see one tenant.
const OWN_FILE: &str = "pod.yaml";

/// How a pod is declared in the revision in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct ManifestLine {
    /// The file, below the source's root; absent for people who see one tenant.
    pub(crate) file: Option<String>,
    /// The line on which it begins.
    pub(crate) line: usize,
    /// Its own lines, with the comments above it.
    pub(crate) text: String,
    /// A mark that changes with the file.
    pub(crate) mark: String,
}

/// A change of a pod's manifest: one of `patch`, `text` and `remove`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ManifestEdit {
    /// A JSON merge patch (RFC 7396) of its document, like `{"spec": {"config": {"model": "…"}}}`. Comments, order and
    /// quoting of everything else stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) patch: Option<Value>,
    /// Other lines in place of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) text: Option<String>,
    /// Whether to remove it.
    #[serde(default)]
    pub(crate) remove: bool,
    /// The mark of the file that was looked at; if the file has another by now, nothing is changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) seen: Option<String>,
    /// Whether to make the change; otherwise it is only shown.
    #[serde(default)]
    pub(crate) commit: bool,
}

/// What a change does, or did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct EditLine {
    /// The pod.
    pub(crate) pod: PodId,
    /// The change as a unified diff.
    pub(crate) diff: String,
    /// The mark of the file before.
    pub(crate) mark: String,
    /// Where it was made: the file, and the commit if there are commits; absent if it was only shown.
    pub(crate) committed: Option<String>,
}

impl ManifestLine {
    /// A manifest as a person may see it.
    pub(crate) fn of(found: PodManifest, person: &Person) -> Self {
        let PodManifest { file, line, text, mark, .. } = found;
        Self { file: person.sees_all().then_some(file), line, text, mark }
    }
}

impl ManifestEdit {
    /// The edit of a pod; `None` unless it says exactly one thing.
    pub(crate) fn of_pod(&self, id: &PodId) -> Option<PodEdit> {
        let change = match (&self.patch, &self.text, self.remove) {
            (Some(patch), None, false) => ManifestChange::Merge(patch.clone()),
            (None, Some(text), false) => ManifestChange::Text(text.clone()),
            (None, None, true) => ManifestChange::Remove,
            _ => return None,
        };
        Some(PodEdit { id: id.clone(), change, seen: self.seen.clone() })
    }
}

impl EditLine {
    /// A change as a person may see it: what else is in the file only if they see all tenants.
    pub(crate) fn of(id: &PodId, prepared: &PreparedEdit, person: &Person) -> Self {
        let change = &prepared.change;
        let diff = if person.sees_all() {
            let before = change.before.as_deref().map(String::from_utf8_lossy);
            unified(&change.path, before.as_deref(), change.after.as_deref())
        } else {
            let after = (!prepared.own_after.is_empty()).then_some(prepared.own_after.as_str());
            unified(OWN_FILE, Some(&prepared.own_before), after)
        };
        Self { pod: id.clone(), diff, mark: prepared.mark.clone(), committed: None }
    }
}

impl Api {
    /// A manifest's text may have more in it than what a viewer sees of a pod, so it is for operators.
    pub(super) async fn manifest(&self, question: &Question<'_>) -> Result<Vec<u8>, Refusal> {
        let id = question.pod()?;
        let person = &question.visitor.person;
        question.visitor.needs(person.role == Role::Operator)?;
        let found = reconcile::manifest(&self.store, &id).await?.ok_or_else(|| missing(&id))?;
        answer::json(&ManifestLine::of(found, person))
    }

    pub(super) async fn edit_manifest(
        &self,
        visitor: &Visitor,
        sent: &RequestBody,
        names: Vec<String>,
    ) -> Result<Response, Refusal> {
        let question = Question { visitor, names, params: Params::read("", &[])? };
        let id = question.pod()?;
        let (sent, person) = (sent.json::<ManifestEdit>()?, &visitor.person);
        let edit = sent.of_pod(&id);
        let edit = edit.ok_or_else(|| Refusal::bad_request("say exactly one of patch, text and remove"))?;
        let site = self.settings.site.clone().ok_or_else(Refusal::internal)?;
        let prepared = reconcile::preview(&self.store, &site, person, edit.clone()).await?;
        let prepared = prepared.ok_or_else(|| missing(&id))?;
        let mut line = match prepared {
            Ok(prepared) => EditLine::of(&id, &prepared, person),
            Err(error) => return Err(refused(error, person)),
        };
        if sent.commit {
            let edits = self.edits.as_ref().ok_or_else(|| {
                Refusal::forbidden("commits are disabled: AgentPod was started without --edits commit")
            })?;
            // What is committed is what was shown.
            let edit = PodEdit { seen: Some(line.mark.clone()), ..edit };
            let edited = edits.edit_pod(person, edit, (self.clock)()).await.map_err(|error| refused(error, person))?;
            line.committed = Some(match person.sees_all() {
                true => edited.location(),
                false => "the source".into(),
            });
        }
        let body = answer::json(&line)?;
        let mut response = warp::reply::with_status(body, StatusCode::OK).into_response();
        response.headers_mut().insert("content-type", HeaderValue::from_static(answer::JSON));
        Ok(response)
    }
}

/// Why nothing was changed, without other tenants' files for people who see one.
fn refused(error: EditError, person: &Person) -> Refusal {
    let say = |problem: &Problem| match person.sees_all() {
        true => problem.to_string(),
        false => problem.what.clone(),
    };
    match error {
        EditError::Forbidden(why) => Refusal::forbidden(why),
        EditError::NotEdited(NotEdited::Problems(problems)) => {
            let said: Vec<String> = problems.iter().take(10).map(say).collect();
            Refusal::conflict(said.join("\n"))
        }
        EditError::NotEdited(_) if !person.sees_all() => {
            Refusal::conflict("the source cannot be read or written; an operator of all tenants can see why")
        }
        EditError::NotEdited(other) => Refusal::conflict(other.to_string()),
    }
}
