//! `agentpod secret`: identities, and encrypted values that are safe to commit. Values come from standard input only: an
//! argument would stand in the list of processes and in the shell's history.

use std::{
    io::{IsTerminal, Read, stdin},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result, bail};
use clap::Subcommand;
use secrecy::{SecretString, zeroize::Zeroizing};

use super::output;
use crate::{
    config::{AGE_IDENTITY, Settings},
    secrets::{self, Identities},
};

/// What can be done with encrypted secrets.
#[derive(Debug, Subcommand)]
pub enum SecretCommand {
    /// Make an identity that opens encrypted secrets, and print the recipient to encrypt to
    Keygen {
        /// The file to make [default: the one that is used if --age-identity is not given]
        file: Option<PathBuf>,
    },
    /// Encrypt a value from standard input, and print it as YAML to paste below a pod's secrets:
    Encrypt {
        /// Whom to encrypt to, may be given several times [default: the identities at hand]
        #[arg(short, long = "recipient", value_name = "age1…")]
        recipients: Vec<String>,
        /// A file with recipients, one a line
        #[arg(short = 'R', long, value_name = "FILE")]
        recipients_file: Option<PathBuf>,
        /// The name of the variable that the agent gets
        #[arg(long, default_value = "NAME")]
        name: String,
    },
}

/// Runs the command.
pub fn run(settings: Settings, what: SecretCommand) -> Result<ExitCode> {
    match what {
        SecretCommand::Keygen { file } => {
            let file = file.unwrap_or_else(|| settings.state_dir.join(AGE_IDENTITY));
            let recipient = secrets::keygen(&file).map_err(anyhow::Error::msg)?;
            eprintln!(
                "{} opens what is encrypted to this recipient; keep a copy of it in a safe place",
                file.display()
            );
            output::print(&recipient.to_string())?;
        }
        SecretCommand::Encrypt { recipients, recipients_file, name } => {
            let name = name.as_str();
            if !is_variable(name) {
                bail!("--name {name:?}: a variable's name has letters, digits and _, and does not begin with a digit");
            }
            let recipients = recipients_of(&settings, &recipients, recipients_file.as_deref())?;
            let armored = secrets::encrypt(&recipients, &read_value()?).map_err(anyhow::Error::msg)?;
            let lines = armored.lines().map(|line| format!("        {line}")).collect::<Vec<_>>().join("\n");
            output::print(&format!("    {name}:\n      age: |\n{lines}"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn is_variable(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit())
        && (1..=128).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn recipients_of(settings: &Settings, named: &[String], file: Option<&Path>) -> Result<Vec<age::x25519::Recipient>> {
    let mut found = Vec::new();
    for text in named {
        found.push(secrets::recipient(text).map_err(anyhow::Error::msg)?);
    }
    if let Some(file) = file {
        let text = std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if !line.is_empty() && !line.starts_with('#') {
                let recipient = secrets::recipient(line).map_err(anyhow::Error::msg);
                found.push(recipient.with_context(|| format!("{}:{}", file.display(), number + 1))?);
            }
        }
    }
    if found.is_empty() && named.is_empty() && file.is_none() {
        let mut identities = Identities::new(settings.age_identities.clone());
        identities.look();
        found = identities.recipients();
        if found.is_empty() {
            bail!("give --recipient age1…, or an identity to encrypt to: {}", identities.unusable().join("; "));
        }
    }
    if found.is_empty() {
        bail!("there is no recipient in {}", file.unwrap_or(Path::new("there")).display());
    }
    Ok(found)
}

/// The value: everything on standard input, or what a person types without its being shown.
fn read_value() -> Result<SecretString> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(secrets::MAX_BYTES as usize + 4));
    if stdin().is_terminal() {
        let typed = Zeroizing::new(rpassword::prompt_password("value (not shown): ")?);
        bytes.extend_from_slice(typed.as_bytes());
    } else {
        stdin().take(secrets::MAX_BYTES + 3).read_to_end(&mut bytes).context("standard input cannot be read")?;
    }
    // As it will be once it is opened again; what is encrypted is what came in.
    if bytes.iter().all(|byte| matches!(byte, b'\r' | b'\n')) {
        bail!("the value is empty; write it to standard input");
    }
    secrets::value(&bytes).map_err(|why| anyhow::anyhow!("the value cannot be used: {why}"))
}
