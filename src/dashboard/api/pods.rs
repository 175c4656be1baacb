//! Pods: lists, details, events, usage.

use super::{Api, Question, Refusal, answer, params::wrong};
use crate::{
    core::names::PodId,
    store::view::{EventQuery, PodQuery},
};

impl Api {
    pub(super) async fn pods(&self, question: &Question<'_>) -> Result<Vec<u8>, Refusal> {
        let params = &question.params;
        let query = PodQuery {
            text: params.text("text"),
            tenant: params.parsed("tenant", "a tenant's name")?,
            phases: read_word(params.text("phase"), "phase", "a phase, like Running")?.into_iter().collect(),
            adapter: params.parsed("adapter", "an adapter's name")?,
            sort: read_word(params.text("sort"), "sort", "a column, like memory")?.unwrap_or_default(),
            descending: match params.text("order").as_deref() {
                None | Some("asc") => false,
                Some("desc") => true,
                Some(other) => return Err(wrong("order", other, "asc or desc")),
            },
            limit: params.limit()?,
            after: params.text("after"),
            ..PodQuery::default()
        };
        answer::json(&self.store.view(&question.visitor.person).pods(&query).await?)
    }

    pub(super) async fn pod(&self, question: &Question<'_>) -> Result<Vec<u8>, Refusal> {
        let id = question.pod()?;
        let found = self.store.view(&question.visitor.person).pod(&id).await?;
        answer::json(&found.ok_or_else(|| missing(&id))?)
    }

    pub(super) async fn pod_usage(&self, question: &Question<'_>) -> Result<Vec<u8>, Refusal> {
        let id = question.pod()?;
        let found = self.store.view(&question.visitor.person).usage(&id).await?;
        answer::json(&found.ok_or_else(|| missing(&id))?)
    }

    pub(super) async fn pod_events(&self, question: &Question<'_>) -> Result<Vec<u8>, Refusal> {
        let id = question.pod()?;
        let view = self.store.view(&question.visitor.person);
        let query = EventQuery {
            pod: Some(id.clone()),
            kind: question.params.parsed("kind", "a kind of event")?,
            severity: question.params.parsed("severity", "info, success, warning or error")?,
            since: question.params.time("since")?,
            limit: question.params.limit()?,
            after: question.params.text("after"),
            ..EventQuery::default()
        };
        let page = view.events(&query).await?;
        // A removed pod may still have a history.
        if page.items.is_empty() && view.lines(std::slice::from_ref(&id)).await?.is_empty() {
            return Err(missing(&id));
        }
        answer::json(&page)
    }
}

impl Question<'_> {
    /// The pod in the path, if the visitor may see it.
    pub(super) fn pod(&self) -> Result<PodId, Refusal> {
        let id: Option<PodId> = self.names.join("/").parse().ok();
        id.filter(|id| self.visitor.person.sees(&id.tenant)).ok_or_else(|| Refusal::not_found("there is no such pod"))
    }
}

/// The same message for a pod that does not exist and for one that the visitor may not see.
pub(super) fn missing(id: &PodId) -> Refusal {
    Refusal::not_found(format!("there is no pod {id}"))
}

fn read_word<T: serde::de::DeserializeOwned>(
    text: Option<String>,
    name: &str,
    expected: &str,
) -> Result<Option<T>, Refusal> {
    let read = |text: String| serde_json::from_value(text.clone().into()).map_err(|_| wrong(name, &text, expected));
    text.map(read).transpose()
}
