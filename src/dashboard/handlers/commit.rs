//! `POST /dashboard/pods/new/commit`: what was filled in goes to the source, in the name of who asks. The form is judged anew
//! from what was sent and with what is in the source now; what it showed before counts for nothing.

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
    reconcile::{AddPodError, Edits},
};

impl Handlers {
    /// Where this person may commit to, for people.
    pub(crate) fn commits_to(&self, guest: &PageRequest) -> Option<String> {
        let edits = self.api.edits.as_ref().filter(|_| guest.visitor.person.role == Role::Operator);
        edits.map(|edits| edits.origin())
    }

    pub(crate) async fn commit(&self, guest: &PageRequest, sent: &RequestBody) -> Result<Response, Refusal> {
        let edits = self.edits()?;
        let person = &guest.visitor.person;
        guest.visitor.needs(person.role == Role::Operator)?;
        let filled = Filled(sent.fields());
        let in_force = self.last_accepted(filled.text("adapter")).await?;
        let adapter = super::new::find(&in_force.adapters, filled.text("adapter"))?;
        let manifest = text(&documents(adapter.metadata.name.as_str(), &adapter.config_schema, &filled));
        let not_added = match edits.add_pod(person, &manifest, guest.now).await {
            Ok((pod, added)) => {
                // Where manifests are kept is not for who sees one tenant only.
                let origin = if person.sees_all() { edits.origin() } else { "the source".into() };
                let committed = Committed { pod: pod.to_string(), place: added.location(), origin };
                return self.write(guest, &NewPodPage { committed: Some(committed), ..NewPodPage::default() });
            }
            Err(AddPodError::Forbidden(why)) => return Err(Refusal::forbidden(why)),
            Err(AddPodError::NotAdded(not_added)) => not_added,
        };
        tracing::info!("{} may not add what they sent to the source: {not_added}", person.name);
        let mut problems = not_added.problems();
        problems.truncate(SHOWN);
        if !person.sees_all() {
            return Err(Refusal::conflict(of_their_own(&problems, &file_name(&filled))));
        }
        let form = self.form(&in_force, filled.text("adapter"), &filled)?;
        let mut form = form.judged(lines::problems(&problems), &file_name(&filled));
        form.verdict = "Not committed".into();
        let mut answer = self.write(guest, &NewPodPage { form: Some(form), ..NewPodPage::default() })?;
        *answer.status_mut() = StatusCode::CONFLICT;
        Ok(answer)
    }

    fn edits(&self) -> Result<&Edits, Refusal> {
        let off =
            || Refusal::forbidden("AgentPod was started without --edits commit; download the manifest and save it");
        self.api.edits.as_deref().ok_or_else(off)
    }
}

/// What a tenant's own operator is told: what is wrong with their file, without advice that names other tenants' files.
fn of_their_own(problems: &[Problem], file: &str) -> String {
    let stem = file.trim_end_matches(".yaml");
    let own = problems.iter().filter(|problem| problem.file.starts_with(stem) || problem.file == "pod.yaml");
    let told: Vec<String> = own.map(|problem| format!("{}: {}", problem.file, problem.what)).collect();
    if told.is_empty() {
        "nothing was committed: the source cannot be added to just now; an operator of all tenants sees why".into()
    } else {
        format!("nothing was committed: {}", told.join("; "))
    }
}
