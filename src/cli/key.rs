//! `agentpod key`: the instance key, exchanged for another or given up when it is lost. Never by the way: each of these
//! says what it means and asks.

use std::{process::ExitCode, sync::Arc};

use anyhow::{Context, Result, bail};
use clap::Subcommand;

use super::{
    ask,
    connect::{self, Database},
    output,
};
use crate::{config::Settings, store::Store};

/// What can be done with the instance key.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Seal every token under a new key; tokens and containers stay as they are
    Rotate {
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
    },
    /// When the key is lost: go on without it
    Reset {
        /// Make a new token for every pod, which replaces all their containers; volumes stay
        #[arg(long, required = true)]
        tokens: bool,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
    },
}

/// Runs the command.
pub async fn run(settings: Settings, what: KeyCommand) -> Result<ExitCode> {
    match what {
        KeyCommand::Rotate { yes } => {
            let database = Database::open(&settings).await?;
            let outcome = rotate(&settings, &database, yes).await;
            database.close().await?;
            outcome
        }
        KeyCommand::Reset { tokens: _, yes } => reset(settings, yes).await,
    }
}

async fn rotate(settings: &Settings, database: &Database, yes: bool) -> Result<ExitCode> {
    let file = settings.key_file.display();
    let question = format!("put a new instance key in place of the one in {file}");
    if !ask::confirm(&question, yes)? {
        return Ok(ExitCode::FAILURE);
    }
    let Some(mut lead) = database.store.try_lead().await? else {
        bail!(
            "an AgentPod daemon runs on this database and would go on with the old key; stop it, exchange the key, start it"
        );
    };
    let sealed = database.store.exchange_key(&mut lead, &ask::actor(), crate::clock::now()).await?;
    lead.release().await?;
    output::print(&format!(
        "{file} holds a new key, and {} were sealed with it. Keep a copy of it in a safe place. The old key, {file}.old, opens \
         backups of the database from before; remove it when there are none",
        output::count(sealed, "token")
    ))?;
    Ok(ExitCode::SUCCESS)
}

async fn reset(settings: Settings, yes: bool) -> Result<ExitCode> {
    let question = "give up the lost instance key, make a new token for every pod, and have every container replaced";
    if !ask::confirm(question, yes)? {
        return Ok(ExitCode::FAILURE);
    }
    let (options, embedded) = connect::server(&settings).await?;
    let (file, instance) = (&settings.key_file, &settings.site.instance);
    let pods = Store::reset_key(options, file, instance, &ask::actor(), crate::clock::now()).await;
    if let Some(embedded) = embedded.and_then(Arc::into_inner) {
        embedded.close().await?;
    }
    let pods = pods.context("nothing was changed")?;
    output::print(&format!(
        "{} {} a new token, sealed with the key in {}; their containers are replaced when AgentPod runs again",
        output::count(pods.len(), "pod"),
        if pods.len() == 1 { "has" } else { "have" },
        file.display()
    ))?;
    Ok(ExitCode::SUCCESS)
}
