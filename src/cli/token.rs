//! `agentpod token`: a pod's gateway token, shown or exchanged only when somebody asks for exactly that.

use std::{
    io::{IsTerminal, stdout},
    process::ExitCode,
};

use anyhow::{Context, Result};
use clap::Subcommand;
use secrecy::ExposeSecret;

use super::{ask, connect::Database, output};
use crate::{config::Settings, core::names::PodId};

/// What can be done with gateway tokens.
#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Print a pod's token, and nothing else, on standard output
    Show {
        /// Which pod, as TENANT/POD
        pod: PodId,
    },
    /// Give a pod a new token; its container is replaced, its data stays
    Rotate {
        /// Which pod, as TENANT/POD
        pod: PodId,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
    },
}

/// Runs the command.
pub async fn run(settings: Settings, what: TokenCommand) -> Result<ExitCode> {
    let database = Database::open(&settings).await?;
    let outcome = carry_out(&database, what).await;
    database.close().await?;
    outcome
}

async fn carry_out(database: &Database, what: TokenCommand) -> Result<ExitCode> {
    let unknown = |pod: &PodId| format!("there is no pod {pod}, and there never was; look with agentpod status");
    match what {
        TokenCommand::Show { pod } => {
            let token = database.store.token(&pod).await?.with_context(|| unknown(&pod))?;
            if stdout().is_terminal() {
                eprintln!("whoever has this token can use {pod}:");
            }
            output::print(token.expose_secret())?;
        }
        TokenCommand::Rotate { pod, yes } => {
            if !ask::confirm(&format!("give {pod} a new token and replace its container"), yes)? {
                return Ok(ExitCode::FAILURE);
            }
            let version = database.store.rotate_token(&pod, &ask::actor(), crate::clock::now()).await?;
            let version = version.with_context(|| unknown(&pod))?;
            let when = match database.store.leader().await? {
                Some(_) => "the daemon replaces its container now",
                None => "its container is replaced when AgentPod runs again",
            };
            output::print(&format!("{pod} has a new token (version {version}); {when}"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
