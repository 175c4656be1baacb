//! Everything except pods: tenants, adapters, the source, events, settings.

use super::{Api, Question, Refusal, answer};
use crate::store::view::EventQuery;

impl Api {
    pub(super) async fn tenants(&self, question: &Question<'_>) -> Result<Vec<u8>, Refusal> {
        answer::json(&self.store.view(&question.visitor.person).tenants().await?)
    }

    pub(super) async fn tenant(&self, question: &Question<'_>) -> Result<Vec<u8>, Refusal> {
        let missing = || Refusal::not_found("there is no such tenant");
        let name = question.names.first().and_then(|name| name.parse().ok()).ok_or_else(missing)?;
        answer::json(&self.store.view(&question.visitor.person).tenant(&name).await?.ok_or_else(missing)?)
    }

    pub(super) async fn adapters(&self, question: &Question<'_>) -> Result<Vec<u8>, Refusal> {
        let found = self.store.view(&question.visitor.person).adapters().await?;
        answer::json(&found.ok_or_else(|| fleet_wide(question))?)
    }

    pub(super) async fn source(&self, question: &Question<'_>) -> Result<Vec<u8>, Refusal> {
        let found = self.store.view(&question.visitor.person).source().await?;
        answer::json(&found.ok_or_else(|| fleet_wide(question))?)
    }

    pub(super) async fn revisions(&self, question: &Question<'_>) -> Result<Vec<u8>, Refusal> {
        let (limit, after) = (question.params.limit()?, question.params.text("after"));
        let found = self.store.view(&question.visitor.person).revisions(limit, after.as_deref()).await?;
        answer::json(&found.ok_or_else(|| fleet_wide(question))?)
    }

    pub(super) async fn revision(&self, question: &Question<'_>) -> Result<Vec<u8>, Refusal> {
        question.visitor.needs(question.visitor.person.sees_all())?;
        let missing = || Refusal::not_found("there is no such revision");
        let found = self.store.view(&question.visitor.person).revision(question.number().ok_or_else(missing)?).await?;
        answer::json(&found.ok_or_else(missing)?)
    }

    pub(super) async fn events(&self, question: &Question<'_>) -> Result<Vec<u8>, Refusal> {
        let params = &question.params;
        let query = EventQuery {
            pod: None,
            tenant: params.parsed("tenant", "a tenant's name")?,
            kind: params.parsed("kind", "a kind of event")?,
            severity: params.parsed("severity", "info, success, warning or error")?,
            since: params.time("since")?,
            limit: params.limit()?,
            after: params.text("after"),
        };
        answer::json(&self.store.view(&question.visitor.person).events(&query).await?)
    }

    pub(super) fn settings(&self, question: &Question<'_>) -> Result<Vec<u8>, Refusal> {
        question.visitor.needs(question.visitor.person.sees_all())?;
        answer::json(&self.settings)
    }
}

impl Question<'_> {
    /// The number in the path.
    pub(super) fn number(&self) -> Option<i64> {
        self.names.first()?.parse().ok()
    }
}

fn fleet_wide(question: &Question<'_>) -> Refusal {
    Refusal::forbidden(format!("{} may see one tenant only, and this covers all", question.visitor.person.name))
}
