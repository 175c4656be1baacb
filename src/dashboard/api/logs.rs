//! A container's log as text, line by line, without the secrets it holds. While this AgentPod does not know these (it
//! stands by, or the container is from before it began), there is no log: a secret cannot be taken back.

use bytes::Bytes;
use futures_util::StreamExt;
use tokio::sync::mpsc;
use warp::{
    Reply,
    http::{HeaderValue, header},
    reply::Response,
};

use super::{Api, Question, Refusal, answer, params::wrong, pods::missing};
use crate::{engine::LogQuery, reconcile::NoLog};

/// Lines on their way to somebody; who does not take them has the engine wait.
const UNDER_WAY: usize = 256;

impl Api {
    pub(super) async fn logs(&self, question: &Question<'_>) -> Result<Response, Refusal> {
        let id = question.pod()?;
        let tail = match question.params.parsed("tail", "a number up to 10000")? {
            None => 200,
            Some(tail @ 0..=10_000) => tail,
            Some(tail) => return Err(wrong("tail", &tail.to_string(), "a number up to 10000")),
        };
        let (follow, timestamps) = (question.params.flag("follow")?, question.params.flag("timestamps")?);
        if self.store.view(&question.visitor.person).lines(std::slice::from_ref(&id)).await?.is_empty() {
            return Err(missing(&id));
        }
        let logs = self.logs.borrow().clone();
        let logs = logs.ok_or_else(|| {
            Refusal::unavailable(
                "this AgentPod stands by and does not know the secrets to leave out; ask the one that acts",
            )
        })?;
        let lines = logs.read(&id, LogQuery { tail, follow, timestamps }).await;
        let mut lines = lines.map_err(|why| match why {
            NoLog::NoContainer => Refusal::not_found(format!("{id} has no container, and so no log")),
            why => Refusal::unavailable(format!("the log of {id} cannot be shown: {why}")),
        })?;
        let (sender, mut receiver) = mpsc::channel::<Result<Bytes, std::io::Error>>(UNDER_WAY);
        tokio::spawn(async move {
            loop {
                let line = tokio::select! {
                    () = sender.closed() => return,
                    line = lines.next() => line,
                };
                let Some(Ok(line)) = line else { return };
                if sender.send(Ok(Bytes::from(line + "\n"))).await.is_err() {
                    return;
                }
            }
        });
        let parts = futures_util::stream::poll_fn(move |context| receiver.poll_recv(context));
        let mut answer = warp::reply::stream(parts).into_response();
        answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(answer::TEXT));
        if follow {
            // What is compressed waits until there is enough of it.
            answer.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("identity"));
        }
        Ok(answer)
    }
}
