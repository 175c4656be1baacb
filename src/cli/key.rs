//! `agentpod key`: rotates the instance key, or resets a lost one. Both say what follows and ask for confirmation.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Subcommand;

use super::{
    ask,
    connect::{self, Access, Database, DatabaseServer},
    output,
};
use crate::{config::Settings, store::Store};

/// The subcommands of `agentpod key`.
#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Replace the key; tokens and containers stay as they are
    Rotate {
        /// Do not ask for confirmation
        #[arg(short, long)]
        yes: bool,
    },
    /// Give up a lost key
    Reset {
        /// Create a new token for every pod, which replaces all containers; volumes stay
        #[arg(long, required = true)]
        tokens: bool,
        /// Do not ask for confirmation
        #[arg(short, long)]
        yes: bool,
    },
}

/// Runs the command.
pub(crate) async fn run(settings: Settings, command: KeyCommand) -> Result<ExitCode> {
    match command {
        KeyCommand::Rotate { yes } => {
            Database::with(&settings, Access::Existing, async |database| rotate(&settings, database, yes).await).await
        }
        KeyCommand::Reset { tokens: _, yes } => reset(settings, yes).await,
    }
}

async fn rotate(settings: &Settings, database: &Database, yes: bool) -> Result<ExitCode> {
    let file = settings.key_file.display();
    let question = format!("replace the instance key in {file}");
    if !ask::confirm(&question, yes).await? {
        return Ok(ExitCode::FAILURE);
    }
    let Some(lead) = database.store.try_lead().await? else {
        bail!(
            "an AgentPod daemon runs on this database and would continue with the old key; stop it, rotate the key, start it again"
        );
    };
    let sealed = database.store.rotate_key(&lead, &ask::actor(), crate::clock::now()).await?;
    lead.release().await?;
    output::print(&format!(
        "{file} holds a new key, and {} were sealed with it. Keep a copy in a safe place. The old key, {file}.old, opens \
         older backups of the database; remove it when you keep none",
        output::count(sealed, "token")
    ))?;
    Ok(ExitCode::SUCCESS)
}

async fn reset(settings: Settings, yes: bool) -> Result<ExitCode> {
    let question = "give up the lost instance key, create a new token for every pod, and replace every container";
    if !ask::confirm(question, yes).await? {
        return Ok(ExitCode::FAILURE);
    }
    let DatabaseServer { options, embedded } = connect::database_server(&settings, Access::Existing).await?;
    let (file, instance) = (&settings.key_file, &settings.site.instance);
    let pods = Store::reset_key(options, file, instance, &ask::actor(), crate::clock::now()).await;
    if let Some(embedded) = embedded {
        embedded.close().await?;
    }
    let pods = pods.context("nothing was changed")?;
    output::print(&format!(
        "{} {} a new token, sealed with the key in {}; AgentPod replaces their containers when it runs again",
        output::count(pods.len(), "pod"),
        if pods.len() == 1 { "has" } else { "have" },
        file.display()
    ))?;
    Ok(ExitCode::SUCCESS)
}
