//! Commands that speak with a running agent's container: its log, and its login link.

use std::{process::ExitCode, time::Duration};

use anyhow::{Context, Result, bail};
use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use serde_json::{Value, json};
use tokio::io::AsyncBufReadExt;

use super::{
    backend::{ApiClient, Target},
    connect, output,
};
use crate::{
    config::Settings,
    core::{
        declare::{
            adapter::{self, Login},
            desired::pod_values,
            manifest, resolve,
        },
        names::PodId,
        observe::actual::ObservedContainer,
        report::status,
    },
    engine::{Engine, LogQuery, docker::Docker},
};

/// How long an agent may take to answer with a link; measured 3 to 8 s for the slowest on two busy cores.
const PATIENCE: Duration = Duration::from_secs(60);

async fn container(engine: &Docker, id: &PodId) -> Result<ObservedContainer> {
    let mine: Vec<ObservedContainer> =
        engine.observe().await?.into_iter().filter(|container| container.pod == *id).collect();
    status::standing(&mine).cloned().with_context(|| format!("{id} has no container; look with agentpod status"))
}

/// Which lines of a log, and how.
#[derive(Debug, Clone, Copy)]
pub struct LogOptions {
    /// Go on as lines come.
    pub follow: bool,
    /// How many of the last lines.
    pub tail: usize,
    /// Begin each line with its time.
    pub timestamps: bool,
}

/// `agentpod logs`. From this machine's engine as the agent wrote it, from a server without the secrets it holds.
pub async fn logs(place: Target, id: &PodId, wanted: LogOptions) -> Result<ExitCode> {
    let LogOptions { follow, tail, timestamps } = wanted;
    let lines: BoxStream<'static, Result<String>> = match place {
        Target::Local(settings) => {
            let engine = connect::engine(&settings)?;
            let container = container(&engine, id).await?;
            let lines = engine.logs(&container.name, LogQuery { tail, follow, timestamps }).await?;
            lines.map(|line| Ok(line?.text)).boxed()
        }
        Target::Remote(server) => {
            let (tail, follow, timestamps) = (tail.to_string(), follow.to_string(), timestamps.to_string());
            let query = [("tail", tail.as_str()), ("follow", follow.as_str()), ("timestamps", timestamps.as_str())];
            let text = ApiClient::new(server)?.text(&format!("/pods/{id}/logs"), &query).await?;
            stream::try_unfold(text.lines(), async |mut lines| Ok(lines.next_line().await?.map(|line| (line, lines))))
                .boxed()
        }
    };
    show(lines).await
}

/// Prints lines until there are no more, nobody reads them, or somebody has had enough.
async fn show(mut lines: BoxStream<'static, Result<String>>) -> Result<ExitCode> {
    loop {
        tokio::select! {
            line = lines.next() => match line {
                Some(line) => if !output::say(&line?)? {
                    return Ok(ExitCode::SUCCESS);
                },
                None => return Ok(ExitCode::SUCCESS),
            },
            _ = tokio::signal::ctrl_c() => return Ok(ExitCode::SUCCESS),
        }
    }
}

/// `agentpod open`.
pub async fn open(settings: Settings, id: &PodId) -> Result<ExitCode> {
    let folders = connect::folders(&settings).read().await?;
    let snapshot = connect::source(&settings).read().await?;
    let (adapters, _) = adapter::read(&folders.files);
    let (manifests, _) = manifest::read(snapshot.texts());
    let (mut resolved, _) = resolve::resolve(&manifests, &adapters);
    let pod = resolved.pods.remove(id).with_context(|| format!("there is no pod {id} in {}", snapshot.origin))?;
    let values = pod_values(&settings.site, &pod);
    let url = values["url"].as_str().unwrap_or_default().to_owned();
    let Some(login) = &pod.adapter.spec.login else {
        output::print(&url)?;
        return Ok(ExitCode::SUCCESS);
    };
    let engine = connect::engine(&settings)?;
    let container = container(&engine, id).await?;
    if !container.is_live() {
        bail!("{id} does not run; look with agentpod status");
    }
    let answer = engine.exec(&container.name, &login.exec, PATIENCE).await?;
    if answer.code != 0 {
        bail!(
            "{id} gives no link: {} ended with exit code {}: {}",
            login.exec.join(" "),
            answer.code,
            answer.stderr.trim()
        );
    }
    let ticket = ticket(login, &answer.stdout).with_context(|| format!("{id} gives no link"))?;
    let link = adapters
        .templates
        .render_text(&login.link, &json!({"pod": values, "ticket": ticket}))
        .map_err(anyhow::Error::msg)?;
    output::print(&link)?;
    if let Some(span) = login.valid_for {
        eprintln!("valid once, for {span}");
    }
    Ok(ExitCode::SUCCESS)
}

/// Takes the ticket out of the agent's answer. The answer itself never becomes part of a message: it is a key.
fn ticket(login: &Login, answer: &str) -> Result<String> {
    let start = answer.find('{').context("its answer holds no JSON")?;
    let answer: Value = serde_json::Deserializer::from_str(&answer[start..])
        .into_iter()
        .next()
        .and_then(Result::ok)
        .context("its answer is not JSON")?;
    let text = answer
        .pointer(&login.pointer)
        .and_then(Value::as_str)
        .with_context(|| format!("its answer has nothing at {}", login.pointer))?;
    let Some(parameter) = &login.parameter else { return Ok(text.to_owned()) };
    text.split(['?', '#', '&'])
        .skip(1)
        .find_map(|pair| pair.strip_prefix(parameter.as_str())?.strip_prefix('='))
        .map(unescape)
        .with_context(|| format!("its answer has no {parameter}"))
}

/// Undoes the `%41` of URLs.
fn unescape(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = (bytes[at] == b'%')
            .then(|| text.get(at + 1..at + 3))
            .flatten()
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        plain.push(hex.unwrap_or(bytes[at]));
        at += if hex.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&plain).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(parameter: Option<&str>) -> Login {
        Login {
            exec: vec![],
            pointer: "/url".into(),
            parameter: parameter.map(Into::into),
            link: String::new(),
            valid_for: None,
        }
    }

    #[test]
    fn the_ticket_is_found_in_query_or_fragment_also_after_other_output() {
        let answer = "starting…\n{\"url\": \"http://x/#a=1&bootstrapToken=q%2Bz&b=2\"}\n";
        assert_eq!(ticket(&login(Some("bootstrapToken")), answer).unwrap(), "q+z");
        assert_eq!(ticket(&login(None), "{\"url\": \"t\"}").unwrap(), "t");
    }

    #[test]
    fn an_answer_without_a_ticket_is_an_error_that_does_not_repeat_it() {
        for answer in ["", "nothing", "{\"url\": 1}", "{\"url\": \"http://x/?secret=1\"}"] {
            let error = format!("{:#}", ticket(&login(Some("ticket")), answer).unwrap_err());
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
