//! `agentpod open`: a login link from a running agent; and which of a pod's containers is the current one.

use std::{process::ExitCode, time::Duration};

use anyhow::{Context, Result, bail};
use serde_json::json;

use super::{
    connect::{self, until_interrupted},
    output,
    progress::Progress,
    similar::hint,
};
use crate::{
    config::Settings,
    core::{
        declare::{adapter, desired::pod_values, manifest, resolve},
        names::PodId,
        observe::actual::ObservedContainer,
        report::status,
    },
};

/// How long an agent may take to create a link; the slowest took 3 to 8 s on two busy cores.
const LINK_TIMEOUT: Duration = Duration::from_secs(60);

/// A pod's current container among all.
pub(super) fn current_of<'a>(all: &'a [ObservedContainer], id: &PodId) -> Result<&'a ObservedContainer> {
    let mine: Vec<ObservedContainer> = all.iter().filter(|container| container.pod == *id).cloned().collect();
    let name = status::current_container(&mine).map(|container| container.name.clone());
    name.and_then(|name| all.iter().find(|container| container.name == name)).with_context(|| {
        let hint = hint(id, all.iter().map(|container| &container.pod));
        format!("{id} has no container{}", if hint.is_empty() { "; see agentpod status" } else { &hint })
    })
}

/// `agentpod open`.
pub(crate) async fn open(settings: Settings, id: &PodId) -> Result<ExitCode> {
    let folders = connect::folders(&settings).read().await?;
    let snapshot = connect::source(&settings).read().await?;
    let (adapters, _) = adapter::read(&folders.files);
    let (manifests, _) = manifest::read(snapshot.texts());
    let (mut resolved, _) = resolve::resolve(&manifests, &adapters);
    let Some(pod) = resolved.pods.remove(id) else {
        bail!("there is no pod {id} in {}{}", snapshot.origin, hint(id, resolved.pods.keys()));
    };
    let values = pod_values(&settings.site, &pod);
    let url = values["url"].as_str().unwrap_or_default().to_owned();
    let Some(login) = &pod.adapter.spec.login else {
        output::print(&url)?;
        return Ok(ExitCode::SUCCESS);
    };
    let engine = connect::engine(&settings)?;
    let all = engine.observe().await?;
    let container = current_of(&all, id)?;
    if !container.is_live() {
        bail!("{id} is not running; see agentpod status");
    }
    let progress = Progress::new(&format!("{id} makes a login link; some agents take up to a minute"));
    let answer =
        until_interrupted(async { Ok(engine.exec(&container.name, &login.exec, LINK_TIMEOUT).await?) }).await?;
    drop(progress);
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
