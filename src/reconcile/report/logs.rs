//! Container logs for people, without secrets. Only the reconciler knows, in memory, which secrets a container holds; it
//! is asked between two rounds. They leave this module only inside a redactor.

use std::{fmt, sync::Arc, time::Duration};

use futures_util::{StreamExt, stream::BoxStream};
use schemars::JsonSchema;
use serde::Serialize;
use tokio::sync::{mpsc, oneshot};

use crate::{
    core::{names::PodId, report::phase::Phase},
    engine::{Engine, ExecAnswer, LogLine, LogQuery},
    reconcile::{
        Reconciler,
        act::redact::Redactor,
        message::{LogUnavailable, Report, Revealed},
    },
};

/// How long to wait for the reconciler's answer.
const REPLY_TIMEOUT: Duration = Duration::from_secs(5);

/// Reads logs while its reconciler runs.
#[derive(Clone)]
pub struct LogReader {
    engine: Arc<dyn Engine>,
    reports: mpsc::UnboundedSender<Report>,
}

/// A line without secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct CleanLine {
    /// When it was written, if times were requested.
    pub(crate) at: Option<String>,
    /// Whether it went to standard error.
    pub(crate) err: bool,
    /// Its text.
    pub text: String,
}

impl LogReader {
    /// The log of a pod's current container.
    pub async fn read(
        &self,
        pod: &PodId,
        query: LogQuery,
    ) -> Result<BoxStream<'static, Result<CleanLine, LogUnavailable>>, LogUnavailable> {
        let (answer, answered) = oneshot::channel();
        self.reports.send(Report::Reveal(pod.clone(), answer)).map_err(|_| LogUnavailable::NoAnswer)?;
        let answered = tokio::time::timeout(REPLY_TIMEOUT, answered).await;
        let (container, redactor) = answered.ok().and_then(Result::ok).ok_or(LogUnavailable::NoAnswer)??;
        let lines = self.engine.logs(&container, query).await?;
        Ok(lines.map(move |line| Ok(CleanLine::of(line?, query.timestamps, &redactor))).boxed())
    }
}

impl LogReader {
    /// Runs a command in a pod's current container. What it prints is not cleaned of secrets.
    pub(crate) async fn exec(
        &self,
        pod: &PodId,
        command: &[String],
        limit: Duration,
    ) -> Result<ExecAnswer, LogUnavailable> {
        let (answer, answered) = oneshot::channel();
        self.reports.send(Report::Reveal(pod.clone(), answer)).map_err(|_| LogUnavailable::NoAnswer)?;
        let answered = tokio::time::timeout(REPLY_TIMEOUT, answered).await;
        let (container, _) = answered.ok().and_then(Result::ok).ok_or(LogUnavailable::NoAnswer)??;
        Ok(self.engine.exec(&container, command, limit).await?)
    }
}

impl CleanLine {
    /// The time is removed first: the rest of a value at a line's beginning must be found there.
    fn of(line: LogLine, timestamps: bool, redactor: &Redactor) -> Self {
        let (at, text) = match line.text.split_once(' ').filter(|_| timestamps) {
            Some((at, text)) => (Some(at.to_owned()), text),
            None => (None, line.text.as_str()),
        };
        Self { at, err: line.stderr, text: redactor.clean(text) }
    }
}

impl fmt::Debug for LogReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Logs")
    }
}

impl Reconciler {
    /// The reader of logs while this reconciler runs.
    pub fn logs(&self) -> LogReader {
        LogReader { engine: self.engine.clone(), reports: self.reports.clone() }
    }

    /// A pod's current container, and what finds its secrets.
    pub(crate) fn reveal(&self, pod: &PodId) -> Revealed {
        let status = self.published.statuses.of(pod).ok_or(LogUnavailable::NoContainer)?;
        let none =
            if status.phase == Phase::Unknown { LogUnavailable::EngineAway } else { LogUnavailable::NoContainer };
        let container = status.container.clone().ok_or(none)?;
        let values = self.values_in(pod, &container).map_err(|why| LogUnavailable::Unsafe(why.to_string()))?;
        let redactor = values.redactor(pod);
        match redactor.too_short() {
            Some(name) => Err(LogUnavailable::Unsafe(format!("{name} is too short to be redacted"))),
            None => Ok((container, redactor)),
        }
    }
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;

    #[test]
    fn a_value_that_was_cut_at_a_lines_beginning_is_found_behind_the_lines_time_too() {
        let value = SecretString::from("sk-0123456789abcdef");
        let redactor = Redactor::new([("[secret KEY]", &value)]);
        let line = |text: &str| LogLine { stderr: true, text: text.into() };
        let clean = CleanLine::of(line("2026-11-24T12:00:00Z 9abcdef and on"), true, &redactor);
        assert_eq!((clean.at.as_deref(), clean.text.as_str()), (Some("2026-11-24T12:00:00Z"), "[secret KEY] and on"));
        let plain = CleanLine::of(line("a sk-0123456789abcdef b"), false, &redactor);
        assert_eq!((plain.at, plain.text.as_str()), (None, "a [secret KEY] b"));
    }
}
