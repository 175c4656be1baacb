//! `agentpod token`: shows or rotates a pod's gateway token. No other command prints one.

use std::{
    io::{IsTerminal, stdout},
    process::ExitCode,
};

use anyhow::{Context, Result};
use clap::Subcommand;
use secrecy::ExposeSecret;

use super::{
    ask, backend,
    connect::{Access, Database},
    output,
    similar::no_such_pod,
};
use crate::{config::Settings, core::names::PodId, store::Rotated};

/// The subcommands of `agentpod token`.
#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Print a pod's token, and nothing else, to standard output
    Show {
        /// The pod, as TENANT/POD
        pod: PodId,
    },
    /// Give a pod a new token; its container is replaced, its data stays
    Rotate {
        /// The pod, as TENANT/POD
        pod: PodId,
        /// Rotate the secrets that its adapter generated instead, and not the token; what depends on them may be lost
        #[arg(long)]
        generated: bool,
        /// Do not ask for confirmation
        #[arg(short, long)]
        yes: bool,
    },
}

/// Runs the command.
pub(crate) async fn run(settings: Settings, command: TokenCommand) -> Result<ExitCode> {
    Database::with(&settings, Access::Existing, async |database| execute(database, command).await).await
}

async fn execute(database: &Database, command: TokenCommand) -> Result<ExitCode> {
    let known: Vec<PodId> = backend::pods_in(&database.store).await?.into_iter().map(|line| line.id).collect();
    let unknown = |pod: &PodId| no_such_pod(pod, &known);
    match command {
        TokenCommand::Show { pod } => {
            let token = database.store.token(&pod).await?.with_context(|| unknown(&pod))?;
            if stdout().is_terminal() {
                eprintln!("anyone who has this token can use {pod}:");
            }
            output::print(token.expose_secret())?;
        }
        TokenCommand::Rotate { pod, generated, yes } => {
            let (what, question) = match generated {
                true => (
                    Rotated::Generated,
                    format!(
                        "give {pod} new generated secrets, lose what depends on the present ones (see its adapter), and replace \
                         its container"
                    ),
                ),
                false => (
                    Rotated::Token,
                    format!("give {pod} a new gateway token (its generated secrets stay) and replace its container"),
                ),
            };
            if !ask::confirm(&question, yes).await? {
                return Ok(ExitCode::FAILURE);
            }
            let version = database.store.rotate(&pod, what, &ask::actor(), crate::clock::now()).await?;
            let version = version.with_context(|| unknown(&pod))?;
            let when = match database.store.leader().await? {
                Some(_) => "the daemon replaces its container now",
                None => "AgentPod replaces its container when it runs again",
            };
            output::print(&format!("{what} of {pod} rotated (version {version}); {when}"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
