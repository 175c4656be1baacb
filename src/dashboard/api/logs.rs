//! A container's log as text, line by line, without secrets. While this AgentPod does not know the secrets (it is a standby,
//! or the container is from before it started) there is no log: a leaked secret cannot be taken back.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::StreamExt;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tokio::sync::mpsc;
use warp::{
    Reply,
    http::{HeaderMap, HeaderValue, header},
    reply::Response,
};

use super::{Api, Question, Refusal, answer, params::wrong, pods::missing};
use crate::{
    dashboard::auth::Auth,
    engine::LogQuery,
    reconcile::{CleanLine, LogUnavailable},
};

/// How often to check that the reader of a followed log may still read it.
const RECHECK_INTERVAL: Duration = Duration::from_secs(15);
/// Lines on their way to a client; if the client is slow, the engine waits.
const BUFFERED_LINES: usize = 256;

impl Api {
    /// The log; a followed one continues as long as the visitor may read it.
    pub(super) async fn logs(
        &self,
        auth: Arc<Auth>,
        question: &Question<'_>,
        headers: &HeaderMap,
    ) -> Result<Response, Refusal> {
        let id = question.pod()?;
        let tail = match question.params.parsed("tail", "a number up to 10000")? {
            None => 200,
            Some(tail @ 0..=10_000) => tail,
            Some(tail) => return Err(wrong("tail", &tail.to_string(), "a number up to 10000")),
        };
        let follow = question.params.flag("follow")?;
        let lines_of_json = answer::wants(headers, answer::LINES);
        let timestamps = question.params.flag("timestamps")?;
        let since = question.params.time("since")?;
        if self.store.view(&question.visitor.person).lines(std::slice::from_ref(&id)).await?.is_empty() {
            return Err(missing(&id));
        }
        let logs = self.logs.borrow().clone();
        let logs = logs.ok_or_else(|| {
            Refusal::unavailable(
                "this AgentPod is a standby and does not know the secrets to redact; ask the active one",
            )
        })?;
        let with_times = timestamps || lines_of_json || since.is_some();
        let lines = logs.read(&id, LogQuery { tail, follow, timestamps: with_times }).await;
        let lines = lines.map_err(|why| match why {
            LogUnavailable::NoContainer => Refusal::not_found(format!("{id} has no container, and so no log")),
            why => Refusal::unavailable(format!("the log of {id} cannot be shown: {why}")),
        })?;
        let visitor = question.visitor.clone();
        let out = async move { auth.until_not_admitted(&visitor, RECHECK_INTERVAL).await };
        let mut lines = lines.take_until(Box::pin(out));
        let (sender, mut receiver) = mpsc::channel::<Result<Bytes, std::io::Error>>(BUFFERED_LINES);
        tokio::spawn(async move {
            loop {
                let line = tokio::select! {
                    () = sender.closed() => return,
                    line = lines.next() => line,
                };
                let Some(Ok(line)) = line else { return };
                let at = line.at.as_deref().and_then(|at| OffsetDateTime::parse(at, &Rfc3339).ok());
                if since.is_some() && at.is_some() && at <= since {
                    continue;
                }
                if sender.send(Ok(written(&line, lines_of_json, timestamps).into())).await.is_err() {
                    return;
                }
            }
        });
        let parts = futures_util::stream::poll_fn(move |context| receiver.poll_recv(context));
        let mut answer = warp::reply::stream(parts).into_response();
        let kind = if lines_of_json { answer::LINES } else { answer::TEXT };
        answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        if follow {
            // A compressed stream would wait until there is enough of it.
            answer.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("identity"));
        }
        Ok(answer)
    }
}

fn written(line: &CleanLine, as_json: bool, timestamps: bool) -> String {
    if as_json {
        return serde_json::to_string(line).unwrap_or_default() + "\n";
    }
    match line.at.as_deref().filter(|_| timestamps) {
        Some(at) => format!("{at} {}\n", line.text),
        None => format!("{}\n", line.text),
    }
}
