//! `agentpod orphans` and `agentpod purge`: what nothing declares any more, and deleting a removed pod's data. Nothing is
//! deleted before a person has read what it is and typed the pod's name.

use std::{io::Write, net::SocketAddr, process::ExitCode, time::Duration};

use anyhow::{Result, bail};
use serde_json::Value;

use super::{
    Output,
    connect::{self, Database},
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
    reconcile::{self, Parts, act},
};

/// How long the AgentPod that leads may take to say whether it is at work.
const ANSWER_TIME: Duration = Duration::from_secs(5);

/// `agentpod orphans`: exit code 2 when there are any.
pub async fn orphans(settings: Settings, how: Output) -> Result<ExitCode> {
    let database = Database::open(&settings).await?;
    let found = look(&settings, &database).await;
    database.close().await?;
    let found = found?;
    match how {
        Output::Json | Output::Yaml => output::data(how, &found)?,
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
            output::table(&head, found.iter().map(line).collect(), "nothing is left over")?;
        }
    }
    Ok(if found.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(2) })
}

async fn look(settings: &Settings, database: &Database) -> Result<Vec<Orphan>> {
    let Parts { engine, store, source, site, .. } = connect::parts(settings, database)?;
    let (seen, wanted) = act::orphans::look(engine.as_ref(), &store, &source, &site).await?;
    if let Some(doubt) = &wanted.doubt {
        if wanted.records.is_empty() {
            bail!("what is declared cannot be seen, so everything would look left over: {doubt}");
        }
        eprintln!("warning: more may be declared than is known here: {doubt}");
    }
    Ok(orphans::orphans(&seen, &wanted))
}

/// `agentpod purge`.
pub async fn purge(settings: Settings, pod: PodId, yes: bool) -> Result<ExitCode> {
    let database = Database::open(&settings).await?;
    let outcome = agree_and_purge(&settings, &database, &pod, yes).await;
    database.close().await?;
    outcome?;
    output::print(&format!("{pod} is purged; declared again, it is a new pod with a new token"))?;
    Ok(ExitCode::SUCCESS)
}

async fn agree_and_purge(settings: &Settings, database: &Database, pod: &PodId, yes: bool) -> Result<()> {
    let Parts { engine, store, source, site, .. } = connect::parts(settings, database)?;
    let (seen, wanted) = act::orphans::look(engine.as_ref(), &store, &source, &site).await?;
    let offered = purge::purge(pod, &wanted, &seen, false).map_err(|refusal| anyhow::anyhow!(refusal.sentence(pod)))?;
    output::print(&offered.to_string())?;
    if !yes {
        agree(&offered).await?;
    }
    // With the lead, nobody is at work; without it, who has it says whether they are.
    let lead = store.try_lead().await?;
    let busy = async || match &lead {
        Some(_) => Ok(false),
        None => ask_the_leader(settings.listen, &site.instance, pod).await,
    };
    act::orphans::purge(engine.as_ref(), &store, &source, &site, &offered, busy).await?;
    if let Some(lead) = lead {
        lead.release().await?;
    }
    Ok(())
}

/// Has the pod's name typed. Nothing else is a yes.
async fn agree(offered: &Purge) -> Result<()> {
    let pod = offered.pod.to_string();
    eprint!("Type {pod} to go on: ");
    std::io::stderr().flush()?;
    let typed = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).map(|_| line)
    });
    let typed = typed.await??;
    if typed.is_empty() {
        eprintln!();
        bail!("nobody is there to agree, so nothing was deleted; scripts that mean it say --yes");
    }
    if typed.trim() != pod {
        bail!("that is not {pod}; nothing was deleted");
    }
    Ok(())
}

/// Whether the AgentPod that leads has steps under way for a pod.
async fn ask_the_leader(listen: SocketAddr, instance: &InstanceName, pod: &PodId) -> Result<bool, String> {
    let silent = |why: &str| {
        format!(
            "an AgentPod leads on this database, and whether it is at work on {pod} cannot be seen at {listen} ({why}); \
             give its address as --listen, or stop it first"
        )
    };
    let host = listen.to_string();
    let asked = tokio::time::timeout(ANSWER_TIME, reconcile::get(listen, &host, "/api/v1/busy")).await;
    let answer = asked.map_err(|_| silent("no answer"))?.map_err(|why| silent(&why))?;
    let answer: Value = serde_json::from_str(&answer).map_err(|_| silent("it is something else"))?;
    if answer["instance"] != instance.as_str() {
        return Err(silent("that is not the one that leads"));
    }
    let busy = answer["busy"].as_array().ok_or_else(|| silent("it is something else"))?;
    Ok(busy.iter().any(|id| *id == *pod.to_string()))
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;

    async fn ask(answer: &'static str) -> Result<bool, String> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let listen = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 4096]).await;
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", answer.len());
            stream.write_all((head + answer).as_bytes()).await.unwrap();
        });
        ask_the_leader(listen, &"mine".parse().unwrap(), &"t/a".parse().unwrap()).await
    }

    #[tokio::test]
    async fn only_the_leaders_own_word_counts() {
        assert_eq!(ask(r#"{"instance":"mine","busy":["t/b","t/a"]}"#).await, Ok(true));
        assert_eq!(ask(r#"{"instance":"mine","busy":["t/ab"]}"#).await, Ok(false));
        for answer in
            [r#"{"instance":"","busy":[]}"#, r#"{"instance":"other","busy":[]}"#, r#"{"instance":"mine"}"#, "hello"]
        {
            let why = ask(answer).await.unwrap_err();
            assert!(why.contains("--listen"), "{answer}: {why}");
        }
        let (instance, pod) = ("mine".parse().unwrap(), "t/a".parse().unwrap());
        let nobody = ask_the_leader(([127, 0, 0, 1], 1).into(), &instance, &pod).await;
        assert!(nobody.unwrap_err().contains("127.0.0.1:1"));
    }
}
