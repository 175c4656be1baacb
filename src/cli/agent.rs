//! `agentpod logs` and `agentpod open`: a container's log, and a login link from a running agent.

use std::{process::ExitCode, time::Duration};

use anyhow::{Context, Result, bail};
use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use serde_json::json;
use tokio::io::AsyncBufReadExt;

use super::{
    backend::{ApiClient, Target},
    connect, output,
};
use crate::{
    config::Settings,
    core::{
        declare::{adapter, desired::pod_values, manifest, resolve},
        names::PodId,
        observe::actual::ObservedContainer,
        report::status,
    },
    engine::{Engine, LogQuery},
};

/// How long an agent may take to create a link; the slowest took 3 to 8 s on two busy cores.
const LINK_TIMEOUT: Duration = Duration::from_secs(60);

async fn container(engine: &dyn Engine, id: &PodId) -> Result<ObservedContainer> {
    let mine: Vec<ObservedContainer> =
        engine.observe().await?.into_iter().filter(|container| container.pod == *id).collect();
    status::current_container(&mine).cloned().with_context(|| format!("{id} has no container; see agentpod status"))
}

/// The options of `agentpod logs`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LogOptions {
    /// Whether to keep printing new lines.
    pub(crate) follow: bool,
    /// How many of the last lines to start with.
    pub(crate) tail: usize,
    /// Whether each line begins with its time.
    pub(crate) timestamps: bool,
}

/// `agentpod logs`: unchanged from this machine's engine, or redacted from a server.
pub(crate) async fn logs(target: Target, id: &PodId, options: LogOptions) -> Result<ExitCode> {
    let LogOptions { follow, tail, timestamps } = options;
    let lines: BoxStream<'static, Result<String>> = match target {
        Target::Local(settings) => {
            let engine = connect::engine(&settings)?;
            let container = container(engine.as_ref(), id).await?;
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
    print_lines(lines).await
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

/// `agentpod open`.
pub(crate) async fn open(settings: Settings, id: &PodId) -> Result<ExitCode> {
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
    let container = container(engine.as_ref(), id).await?;
    if !container.is_live() {
        bail!("{id} is not running; see agentpod status");
    }
    let answer = engine.exec(&container.name, &login.exec, LINK_TIMEOUT).await?;
    if answer.code != 0 {
        bail!(
            "{id} created no login link: {} exited with code {}: {}",
            login.exec.join(" "),
            answer.code,
            answer.stderr.trim()
        );
    }
    let ticket = login.ticket(&answer.stdout).with_context(|| format!("{id} created no login link"))?;
    let link = adapters
        .templates
        .render_text(&login.link, &json!({"pod": values, "ticket": ticket}))
        .context("the login link cannot be rendered")?;
    let leads_there = |rest: &str| rest.is_empty() || rest.starts_with(['/', '?', '#']);
    if !link.strip_prefix(&url).is_some_and(leads_there) {
        bail!("{id} created a login link that leads elsewhere; see login.link in its adapter");
    }
    output::print(&link)?;
    if let Some(span) = login.valid_for {
        eprintln!("the link works once, for {span}");
    }
    Ok(ExitCode::SUCCESS)
}
