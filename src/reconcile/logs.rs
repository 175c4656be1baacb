//! A container's log for people, without the secrets it holds. Which these are only the reconciler knows, in memory; it is
//! asked between two rounds. What they are leaves this module inside a redactor only.

use std::{fmt, sync::Arc, time::Duration};

use futures_util::{StreamExt, stream::BoxStream};
use tokio::sync::{mpsc, oneshot};

use super::{Reconciler, redact::Redactor, triggers::Report};
use crate::{
    core::names::PodId,
    engine::{Engine, EngineError, LogQuery},
};

/// How long the reconciler may take to say what must be left out.
const ASKING: Duration = Duration::from_secs(5);

/// Reads logs, as long as its reconciler runs.
#[derive(Clone)]
pub struct Logs {
    engine: Arc<dyn Engine>,
    reports: mpsc::UnboundedSender<Report>,
}

/// Why there is no log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoLog {
    /// Nothing stands for the pod.
    #[error("it has no container")]
    NoContainer,
    /// What must be left out is not known.
    #[error("{0}")]
    Unsafe(String),
    /// The engine did not give it.
    #[error("{0}")]
    Engine(#[from] EngineError),
    /// The reconciler is busy with something that takes long, or has ended.
    #[error("AgentPod did not say in time what must be left out")]
    NoAnswer,
}

/// A container, and what finds its secrets.
pub(super) type Revealed = Result<(String, Redactor), NoLog>;

impl Logs {
    /// The log of the container that stands for a pod.
    pub async fn read(&self, pod: &PodId, query: LogQuery) -> Result<BoxStream<'static, Result<String, NoLog>>, NoLog> {
        let (answer, answered) = oneshot::channel();
        self.reports.send(Report::Reveal(pod.clone(), answer)).map_err(|_| NoLog::NoAnswer)?;
        let answered = tokio::time::timeout(ASKING, answered).await;
        let (container, redactor) = answered.ok().and_then(Result::ok).ok_or(NoLog::NoAnswer)??;
        let lines = self.engine.logs(&container, query).await?;
        Ok(lines.map(move |line| Ok(redactor.clean(&line?.text))).boxed())
    }
}

impl fmt::Debug for Logs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Logs")
    }
}

impl Reconciler {
    /// What reads logs while this reconciler runs.
    pub fn logs(&self) -> Logs {
        Logs { engine: self.engine.clone(), reports: self.reports.clone() }
    }

    /// Which container stands for a pod, and what must not be shown of what it wrote.
    pub(super) fn reveal(&self, pod: &PodId) -> Revealed {
        let container = self.statuses.get(pod).and_then(|status| status.container.clone()).ok_or(NoLog::NoContainer)?;
        let values = self.values_in(pod, &container).map_err(|why| NoLog::Unsafe(why.into()))?;
        let redactor = values.redactor();
        match redactor.too_short() {
            Some(name) => Err(NoLog::Unsafe(format!("{name} is too short to be found in it"))),
            None => Ok((container, redactor)),
        }
    }
}
