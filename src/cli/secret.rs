//! `agentpod secret`: creates identities, and encrypts values so that they are safe to commit. Values come from standard
//! input only: arguments show up in the list of processes and in the shell's history.

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

/// The subcommands of `agentpod secret`.
#[derive(Debug, Subcommand)]
pub(crate) enum SecretCommand {
    /// Create an identity that decrypts secrets, and print the recipient to encrypt to
    Keygen {
        /// The file to create [default: age.key in the state directory]
        file: Option<PathBuf>,
    },
    /// Encrypt a value from standard input, and print it as YAML to paste below `secrets:` of a pod
    Encrypt {
        /// A recipient to encrypt to; repeatable [default: those of --age-identity]
        #[arg(short, long = "recipient", value_name = "age1…")]
        recipients: Vec<String>,
        /// A file with one recipient per line
        #[arg(short = 'R', long, value_name = "FILE")]
        recipients_file: Option<PathBuf>,
        /// The name of the environment variable the agent gets
        #[arg(long, default_value = "NAME")]
        name: String,
    },
}

/// Runs the command.
pub(crate) fn run(settings: Settings, command: SecretCommand) -> Result<ExitCode> {
    match command {
        SecretCommand::Keygen { file } => {
            let file = file.unwrap_or_else(|| settings.state_dir.join(AGE_IDENTITY));
            let recipient = secrets::keygen(&file)?;
            eprintln!("{} decrypts what is encrypted to this recipient; keep a copy in a safe place", file.display());
            output::print(&recipient.to_string())?;
        }
        SecretCommand::Encrypt { recipients, recipients_file, name } => {
            let name = name.as_str();
            if !is_variable(name) {
                bail!(
                    "--name {name:?} is not a variable name: use letters, digits and _, and do not begin with a digit"
                );
            }
            let recipients = recipients_of(&settings, &recipients, recipients_file.as_deref())?;
            let armored = secrets::encrypt(&recipients, &read_value()?)?;
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
        found.push(secrets::recipient(text)?);
    }
    if let Some(file) = file {
        let text = std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if !line.is_empty() && !line.starts_with('#') {
                let recipient = secrets::recipient(line);
                found.push(recipient.with_context(|| format!("{}:{}", file.display(), number + 1))?);
            }
        }
    }
    if found.is_empty() && named.is_empty() && file.is_none() {
        let mut identities = Identities::new(settings.age_identities.clone());
        identities.reload();
        found = identities.recipients();
        if found.is_empty() {
            bail!(
                "there is no recipient; give --recipient age1…, or an identity: {}",
                identities.unusable().join("; ")
            );
        }
    }
    if found.is_empty() {
        bail!("there is no recipient in {}", file.unwrap_or(Path::new("the file")).display());
    }
    Ok(found)
}

/// The value: all of standard input, or what a person types, without echo.
fn read_value() -> Result<SecretString> {
    let mut bytes = Zeroizing::new(Vec::with_capacity((secrets::MAX_BYTES + secrets::LONGEST_UNSEEN) as usize));
    if stdin().is_terminal() {
        let typed = Zeroizing::new(rpassword::prompt_password("value (not shown): ")?);
        bytes.extend_from_slice(typed.as_bytes());
    } else {
        let most = secrets::MAX_BYTES + secrets::LONGEST_UNSEEN;
        stdin().take(most).read_to_end(&mut bytes).context("standard input cannot be read")?;
    }
    // What nobody sees is not part of the value, here as in a file.
    secrets::drop_unseen(&mut bytes);
    if bytes.iter().all(|byte| matches!(byte, b'\r' | b'\n')) {
        bail!("the value is empty; pass it on standard input");
    }
    secrets::value(&bytes).map_err(|error| anyhow::anyhow!("the value cannot be used: {error}"))
}
