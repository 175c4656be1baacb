//! `agentpod account`: who may look and ask on the dashboard and the API. A password comes from the terminal, a file or
//! standard input, never as an argument: that would stand in the list of processes and in the shell's history.

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

use super::{Output, ask, connect::Database, output};
use crate::{
    config::Settings,
    core::{
        access::{Person, Role, check_account_name},
        names::TenantName,
        quantity::Span,
    },
    passwords::{self, Passwords},
    private_file,
    store::{Account, ApiToken, Store},
};

/// What can be done with accounts.
#[derive(Debug, Subcommand)]
pub enum AccountCommand {
    /// Make an account; the first one closes a dashboard that was open on loopback
    Add {
        /// What its owner types to sign in
        name: String,
        /// What it may do
        #[arg(long)]
        role: RoleArg,
        /// The one tenant it may see [default: all]
        #[arg(long)]
        tenant: Option<TenantName>,
        #[command(flatten)]
        password: PasswordFrom,
        /// Give it no password: it gets in by API token, or by a proxy that knows the name
        #[arg(long, conflicts_with_all = ["password_stdin", "password_file"])]
        no_password: bool,
    },
    /// Show every account and its API tokens
    List {
        #[arg(short, long, default_value = "text")]
        output: Output,
    },
    /// Remove an account with its sessions and API tokens
    Remove {
        /// Which
        name: String,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
    },
    /// Give an account another password; its sessions end
    Password {
        /// Which
        name: String,
        #[command(flatten)]
        password: PasswordFrom,
    },
    /// Let nobody in by an account until it is enabled again; its sessions end at once
    Disable {
        /// Which
        name: String,
    },
    /// Let people in by a disabled account again
    Enable {
        /// Which
        name: String,
    },
    /// Make an API token, and print it this once
    Token {
        /// Whose
        name: String,
        /// From when on it is no good, or `never`
        #[arg(long, default_value = "90d", value_name = "TIME")]
        expires: Expiry,
        /// What it is for, for the list
        #[arg(long = "for", default_value = "", value_name = "TEXT")]
        purpose: String,
    },
    /// Make an API token no good
    RevokeToken {
        /// Its number, as the list shows it
        id: i64,
    },
}

/// What an account may do, as typed.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum RoleArg {
    /// Look.
    Viewer,
    /// Look, and ask for restarts, pauses, syncs and approvals.
    Operator,
}

/// Where a password comes from.
#[derive(Debug, Args)]
pub struct PasswordFrom {
    /// Read the password from standard input
    #[arg(long)]
    password_stdin: bool,
    /// Read the password from a file that only its owner can read
    #[arg(long, value_name = "FILE", conflicts_with = "password_stdin")]
    password_file: Option<PathBuf>,
}

/// How long an API token is good.
#[derive(Debug, Clone, Copy)]
pub struct Expiry(Option<Span>);

impl std::str::FromStr for Expiry {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "never" {
            return Ok(Self(None));
        }
        // Days are for people who think in them; a manifest's spans have none.
        let days = text.strip_suffix('d').and_then(|days| days.parse::<u64>().ok()?.checked_mul(86_400_000));
        match days.map(Span).map_or_else(|| text.parse::<Span>(), Ok) {
            Ok(span) if span.0 > 0 => Ok(Self(Some(span))),
            Ok(_) => Err("it would be no good from the start".into()),
            Err(_) => Err("a length of time like 90d or 12h, or never".into()),
        }
    }
}

/// Runs the command.
pub async fn run(settings: Settings, what: AccountCommand) -> Result<ExitCode> {
    // Asked for before the database is opened: a private one would otherwise be kept waiting for a person.
    let password = match &what {
        AccountCommand::Add { name, no_password, password, .. } => {
            check_account_name(name).map_err(anyhow::Error::msg)?;
            if *no_password { None } else { Some(password.read()?) }
        }
        AccountCommand::Password { password, .. } => Some(password.read()?),
        _ => None,
    };
    let hash = match password {
        Some(password) => Some(Passwords::default().hash(password).await.map_err(|busy| anyhow::anyhow!("{busy}"))?),
        None => None,
    };
    let database = Database::open(&settings).await?;
    let outcome = carry_out(&database.store, what, hash).await;
    database.close().await?;
    outcome
}

async fn carry_out(store: &Store, what: AccountCommand, hash: Option<String>) -> Result<ExitCode> {
    let (actor, now) = (ask::actor(), crate::clock::now());
    let unknown =
        |name: &str| anyhow::anyhow!("there is no account {name}; agentpod account list shows those there are");
    let found = |is_there: bool, name: &str| if is_there { Ok(()) } else { Err(unknown(name)) };
    match what {
        AccountCommand::Add { name, role, tenant, .. } => {
            let role = match role {
                RoleArg::Viewer => Role::Viewer,
                RoleArg::Operator => Role::Operator,
            };
            let is_first = !store.has_accounts().await?;
            let person = Person { name, role, tenant };
            if !store.add_account(&person, hash.as_deref(), &actor, now).await? {
                bail!(
                    "there is an account {} already; agentpod account password gives it another password",
                    person.name
                );
            }
            output::print(&format!("account {} was added", person.name))?;
            if is_first {
                eprintln!("from now on everybody has to sign in, also on this machine");
            }
        }
        AccountCommand::List { output } => {
            let (accounts, tokens) = (store.accounts().await?, store.api_tokens(None).await?);
            list(&accounts, &tokens, output, now)?;
        }
        AccountCommand::Remove { name, yes } => {
            found(store.account(&name).await?.is_some(), &name)?;
            if !ask::confirm(&format!("remove account {name} with its sessions and API tokens"), yes)? {
                return Ok(ExitCode::FAILURE);
            }
            found(store.remove_account(&name, &actor, now).await?, &name)?;
            output::print(&format!("account {name} was removed"))?;
            if !store.has_accounts().await? {
                eprintln!("it was the last one: on loopback nobody has to sign in any more, and elsewhere nobody can");
            }
        }
        AccountCommand::Password { name, .. } => {
            let hash = hash.context("a password is needed")?;
            found(store.set_password(&name, &hash, &actor, now).await?, &name)?;
            output::print(&format!("account {name} has a new password, and its sessions have ended"))?;
        }
        AccountCommand::Disable { name } => {
            found(store.account(&name).await?.is_some(), &name)?;
            store.disable_account(&name, &actor, now).await?;
            output::print(&format!("account {name} is disabled, and its sessions have ended"))?;
        }
        AccountCommand::Enable { name } => {
            found(store.account(&name).await?.is_some(), &name)?;
            store.enable_account(&name, &actor, now).await?;
            output::print(&format!("account {name} is enabled"))?;
        }
        AccountCommand::Token { name, expires, purpose } => {
            if purpose.chars().count() > 100 || purpose.chars().any(char::is_control) {
                bail!("--for: at most 100 characters in one line");
            }
            let secret = passwords::new_secret().context("the system gave no random bytes")?;
            let token = SecretString::from(format!("agentpod_{}", secret.expose_secret()));
            let expires_at = match expires.0 {
                Some(span) => Some(until(span, now).context("--expires is too far away; say never")?),
                None => None,
            };
            let id = store.add_api_token(&token, &name, &purpose, expires_at, &actor, now).await?;
            let id = id.ok_or_else(|| unknown(&name))?;
            let end = expires_at.map_or("it never expires".into(), |end| format!("it is good until {}", date(end)));
            eprintln!("API token number {id} of {name}; {end}, and it is not shown again:");
            output::print(token.expose_secret())?;
        }
        AccountCommand::RevokeToken { id } => match store.revoke_api_token(id, &actor, now).await? {
            Some(account) => output::print(&format!("API token number {id} of {account} is no good any more"))?,
            None => bail!("there is no API token number {id}; agentpod account list shows those there are"),
        },
    }
    Ok(ExitCode::SUCCESS)
}

fn until(span: Span, now: OffsetDateTime) -> Option<OffsetDateTime> {
    now.checked_add(Duration::milliseconds(i64::try_from(span.0).ok()?))
}

impl PasswordFrom {
    fn read(&self) -> Result<SecretString> {
        let password: SecretString = if let Some(file) = &self.password_file {
            let text = private_file::read(file, passwords::MOST + 3);
            one_line(&text.map_err(|why| anyhow::anyhow!("the password file {}: {why}", file.display()))?)
        } else if self.password_stdin {
            let mut text = Zeroizing::new(String::with_capacity(passwords::MOST + 4));
            stdin()
                .take(passwords::MOST as u64 + 3)
                .read_to_string(&mut text)
                .context("standard input cannot be read")?;
            one_line(&text)
        } else if stdin().is_terminal() {
            let password = Zeroizing::new(rpassword::prompt_password("password (not shown): ")?);
            let again = Zeroizing::new(rpassword::prompt_password("the same again: ")?);
            if password != again {
                bail!("these were two different passwords; nothing was changed");
            }
            password.as_str().into()
        } else {
            bail!("nobody is there to type a password; give --password-stdin or --password-file");
        };
        passwords::check(&password).map_err(anyhow::Error::msg)?;
        Ok(password)
    }
}

/// A text without the one line end that editors and `echo` put behind it.
fn one_line(text: &str) -> SecretString {
    let text = text.strip_suffix('\n').unwrap_or(text);
    text.strip_suffix('\r').unwrap_or(text).into()
}

fn list(accounts: &[Account], tokens: &[ApiToken], how: Output, now: OffsetDateTime) -> Result<()> {
    if how != Output::Text {
        let time = |at: OffsetDateTime| at.format(&Rfc3339).unwrap_or_default();
        let of = |name: &str| {
            let own = tokens.iter().filter(|token| token.account == name);
            let shown = own.map(|token| {
                json!({"id": token.id, "for": token.name, "createdAt": time(token.created_at),
                       "expiresAt": token.expires_at.map(time), "lastUsed": token.last_used.map(time)})
            });
            shown.collect::<Vec<_>>()
        };
        let shown = accounts.iter().map(|account| {
            let Person { name, role, tenant } = &account.person;
            json!({"name": name, "role": role, "tenant": tenant, "password": account.has_password,
                   "createdAt": time(account.created_at), "disabledAt": account.disabled_at.map(time), "tokens": of(name)})
        });
        return output::data(how, &shown.collect::<Vec<_>>());
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
    let nothing = "no accounts: nobody has to sign in, and AgentPod listens on loopback only";
    output::table(&["ACCOUNT", "ROLE", "TENANT", "SIGN-IN", "AGE"], rows.collect(), nothing)?;
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
