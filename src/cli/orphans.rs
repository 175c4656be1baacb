//! `agentpod orphans` and `agentpod purge`: lists what nothing declares any more, and deletes a removed pod's data once a
//! person has read what that is and typed the pod's name.

use std::{io::Write, net::SocketAddr, process::ExitCode, sync::Arc, time::Duration};

use anyhow::{Result, bail};
use serde_json::Value;

use super::{
    Output,
    connect::{self, Access, Database},
    output,
};
use crate::{
    config::Settings,
    core::{
        decide::{
            orphans::{self, Orphan},
            purge::{self, Purge},
        },
        names::{InstanceName, PodId},
    },
    reconcile::{
        self, Parts,
        act::{self, orphans::PurgeError},
    },
};

/// How long the leader may take to answer.
const LEADER_TIMEOUT: Duration = Duration::from_secs(5);

/// `agentpod orphans`: exit code 2 when there are any.
pub(crate) async fn orphans(settings: Settings, format: Output) -> Result<ExitCode> {
    let found = Database::with(&settings, Access::Existing, async |database| find(&settings, database).await).await?;
    match format {
        Output::Json | Output::Yaml => output::data(format, &found)?,
        Output::Text => {
            let now = crate::clock::now();
            let line = |orphan: &Orphan| {
                let age = orphan.created_at.map_or_else(|| "-".into(), |at| output::age(at, now));
                let pod = orphan.pod.as_ref().map_or_else(|| "-".into(), ToString::to_string);
                vec![
                    orphan.kind.to_string(),
                    orphan.name.clone(),
                    pod,
                    age,
                    orphan.why.to_string(),
                    orphan.remedy.clone(),
                ]
            };
            let head = ["KIND", "NAME", "POD", "AGE", "WHY", "WHAT TO DO"];
            output::table(&head, found.iter().map(line).collect(), "there are no orphans")?;
        }
    }
    Ok(if found.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(2) })
}

async fn find(settings: &Settings, database: &Database) -> Result<Vec<Orphan>> {
    let Parts { engine, store, source, site, .. } = connect::parts(settings, database)?;
    let (observed, declared) = act::orphans::survey(engine.as_ref(), &store, &source, &site).await?;
    if let Some(source_error) = &declared.source_error {
        if declared.histories.is_empty() {
            bail!("what is declared is unknown, so everything would look like an orphan: {source_error}");
        }
        eprintln!("warning: more may be declared than is known: {source_error}");
    }
    Ok(orphans::orphans(&observed, &declared))
}

/// `agentpod purge`.
pub(crate) async fn purge(settings: Settings, pod: PodId, yes: bool) -> Result<ExitCode> {
    let work = async |database: &Database| confirm_and_purge(&settings, database, &pod, yes).await;
    Database::with(&settings, Access::Existing, work).await?;
    output::print(&format!("{pod} purged; if it is declared again, it is a new pod with a new token"))?;
    Ok(ExitCode::SUCCESS)
}

async fn confirm_and_purge(settings: &Settings, database: &Database, pod: &PodId, yes: bool) -> Result<()> {
    let Parts { engine, store, source, site, .. } = connect::parts(settings, database)?;
    let (observed, declared) = act::orphans::survey(engine.as_ref(), &store, &source, &site).await?;
    let offer =
        purge::purge(pod, &declared, &observed, false).map_err(|refusal| anyhow::anyhow!(refusal.sentence(pod)))?;
    output::print(&offer.to_string())?;
    if !yes {
        confirm(&offer).await?;
    }
    // With the lead, no daemon is at work; without it, the leader knows whether it is.
    let lead = store.try_lead().await?;
    let busy = async || match &lead {
        Some(_) => Ok(false),
        None => is_busy_at_leader(settings.listen, &site.instance, pod)
            .await
            .map_err(|error| PurgeError::Refused(error.to_string())),
    };
    let store = lead.as_ref().map_or_else(|| store.clone(), |lead| Arc::new(store.led_by(lead)));
    let engine = act::fenced::fenced(engine, &store);
    act::orphans::purge(engine.as_ref(), &store, &source, &site, &offer, busy).await?;
    if let Some(lead) = lead {
        lead.release().await?;
    }
    Ok(())
}

/// Asks for the pod's name. Nothing else counts as a yes.
async fn confirm(offer: &Purge) -> Result<()> {
    let pod = offer.pod.to_string();
    eprint!("Type {pod} to confirm: ");
    std::io::stderr().flush()?;
    let typed = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).map(|_| line)
    });
    let typed = typed.await??;
    if typed.is_empty() {
        eprintln!();
        bail!("there is no terminal to confirm on, so nothing was deleted; use --yes in scripts");
    }
    if typed.trim() != pod {
        bail!("the name does not match {pod}; nothing was deleted");
    }
    Ok(())
}

/// The leader did not say whether it has steps under way for a pod.
#[derive(Debug, thiserror::Error)]
#[error(
    "an AgentPod leads on this database, and {listen} does not say whether it works on {pod} ({cause}); give the leader's \
     address as --listen, or stop it first"
)]
struct LeaderUnknown {
    pod: PodId,
    listen: SocketAddr,
    cause: String,
}

/// Whether the leader has steps under way for a pod.
async fn is_busy_at_leader(listen: SocketAddr, instance: &InstanceName, pod: &PodId) -> Result<bool, LeaderUnknown> {
    let unknown = |cause: &str| LeaderUnknown { pod: pod.clone(), listen, cause: cause.to_owned() };
    let host = listen.to_string();
    let answer = tokio::time::timeout(LEADER_TIMEOUT, reconcile::get(listen, &host, "/api/v1/busy")).await;
    let answer = answer.map_err(|_| unknown("no answer"))?.map_err(|cause| unknown(&cause.to_string()))?;
    let answer: Value = serde_json::from_str(&answer).map_err(|_| unknown("the answer is not an AgentPod's"))?;
    if answer["instance"] != instance.as_str() {
        return Err(unknown("another AgentPod answered"));
    }
    let busy = answer["busy"].as_array().ok_or_else(|| unknown("the answer is not an AgentPod's"))?;
    Ok(busy.iter().any(|id| *id == *pod.to_string()))
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;

    async fn ask(answer: &'static str) -> Result<bool, LeaderUnknown> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let listen = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 4096]).await;
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", answer.len());
            stream.write_all((head + answer).as_bytes()).await.unwrap();
        });
        is_busy_at_leader(listen, &"mine".parse().unwrap(), &"t/a".parse().unwrap()).await
    }

    #[tokio::test]
    async fn only_the_leaders_own_answer_counts() {
        assert!(ask(r#"{"instance":"mine","busy":["t/b","t/a"]}"#).await.unwrap());
        assert!(!ask(r#"{"instance":"mine","busy":["t/ab"]}"#).await.unwrap());
        for answer in
            [r#"{"instance":"","busy":[]}"#, r#"{"instance":"other","busy":[]}"#, r#"{"instance":"mine"}"#, "hello"]
        {
            let error = ask(answer).await.unwrap_err().to_string();
            assert!(error.contains("--listen"), "{answer}: {error}");
        }
        let (instance, pod) = ("mine".parse().unwrap(), "t/a".parse().unwrap());
        let nobody = is_busy_at_leader(([127, 0, 0, 1], 1).into(), &instance, &pod).await;
        assert!(nobody.unwrap_err().to_string().contains("127.0.0.1:1"));
    }
}
