//! `agentpod events`: what happened, newest last; with `--watch` also what happens from now on, each thing once, however
//! often the connection to whoever tells it is lost.

use std::{collections::BTreeMap, process::ExitCode, time::Duration};

use anyhow::{Error, Result};
use serde_json::Value;
use time::OffsetDateTime;

use super::{
    Output,
    backend::{Backend, BackendError, Target, Update},
    output::{self, clock, harmless, plain},
};
use crate::{core::names::PodId, store::view::EventLine};

/// Between two tries to hear again.
const AGAIN: Duration = Duration::from_secs(2);
/// So many events may be missed at a time without a gap in what is shown.
const CATCH_UP: usize = 1000;
/// So many are known by number, so that none is shown twice.
const KNOWN: usize = 4 * CATCH_UP;

/// `agentpod events`.
pub async fn run(place: Target, pod: Option<PodId>, limit: u32, watch: bool, how: Output) -> Result<ExitCode> {
    let desk = Backend::open(place).await?;
    let outcome = match watch {
        false => list(&desk, pod.as_ref(), limit, how).await,
        true => tokio::select! {
            outcome = follow(&desk, pod.as_ref(), limit, how) => outcome,
            _ = tokio::signal::ctrl_c() => Ok(()),
        },
    };
    desk.close().await?;
    outcome.map(|()| ExitCode::SUCCESS)
}

async fn list(desk: &Backend, pod: Option<&PodId>, limit: u32, how: Output) -> Result<()> {
    let events = desk.events(pod, limit as usize).await?;
    match how {
        Output::Json | Output::Yaml => output::data(how, &events),
        Output::Text if events.is_empty() => output::print("nothing happened yet"),
        Output::Text => events.iter().try_for_each(|event| output::print(&text(event))),
    }
}

/// What was shown already.
#[derive(Default)]
struct PrintedEvents {
    /// How often each had happened then.
    counts: BTreeMap<i64, i32>,
    /// When the newest of them did.
    newest: Option<OffsetDateTime>,
    /// Whether anything was heard at all.
    began: bool,
}

impl PrintedEvents {
    /// Whether this was not shown yet; it is from then on.
    fn take(&mut self, event: &EventLine) -> bool {
        if self.counts.get(&event.id).is_some_and(|count| *count >= event.count) {
            return false;
        }
        self.counts.insert(event.id, event.count);
        while self.counts.len() > KNOWN {
            self.counts.pop_first();
        }
        self.newest = self.newest.max(Some(event.last_at));
        true
    }
}

/// Shows events until nobody reads any more.
async fn follow(desk: &Backend, pod: Option<&PodId>, limit: u32, how: Output) -> Result<()> {
    let mut shown = PrintedEvents::default();
    loop {
        match hear(desk, pod, limit as usize, &mut shown, how).await {
            Ok(()) => return Ok(()),
            // What fails at the start, or will not pass, is for whoever asked.
            Err(error) if !shown.began || !may_pass(&error) => return Err(error),
            Err(error) => eprintln!("{error:#}; trying again"),
        }
        tokio::time::sleep(AGAIN).await;
    }
}

async fn hear(desk: &Backend, pod: Option<&PodId>, limit: usize, shown: &mut PrintedEvents, how: Output) -> Result<()> {
    let mut watch = desk.watch().await?;
    loop {
        let events = match watch.next().await? {
            Update::Events(events) => events,
            Update::Gap => {
                let since = shown.newest;
                let events = desk.events(pod, if shown.began { CATCH_UP } else { limit }).await?;
                shown.began = true;
                events.into_iter().filter(|event| since.is_none_or(|since| event.last_at >= since)).collect()
            }
        };
        for event in events.iter().filter(|event| pod.is_none_or(|pod| event.pod.as_ref() == Some(pod))) {
            if shown.take(event) && !output::say(&one(event, how)?)? {
                return Ok(());
            }
        }
    }
}

fn may_pass(error: &Error) -> bool {
    error.downcast_ref::<BackendError>().is_none_or(BackendError::may_pass)
}

/// One event of a stream: a line of JSON, a document of YAML, or its text.
fn one(event: &EventLine, how: Output) -> Result<String> {
    Ok(match how {
        Output::Text => text(event),
        Output::Json => serde_json::to_string(event)?,
        Output::Yaml => {
            format!("---\n{}", crate::core::declare::document::write(&serde_json::to_value(event)?).trim_end())
        }
    })
}

/// A line, why under it, and the container's last words under that.
pub fn text(event: &EventLine) -> String {
    let times = if event.count > 1 { format!(" ({} times)", event.count) } else { String::new() };
    let at = clock(event.last_at);
    let pod = event.pod.as_ref().map_or_else(|| "-".into(), |pod| pod.to_string());
    let mut text = format!("{at}  {pod:<24} {:<12} {}{times}", event.kind, harmless(&event.message));
    if let Some(cause) = &event.cause {
        text += &format!("\n    why: {}", harmless(cause));
    }
    let detail = |key: &str| event.details.as_ref().and_then(|details| details.get(key));
    for line in detail("log").and_then(Value::as_array).into_iter().flatten() {
        text += &format!("\n    | {}", plain(line.as_str().unwrap_or_default()));
    }
    if let Some(why) = detail("logLeftOut").and_then(Value::as_str) {
        text += &format!("\n    | (log lines left out: {})", plain(why));
    }
    text
}
