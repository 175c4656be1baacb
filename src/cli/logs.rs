//! `agentpod logs`: a container's log, as the agent wrote it from this machine's engine, or redacted from a server.

use std::process::ExitCode;

use anyhow::{Result, bail};
use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tokio::io::AsyncBufReadExt;

use super::{
    agent,
    backend::{ApiClient, Target},
    connect, output,
    since::Since,
};
use crate::{
    core::{names::PodId, observe::actual::ObservedContainer, report::status},
    engine::LogQuery,
};

/// How many of the last lines are shown if neither `--tail` nor `--since` is given.
const TAIL: usize = 100;
/// How many of the last lines are searched with `--since`; also the most that a server gives.
const MOST: usize = 10_000;

/// The options of `agentpod logs`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LogOptions {
    /// Whether to keep printing new lines.
    pub(crate) follow: bool,
    /// How many of the last lines to start with.
    pub(crate) tail: Option<usize>,
    /// Whether each line begins with its time.
    pub(crate) timestamps: bool,
    /// Only lines written after this.
    pub(crate) since: Option<Since>,
    /// Whether to show the previous container.
    pub(crate) previous: bool,
}

/// Runs `agentpod logs`.
pub(crate) async fn run(target: Target, id: &PodId, options: LogOptions) -> Result<ExitCode> {
    let LogOptions { follow, tail, timestamps, since, previous } = options;
    let since = since.map(|since| since.moment(crate::clock::now()));
    let tail = tail.unwrap_or(if since.is_some() { MOST } else { TAIL });
    let lines: BoxStream<'static, Result<String>> = match target {
        Target::Local(settings) => {
            let engine = connect::engine(&settings)?;
            let all = engine.observe().await?;
            let container = match previous {
                true => previous_of(&all, id)?,
                false => agent::current_of(&all, id)?,
            };
            let query = LogQuery { tail, follow, timestamps: timestamps || since.is_some() };
            let lines = engine.logs(&container.name, query).await?;
            let lines = lines.filter_map(move |line| {
                let line = line.map(|line| after(line.text, since, timestamps));
                std::future::ready(line.map_err(anyhow::Error::from).transpose())
            });
            lines.boxed()
        }
        Target::Remote(_) if previous => {
            bail!(
                "--previous reads the engine of this machine and does not work over --server; see agentpod events {id}"
            )
        }
        Target::Remote(server) => {
            let (tail, follow, timestamps) = (tail.min(MOST).to_string(), follow.to_string(), timestamps.to_string());
            let since = since.map(|since| since.format(&Rfc3339)).transpose()?;
            let mut query = vec![("tail", tail.as_str()), ("follow", &follow), ("timestamps", &timestamps)];
            query.extend(since.as_deref().map(|since| ("since", since)));
            let text = ApiClient::new(server)?.text(&format!("/pods/{id}/logs"), &query).await?;
            stream::try_unfold(text.lines(), async |mut lines| Ok(lines.next_line().await?.map(|line| (line, lines))))
                .boxed()
        }
    };
    print_lines(lines).await
}

/// The container before the current one, if it is still there.
fn previous_of<'a>(all: &'a [ObservedContainer], id: &PodId) -> Result<&'a ObservedContainer> {
    let current = agent::current_of(all, id)?;
    let others: Vec<ObservedContainer> =
        all.iter().filter(|one| one.pod == *id && one.name != current.name).cloned().collect();
    let name = status::current_container(&others).map(|one| one.name.clone());
    match name.and_then(|name| all.iter().find(|one| one.name == name)) {
        Some(found) => Ok(found),
        None => bail!(
            "{id} has no previous container: it is removed when the new one is ready. A container that restarts keeps one log, \
             which agentpod logs shows; agentpod events {id} shows the last lines of each that crashed"
        ),
    }
}

/// A line that begins with its time, without it unless it is wanted; `None` if it is too old.
fn after(line: String, since: Option<OffsetDateTime>, timestamps: bool) -> Option<String> {
    let Some(since) = since else { return Some(line) };
    let (at, text) = line.split_once(' ').unwrap_or((&line, ""));
    let is_old = OffsetDateTime::parse(at, &Rfc3339).is_ok_and(|at| at <= since);
    if is_old {
        return None;
    }
    Some(if timestamps { line } else { text.to_owned() })
}

/// Prints lines until they end, the reader closes the pipe, or Ctrl-C.
async fn print_lines(mut lines: BoxStream<'static, Result<String>>) -> Result<ExitCode> {
    loop {
        tokio::select! {
            line = lines.next() => match line {
                Some(line) => if !output::print_while_open(&line?)? {
                    return Ok(ExitCode::SUCCESS);
                },
                None => return Ok(ExitCode::SUCCESS),
            },
            _ = tokio::signal::ctrl_c() => return Ok(ExitCode::SUCCESS),
        }
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn lines_before_the_moment_are_left_out_and_times_are_shown_only_if_wanted() {
        let since = Some(datetime!(2026-11-27 12:00 UTC));
        let line = |second: u8| format!("2026-11-27T12:00:{second:02}.5Z hello there");
        assert_eq!(after("2026-11-27T11:59:59Z old".into(), since, true), None);
        assert_eq!(after(line(1), since, false).as_deref(), Some("hello there"));
        assert_eq!(after(line(1), since, true), Some(line(1)));
        assert_eq!(after("no time".into(), None, false).as_deref(), Some("no time"));
    }
}
