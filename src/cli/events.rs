//! `agentpod events`: the latest events, newest last; with `--watch` new ones too, each printed once, however often the
//! connection is lost.

use std::{collections::BTreeMap, process::ExitCode, time::Duration};

use anyhow::{Error, Result};
use serde_json::Value;
use time::OffsetDateTime;

use super::{
    Output,
    backend::{Backend, BackendError, Target, Update},
    event_filter::EventFilter,
    output::{self, sanitize, sanitize_lines, timestamp},
};
use crate::store::view::EventLine;

/// How long to wait before connecting again.
const RECONNECT_DELAY: Duration = Duration::from_secs(2);
/// How many missed events are read after a reconnect.
const CATCH_UP: usize = 1000;
/// How many printed events are remembered, so that none is printed twice.
const REMEMBERED: usize = 4 * CATCH_UP;

/// Runs `agentpod events`.
pub(crate) async fn run(
    target: Target,
    filter: EventFilter,
    limit: u32,
    watch: bool,
    format: Output,
) -> Result<ExitCode> {
    Backend::with(target, async |backend| match watch {
        false => list(backend, &filter, limit, format).await,
        true => tokio::select! {
            outcome = follow(backend, &filter, limit, format) => outcome,
            _ = tokio::signal::ctrl_c() => Ok(()),
        },
    })
    .await?;
    Ok(ExitCode::SUCCESS)
}

async fn list(backend: &Backend, filter: &EventFilter, limit: u32, format: Output) -> Result<()> {
    let events = backend.events(filter, limit as usize).await?;
    match format {
        Output::Json | Output::Yaml => output::data(format, &events),
        Output::Text if events.is_empty() => output::print("no events yet"),
        Output::Text => events.iter().try_for_each(|event| output::print(&text(event))),
    }
}

/// Which events were printed already.
#[derive(Default)]
struct PrintedEvents {
    /// The count each event had when it was printed, by ID.
    counts: BTreeMap<i64, i32>,
    /// The time of the newest one.
    newest: Option<OffsetDateTime>,
    /// Whether the first events were read.
    began: bool,
}

impl PrintedEvents {
    /// Whether an event was not printed yet; marks it as printed.
    fn mark(&mut self, event: &EventLine) -> bool {
        if self.counts.get(&event.id).is_some_and(|count| *count >= event.count) {
            return false;
        }
        self.counts.insert(event.id, event.count);
        while self.counts.len() > REMEMBERED {
            self.counts.pop_first();
        }
        self.newest = self.newest.max(Some(event.last_at));
        true
    }
}

/// Prints events until the reader closes the pipe.
async fn follow(backend: &Backend, filter: &EventFilter, limit: u32, format: Output) -> Result<()> {
    let mut printed = PrintedEvents::default();
    loop {
        match print_until_disconnected(backend, filter, limit as usize, &mut printed, format).await {
            Ok(()) => return Ok(()),
            // A failure at the start, or one that lasts, ends the command.
            Err(error) if !printed.began || !is_temporary(&error) => return Err(error),
            Err(error) => eprintln!("{error:#}; reconnecting"),
        }
        tokio::time::sleep(RECONNECT_DELAY).await;
    }
}

async fn print_until_disconnected(
    backend: &Backend,
    filter: &EventFilter,
    limit: usize,
    printed: &mut PrintedEvents,
    format: Output,
) -> Result<()> {
    let mut updates = backend.watch().await?;
    loop {
        let events = match updates.next().await? {
            Update::Events(events) => events,
            Update::Gap => {
                let since = printed.newest;
                let events = backend.events(filter, if printed.began { CATCH_UP } else { limit }).await?;
                printed.began = true;
                events.into_iter().filter(|event| since.is_none_or(|since| event.last_at >= since)).collect()
            }
        };
        for event in events.iter().filter(|event| filter.shows(event, crate::clock::now())) {
            if printed.mark(event) && !output::print_while_open(&format_event(event, format)?)? {
                return Ok(());
            }
        }
    }
}

fn is_temporary(error: &Error) -> bool {
    error.downcast_ref::<BackendError>().is_none_or(BackendError::is_temporary)
}

/// One event of a stream: a line of JSON, a YAML document, or text.
fn format_event(event: &EventLine, format: Output) -> Result<String> {
    Ok(match format {
        Output::Text => text(event),
        Output::Json => serde_json::to_string(event)?,
        Output::Yaml => {
            format!("---\n{}", crate::core::declare::document::write(&serde_json::to_value(event)?).trim_end())
        }
    })
}

/// One line, with the cause and the container's last log lines indented below.
pub(crate) fn text(event: &EventLine) -> String {
    let times = match event.count {
        ..=1 => String::new(),
        count => format!(" ({count} times since {})", timestamp(event.first_at)),
    };
    let at = timestamp(event.last_at);
    let pod = event.pod.as_ref().map_or_else(|| "-".into(), |pod| pod.to_string());
    let mut text = format!("{at}  {pod:<24} {:<12} {}{times}", event.kind, sanitize_lines(&event.message));
    if let Some(cause) = &event.cause {
        text += &format!("\n    why: {}", sanitize_lines(cause));
    }
    let detail = |key: &str| event.details.as_ref().and_then(|details| details.get(key));
    for line in detail("log").and_then(Value::as_array).into_iter().flatten() {
        text += &format!("\n    | {}", sanitize(line.as_str().unwrap_or_default()));
    }
    if let Some(why) = detail("log_omitted").and_then(Value::as_str) {
        text += &format!("\n    | (log lines left out: {})", sanitize(why));
    }
    text
}
