//! `/dashboard/pods/T/P/logs`: the newest lines, without secrets. A script reads further ones from the API.

use futures_util::StreamExt;

use super::{
    Handlers, PageRequest, lines,
    pod::{id, missing},
};
use crate::{
    core::names::PodId,
    dashboard::{
        pages::logs::{LogEntry, LogsPage},
        refusal::Refusal,
    },
    engine::LogQuery,
    reconcile::LogUnavailable,
};

/// How many lines the page itself shows.
const LINES: usize = 300;

/// Why a page has no log lines, as it says it.
#[derive(Debug, thiserror::Error)]
enum NoLines {
    #[error("This AgentPod is a standby and does not know the secrets to redact; ask the active one.")]
    Standby,
    #[error("The log cannot be shown: {0}.")]
    Unavailable(#[from] LogUnavailable),
}

impl Handlers {
    pub(crate) async fn logs(&self, page_request: &PageRequest, tenant: &str, name: &str) -> Result<LogsPage, Refusal> {
        let id = id(tenant, name)?;
        let found = self.api.store.view(&page_request.visitor.person).lines(std::slice::from_ref(&id)).await?;
        let line = found.first().ok_or_else(|| missing(&id))?;
        let (shown, note) = match self.newest(&id).await {
            Ok(lines) if lines.is_empty() => (lines, Some("The log is empty so far.".to_owned())),
            Ok(lines) => (lines, None),
            Err(why) => (Vec::new(), Some(why.to_string())),
        };
        let address = format!("/api/v1/pods/{id}/logs");
        Ok(LogsPage {
            pod: lines::name(&id),
            container: line.container.clone(),
            lines: shown,
            download: format!("{address}?tail=10000&timestamps=true"),
            stream: address,
            file: format!("{}-{}.log", id.tenant, id.pod),
            note,
        })
    }

    /// The newest lines, or why there are none.
    async fn newest(&self, id: &PodId) -> Result<Vec<LogEntry>, NoLines> {
        let logs = self.api.logs.borrow().clone().ok_or(NoLines::Standby)?;
        let query = LogQuery { tail: LINES, follow: false, timestamps: true };
        let mut stream = logs.read(id, query).await?;
        let mut lines = Vec::new();
        while let Some(Ok(line)) = stream.next().await {
            lines.push(LogEntry::new(line.at.as_deref().unwrap_or_default(), line.err, line.text));
        }
        Ok(lines)
    }
}
