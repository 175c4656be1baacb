//! `agentpod account`: the accounts of the dashboard and the API. A password comes from the terminal, a file or standard
//! input, never as an argument: arguments show up in the list of processes and in the shell's history.

use std::{
    io::{IsTerminal, Read, stdin},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand, ValueEnum};
use secrecy::{ExposeSecret, SecretString, zeroize::Zeroizing};
use serde_json::json;
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    Output, ask,
    connect::{Access, Database},
    output,
};
use crate::{
    config::Settings,
    core::{
        access::{Person, Role, validate_account_name},
        names::TenantName,
        problem::nearest,
        quantity::Span,
    },
    passwords::{self, Passwords},
    private_file,
    store::{Account, ApiToken, Store},
};

/// The subcommands of `agentpod account`.
#[derive(Debug, Subcommand)]
pub(crate) enum AccountCommand {
    /// Add an account; after the first one, everybody has to sign in
    Add {
        /// The name to sign in with
        name: String,
        /// What the account may do
        #[arg(long)]
        role: RoleArg,
        /// The only tenant the account may see [default: all tenants]
        #[arg(long)]
        tenant: Option<TenantName>,
        #[command(flatten)]
        password: PasswordFrom,
        /// Set no password: the account signs in by API token or through a trusted proxy
        #[arg(long, conflicts_with_all = ["password_stdin", "password_file"])]
        no_password: bool,
    },
    /// List the accounts and their API tokens
    List {
        /// The output format
        #[arg(short, long, default_value = "text")]
        output: Output,
    },
    /// Remove an account with its sessions and API tokens
    Remove {
        /// The account's name
        name: String,
        /// Do not ask for confirmation
        #[arg(short, long)]
        yes: bool,
    },
    /// Set a new password; the account's sessions end
    Password {
        /// The account's name
        name: String,
        #[command(flatten)]
        password: PasswordFrom,
    },
    /// Disable an account until it is enabled again; its sessions end at once
    Disable {
        /// The account's name
        name: String,
    },
    /// Enable a disabled account
    Enable {
        /// The account's name
        name: String,
    },
    /// Create an API token; it is printed only once
    Token {
        /// The account's name
        name: String,
        /// How long the token is valid, or `never` to let it never expire
        #[arg(long, default_value = "90d", value_name = "TIME")]
        expires: Expiry,
        /// What the token is for, as the list shows it
        #[arg(long = "for", default_value = "", value_name = "TEXT")]
        purpose: String,
    },
    /// Revoke an API token
    RevokeToken {
        /// The token's number, as the list shows it
        id: i64,
    },
}

/// A role, as typed.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum RoleArg {
    /// May view everything it can see.
    Viewer,
    /// May also request restarts, pauses, syncs and approvals.
    Operator,
}

/// Where a password comes from.
#[derive(Debug, Args)]
pub(crate) struct PasswordFrom {
    /// Read the password from standard input
    #[arg(long)]
    password_stdin: bool,
    /// Read the password from a file that only its owner can read
    #[arg(long, value_name = "FILE", conflicts_with = "password_stdin")]
    password_file: Option<PathBuf>,
}

/// How long an API token is valid; `None` means for ever.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Expiry(Option<Span>);

/// A text is not a lifetime of an API token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ExpiryError {
    /// It is zero.
    #[error("the token would expire at once")]
    Zero,
    /// It is neither a length of time nor `never`.
    #[error("expected a length of time like 90d or 12h, or never")]
    NotATime,
}

impl std::str::FromStr for Expiry {
    type Err = ExpiryError;

    fn from_str(text: &str) -> Result<Self, ExpiryError> {
        if text == "never" {
            return Ok(Self(None));
        }
        // `Span` has no days, since manifests do not need them.
        let days = text.strip_suffix('d').and_then(|days| days.parse::<u64>().ok()?.checked_mul(86_400_000));
        match days.map(Span).map_or_else(|| text.parse::<Span>(), Ok) {
            Ok(span) if span.0 > 0 => Ok(Self(Some(span))),
            Ok(_) => Err(ExpiryError::Zero),
            Err(_) => Err(ExpiryError::NotATime),
        }
    }
}

/// Runs the command.
pub(crate) async fn run(settings: Settings, command: AccountCommand) -> Result<ExitCode> {
    // Read before the database is opened, so that a private one does not run while a person types.
    let password = match &command {
        AccountCommand::Add { name, no_password, password, .. } => {
            validate_account_name(name)?;
            if *no_password { None } else { Some(password.read()?) }
        }
        AccountCommand::Password { password, .. } => Some(password.read()?),
        _ => None,
    };
    let hash = match password {
        Some(password) => Some(Passwords::default().hash(password).await.map_err(anyhow::Error::from)?),
        None => None,
    };
    // The first account may be added before AgentPod is exposed, and so before it has ever run.
    let access = match &command {
        AccountCommand::Add { .. } => Access::Create,
        _ => Access::Existing,
    };
    Database::with(&settings, access, async |database| execute(&database.store, command, hash).await).await
}

async fn execute(store: &Store, command: AccountCommand, hash: Option<String>) -> Result<ExitCode> {
    let (actor, now) = (ask::actor(), crate::clock::now());
    let unknown =
        |name: &str| anyhow::anyhow!("there is no account {name}; list the accounts with agentpod account list");
    let found = |is_there: bool, name: &str| if is_there { Ok(()) } else { Err(unknown(name)) };
    match command {
        AccountCommand::Add { name, role, tenant, .. } => {
            let role = match role {
                RoleArg::Viewer => Role::Viewer,
                RoleArg::Operator => Role::Operator,
            };
            let is_first = !store.has_accounts().await?;
            let person = Person { name, role, tenant };
            if !store.add_account(&person, hash.as_deref(), &actor, now).await? {
                bail!(
                    "the account {} exists already; set another password with agentpod account password {}",
                    person.name,
                    person.name
                );
            }
            output::print(&format!("account {} added", person.name))?;
            if let Some(tenant) = &person.tenant {
                warn_of_unknown(store, tenant).await?;
            }
            if is_first {
                eprintln!("from now on everybody has to sign in, on this machine too");
            }
        }
        AccountCommand::List { output } => {
            let (accounts, tokens) = (store.accounts().await?, store.api_tokens(None).await?);
            list(&accounts, &tokens, output, now)?;
        }
        AccountCommand::Remove { name, yes } => {
            found(store.account(&name).await?.is_some(), &name)?;
            if !ask::confirm(&format!("remove the account {name} with its sessions and API tokens"), yes).await? {
                return Ok(ExitCode::FAILURE);
            }
            found(store.remove_account(&name, &actor, now).await?, &name)?;
            output::print(&format!("account {name} removed"))?;
            if !store.has_accounts().await? {
                eprintln!(
                    "this was the last account: nobody has to sign in on loopback any more, and nobody can elsewhere"
                );
            }
        }
        AccountCommand::Password { name, .. } => {
            let hash = hash.context("a password is needed")?;
            found(store.set_password(&name, &hash, &actor, now).await?, &name)?;
            output::print(&format!("password of account {name} changed; its sessions have ended"))?;
        }
        AccountCommand::Disable { name } => {
            found(store.account(&name).await?.is_some(), &name)?;
            store.disable_account(&name, &actor, now).await?;
            output::print(&format!("account {name} disabled; its sessions have ended"))?;
        }
        AccountCommand::Enable { name } => {
            found(store.account(&name).await?.is_some(), &name)?;
            store.enable_account(&name, &actor, now).await?;
            output::print(&format!("account {name} enabled"))?;
        }
        AccountCommand::Token { name, expires, purpose } => {
            if purpose.chars().count() > 100 || purpose.chars().any(char::is_control) {
                bail!("--for is too long: give at most 100 characters, on one line");
            }
            let secret = passwords::new_secret().context("the system returned no random bytes")?;
            let token = SecretString::from(format!("agp_{}", secret.expose_secret()));
            let expires_at = match expires.0 {
                Some(span) => Some(until(span, now).context("--expires is too far in the future; use never")?),
                None => None,
            };
            let id = store.add_api_token(&token, &name, &purpose, expires_at, &actor, now).await?;
            let id = id.ok_or_else(|| unknown(&name))?;
            let end = expires_at.map_or("it never expires".into(), |end| format!("it expires on {}", date(end)));
            eprintln!("API token {id} of {name}; {end} and is not shown again:");
            output::print(token.expose_secret())?;
        }
        AccountCommand::RevokeToken { id } => match store.revoke_api_token(id, &actor, now).await? {
            Some(account) => output::print(&format!("API token {id} of {account} revoked"))?,
            None => bail!("there is no API token {id}; list the tokens with agentpod account list"),
        },
    }
    Ok(ExitCode::SUCCESS)
}

/// Says that an account's tenant does not exist. It may be declared later.
async fn warn_of_unknown(store: &Store, tenant: &TenantName) -> Result<()> {
    let operator = Person { name: ask::actor(), role: Role::Operator, tenant: None };
    let known: Vec<String> =
        store.view(&operator).tenants().await?.into_iter().map(|line| line.name.to_string()).collect();
    if !known.iter().any(|name| name == tenant.as_str()) {
        let hint = nearest(tenant.as_str(), known.iter().map(String::as_str));
        let hint = hint.map(|name| format!("; did you mean {name}?")).unwrap_or_default();
        eprintln!("warning: no tenant {tenant} is declared, so this account sees nothing until one is{hint}");
    }
    Ok(())
}

fn until(span: Span, now: OffsetDateTime) -> Option<OffsetDateTime> {
    now.checked_add(Duration::milliseconds(i64::try_from(span.0).ok()?))
}

impl PasswordFrom {
    fn read(&self) -> Result<SecretString> {
        let password: SecretString = if let Some(file) = &self.password_file {
            let text = private_file::read(file, passwords::MAX_BYTES + 6);
            one_line(&text.map_err(|error| anyhow::anyhow!("the password file {}: {error}", file.display()))?)
        } else if self.password_stdin {
            let mut text = Zeroizing::new(String::with_capacity(passwords::MAX_BYTES + 6));
            stdin()
                .take(passwords::MAX_BYTES as u64 + 6)
                .read_to_string(&mut text)
                .context("standard input cannot be read")?;
            one_line(&text)
        } else if stdin().is_terminal() {
            let password = Zeroizing::new(rpassword::prompt_password("password (not shown): ")?);
            let again = Zeroizing::new(rpassword::prompt_password("repeat the password: ")?);
            if password != again {
                bail!("the passwords differ; nothing was changed");
            }
            password.as_str().into()
        } else {
            bail!("there is no terminal to type a password on; use --password-stdin or --password-file");
        };
        passwords::validate(&password)?;
        Ok(password)
    }
}

/// A text without what editors and `echo` add and nobody sees: a byte-order mark and a final line end.
fn one_line(text: &str) -> SecretString {
    let text = text.strip_suffix('\n').unwrap_or(text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    text.strip_prefix('\u{feff}').unwrap_or(text).into()
}

fn list(accounts: &[Account], tokens: &[ApiToken], format: Output, now: OffsetDateTime) -> Result<()> {
    if format != Output::Text {
        let time = |at: OffsetDateTime| at.format(&Rfc3339).unwrap_or_default();
        let of = |name: &str| {
            let own = tokens.iter().filter(|token| token.account == name);
            let tokens = own.map(|token| {
                json!({"id": token.id, "for": token.name, "created_at": time(token.created_at),
                       "expires_at": token.expires_at.map(time), "last_used": token.last_used.map(time)})
            });
            tokens.collect::<Vec<_>>()
        };
        let entries = accounts.iter().map(|account| {
            let Person { name, role, tenant } = &account.person;
            json!({"name": name, "role": role, "tenant": tenant, "password": account.has_password,
                   "created_at": time(account.created_at), "disabled_at": account.disabled_at.map(time), "tokens": of(name)})
        });
        return output::data(format, &entries.collect::<Vec<_>>());
    }
    let rows = accounts.iter().map(|account| {
        let Person { name, role, tenant } = &account.person;
        let role = if *role == Role::Operator { "operator" } else { "viewer" };
        let tenant = tenant.as_ref().map_or("all".into(), |tenant| tenant.to_string());
        let state = match (account.disabled_at, account.has_password) {
            (Some(_), _) => "disabled",
            (None, true) => "password",
            (None, false) => "no password",
        };
        vec![name.clone(), role.into(), tenant, state.into(), output::age(account.created_at, now)]
    });
    let empty = "no accounts: nobody has to sign in, and AgentPod serves loopback only";
    output::table(&["ACCOUNT", "ROLE", "TENANT", "SIGN-IN", "AGE"], rows.collect(), empty)?;
    if tokens.is_empty() {
        return Ok(());
    }
    let rows = tokens.iter().map(|token| {
        let used = token.last_used.map_or("never".into(), |used| format!("{} ago", output::age(used, now)));
        let end = match token.expires_at {
            None => "never".into(),
            Some(end) if end <= now => "expired".into(),
            Some(end) => date(end),
        };
        vec![token.id.to_string(), token.account.clone(), token.name.clone(), used, end]
    });
    output::print("")?;
    output::table(&["TOKEN", "ACCOUNT", "FOR", "USED", "EXPIRES"], rows.collect(), "")
}

fn date(at: OffsetDateTime) -> String {
    at.date().to_string()
}
