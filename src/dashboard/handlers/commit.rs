//! `POST /dashboard/pods/new/commit`: commits the form's manifest to the source, in the visitor's name. The form is checked
//! again against the current source; what the page showed before does not count.

use warp::{http::StatusCode, reply::Response};

use super::{Handlers, PageRequest, RequestBody, lines, new::SHOWN};
use crate::{
    core::{access::Role, problem::Problem},
    dashboard::{
        pages::{
            fields::Filled,
            new::{Committed, NewPodPage, documents, file_name, text},
        },
        refusal::Refusal,
    },
    reconcile::{EditError, Edits},
};

impl Handlers {
    /// Where this person may commit to, for people.
    pub(crate) fn commits_to(&self, page_request: &PageRequest) -> Option<String> {
        let edits = self.api.edits.as_ref().filter(|_| page_request.visitor.person.role == Role::Operator);
        edits.map(|edits| edits.origin())
    }

    pub(crate) async fn commit(&self, page_request: &PageRequest, sent: &RequestBody) -> Result<Response, Refusal> {
        let edits = self.edits()?;
        let person = &page_request.visitor.person;
        page_request.visitor.needs(person.role == Role::Operator)?;
        let filled = Filled(sent.fields());
        let in_force = self.last_accepted(filled.text("adapter")).await?;
        let adapter = super::new::find(&in_force.adapters, filled.text("adapter"))?;
        let manifest = text(&documents(adapter.metadata.name.as_str(), &adapter.config_schema, &filled));
        let not_edited = match edits.add_pod(person, &manifest, page_request.now).await {
            Ok((pod, added)) => {
                // A tenant's person does not see where manifests are kept.
                let origin = if person.sees_all() { edits.origin() } else { "the source".into() };
                let committed = Committed { pod: pod.to_string(), place: added.location(), origin };
                return self.write(page_request, &NewPodPage { committed: Some(committed), ..NewPodPage::default() });
            }
            Err(EditError::Forbidden(why)) => return Err(Refusal::forbidden(why)),
            Err(EditError::NotEdited(not_edited)) => not_edited,
        };
        tracing::info!("a manifest from {} was not added to the source: {not_edited}", person.name);
        let mut problems = not_edited.problems();
        problems.truncate(SHOWN);
        if !person.sees_all() {
            return Err(Refusal::conflict(of_their_own(&problems, &file_name(&filled))));
        }
        let form = self.form(&in_force, filled.text("adapter"), &filled)?;
        let mut form = form.checked(lines::problems(&problems), &file_name(&filled));
        form.verdict = "Not committed".into();
        let mut answer = self.write(page_request, &NewPodPage { form: Some(form), ..NewPodPage::default() })?;
        *answer.status_mut() = StatusCode::CONFLICT;
        Ok(answer)
    }

    pub(crate) fn edits(&self) -> Result<&Edits, Refusal> {
        let off = || {
            Refusal::forbidden(
                "commits are disabled: AgentPod was started without --edits commit; download the manifest and save it below the source",
            )
        };
        self.api.edits.as_deref().ok_or_else(off)
    }
}

/// What a tenant's own operator may read: problems of their file, without advice that names other tenants' files.
pub(crate) fn of_their_own(problems: &[Problem], file: &str) -> String {
    let stem = file.trim_end_matches(".yaml");
    let own = problems.iter().filter(|problem| problem.file.starts_with(stem) || problem.file == "pod.yaml");
    let problems: Vec<String> = own.map(|problem| format!("{}: {}", problem.file, problem.what)).collect();
    if problems.is_empty() {
        "nothing was committed, because the source has problems; an operator of all tenants can see them".into()
    } else {
        format!("nothing was committed: {}", problems.join("; "))
    }
}
