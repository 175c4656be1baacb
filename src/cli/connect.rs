//! Opens what commands work with: the database (private or given), the engine, the source. Only the
//! commands that AgentPod begins with make a database; the others find one or say that there is none.

use std::{
    path::{Path, PathBuf},
    str::FromStr,
    sync::Arc,
};

use anyhow::{Result, anyhow, bail};
use sqlx::postgres::PgConnectOptions;
use tokio::signal::unix::{SignalKind, signal};

use super::output;
use crate::{
    config::Settings,
    core::decide::plan::REMOVAL_SETTLE,
    engine::{self, Engine},
    postgres::{EmbeddedPostgres, PostgresError},
    private_file,
    reconcile::{Edits, Parts},
    secrets::{Identities, SecretAccess, SecretReader},
    source::{AdapterFolders, Directory, Git, Source},
    store::{Lead, Store, StoreError},
};

/// An open database, and the private server behind it if there is one.
pub(crate) struct Database {
    /// The open database.
    pub(crate) store: Arc<Store>,
    /// The private server, unless `DATABASE_URL` names another.
    pub(crate) embedded: Option<Arc<EmbeddedPostgres>>,
}

/// Whether a database may be made if there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// It is: of commands that AgentPod begins with.
    Create,
    /// It is not: a mistyped folder or address is an error, and nothing is left behind there.
    Existing,
}

impl Database {
    /// Opens the database that the settings and the state directory name. The caller closes it.
    pub(crate) async fn open(settings: &Settings, access: Access) -> Result<Self> {
        let DatabaseServer { options, embedded } = database_server(settings, access).await?;
        let (file, instance) = (&settings.key_file, &settings.site.instance);
        let store = match access {
            Access::Create => Store::open_with_key_file(options, file, instance).await,
            Access::Existing => Store::open_existing(options, file, instance).await,
        };
        match store {
            Ok(store) => Ok(Self { store: Arc::new(store), embedded }),
            Err(error) => {
                // What went wrong first is what people need to know.
                if let Some(embedded) = embedded {
                    let _ = embedded.close().await;
                }
                Err(error.into())
            }
        }
    }

    /// Opens the database, works with it, and closes it however the work ends, also when the command is interrupted.
    pub(crate) async fn with<T>(
        settings: &Settings,
        access: Access,
        work: impl AsyncFnOnce(&Self) -> Result<T>,
    ) -> Result<T> {
        let database = Self::open(settings, access).await?;
        let outcome = until_interrupted(work(&database)).await;
        let closed = database.close().await;
        let done = outcome?;
        closed.map(|()| done)
    }

    /// The same for the leader: everything it stores is refused once it no longer leads.
    pub(crate) fn led_by(&self, lead: &Lead) -> Self {
        Self { store: Arc::new(self.store.led_by(lead)), embedded: self.embedded.clone() }
    }

    /// Closes the connections, and the private server if nobody else uses it.
    pub(crate) async fn close(self) -> Result<()> {
        let Self { store, embedded } = self;
        store.close().await;
        if let Some(embedded) = embedded {
            embedded.close().await?;
        }
        Ok(())
    }
}

/// The outcome of some work, or an error if a signal asks to end it.
pub(crate) async fn until_interrupted<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let mut terminated = signal(SignalKind::terminate())?;
    tokio::select! {
        // What handles a signal itself comes first.
        biased;
        outcome = work => outcome,
        _ = tokio::signal::ctrl_c() => bail!("interrupted"),
        _ = terminated.recv() => bail!("interrupted"),
    }
}

/// A database server that is ready to connect to.
pub(crate) struct DatabaseServer {
    pub(crate) options: PgConnectOptions,
    /// The private server, unless `DATABASE_URL` names another.
    pub(crate) embedded: Option<Arc<EmbeddedPostgres>>,
}

/// How to connect to the database that the settings name, and the private server if they name none.
pub(crate) async fn database_server(settings: &Settings, access: Access) -> Result<DatabaseServer> {
    // Before anything is written: a wrong address must leave no mark.
    if let Some(why) = settings.database_url.as_deref().and_then(database_url_fault) {
        bail!("DATABASE_URL {why}");
    }
    let state = &settings.state_dir;
    let options = settings.database_url.as_deref().map(connect_options).transpose()?;
    if access == Access::Create {
        std::fs::create_dir_all(state).map_err(|error| unusable(state, "created", &error))?;
    }
    check_database_unchanged(state, options.as_ref(), access)?;
    if let Some(options) = options {
        return Ok(DatabaseServer { options, embedded: None });
    }
    if access == Access::Existing && !has_private_database(settings) {
        bail!(
            "there is no AgentPod in {}; start one with agentpod run, or name the folder of one with --state-dir, or its database \
             with DATABASE_URL",
            state.display()
        );
    }
    let embedded = EmbeddedPostgres::open(state, settings.postgres_bin.as_deref()).await?;
    Ok(DatabaseServer { options: embedded.connect_options(), embedded: Some(Arc::new(embedded)) })
}

/// Whether the state directory has a private database.
pub(crate) fn has_private_database(settings: &Settings) -> bool {
    // What may not be looked at is there.
    crate::postgres::data_dir(&settings.state_dir).try_exists().unwrap_or(true)
}

fn connect_options(url: &str) -> Result<PgConnectOptions> {
    // The parser's own message would repeat the address, and with it the password.
    PgConnectOptions::from_str(url)
        .map_err(|_| anyhow!("DATABASE_URL is not an address like postgres://user:password@host/database"))
}

/// What is wrong with a database's address that its parser would misread. It is never quoted, since it has a password.
fn database_url_fault(url: &str) -> Option<&'static str> {
    let Some((scheme, rest)) = url.split_once("://") else {
        return Some("is not an address like postgres://user:password@host/database");
    };
    if !matches!(scheme, "postgres" | "postgresql") {
        return Some("does not start with postgres:// or postgresql://; AgentPod works with PostgreSQL only");
    }
    // What follows it would be ignored, and with it the host: the rest of the password would be tried as one.
    if rest.contains('#') {
        return Some("contains a #; in a user name or password, write it as %23");
    }
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    if rest.contains('@') && !authority.contains('@') {
        return Some("has a / or ? before its @; in a user name or password, write / as %2F and ? as %3F");
    }
    None
}

/// Refuses to switch databases silently: an empty one looks as if nothing was ever declared.
fn check_database_unchanged(state: &Path, options: Option<&PgConnectOptions>, access: Access) -> Result<()> {
    let note = state.join("database");
    let current = match options {
        None => "private".to_owned(),
        Some(options) => {
            format!("{}:{}/{}", options.get_host(), options.get_port(), options.get_database().unwrap_or_default())
        }
    };
    match std::fs::read_to_string(&note) {
        Ok(before) if before.trim() == current => Ok(()),
        // An empty one was cut off by a crash, and says nothing.
        Ok(before) if !before.trim().is_empty() => bail!(
            "{} was used with the database {:?} before, but the settings name {current:?}; if this is intended, remove {}",
            state.display(),
            before.trim(),
            note.display()
        ),
        Ok(_) | Err(_) if access == Access::Existing => Ok(()),
        Ok(_) | Err(_) => {
            let written = private_file::put(&note, &(current + "\n"), |_| Ok(()));
            written.map(drop).map_err(|error| unusable(state, "written to", &error))
        }
    }
}

fn unusable(state: &Path, how: &str, error: &std::io::Error) -> anyhow::Error {
    anyhow!("the state directory {} cannot be {how}: {error}; choose another with --state-dir", state.display())
}

/// Whether an error is one of a database that will probably answer soon.
pub(crate) fn is_temporary(error: &anyhow::Error) -> bool {
    let store = error.downcast_ref::<StoreError>().is_some_and(StoreError::is_unreachable);
    store || error.downcast_ref::<PostgresError>().is_some_and(PostgresError::is_temporary)
}

/// The address of the engine that the settings name, for the log. Docker's own client may use another one: its contexts are
/// not read here, and it says so.
pub(crate) fn engine_address(settings: &Settings) -> String {
    let address = engine::address(settings.docker_host.as_deref());
    let is_named =
        settings.docker_host.is_some() || std::env::var_os("DOCKER_HOST").is_some_and(|host| !host.is_empty());
    match docker_context().filter(|_| !is_named) {
        Some(context) => format!(
            "{address} (the docker command uses its context {context} here; AgentPod does not read contexts, give it an address as \
             --docker-host)"
        ),
        None => address,
    }
}

/// The context that the docker command uses, if it is not the default one.
fn docker_context() -> Option<String> {
    let named = std::env::var("DOCKER_CONTEXT").ok().filter(|context| !context.is_empty());
    let read = || {
        let folder = std::env::var_os("DOCKER_CONFIG").map(PathBuf::from);
        let folder = folder.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".docker")))?;
        let text = std::fs::read_to_string(folder.join("config.json")).ok()?;
        let config: serde_json::Value = serde_json::from_str(&text).ok()?;
        Some(config.get("currentContext")?.as_str()?.to_owned())
    };
    named
        .or_else(read)
        .filter(|context| !matches!(context.as_str(), "" | "default"))
        .map(|context| output::sanitize(&context))
}

/// The engine that the settings name. This does not connect yet.
pub(crate) fn engine(settings: &Settings) -> Result<Arc<dyn Engine>> {
    Ok(engine::connect(settings.site.instance.clone(), settings.docker_host.as_deref())?)
}

/// The folders of adapters and templates.
pub(crate) fn folders(settings: &Settings) -> AdapterFolders {
    AdapterFolders { adapters: settings.adapters.clone(), templates: settings.templates.clone() }
}

/// Where manifests come from. This reads nothing yet.
pub(crate) fn source(settings: &Settings) -> Source {
    match &settings.git {
        Some(git) => Source::Git(Git::new(git.clone())),
        None => Source::Directory(Directory::new(&settings.source)),
    }
}

/// What adds pods from the dashboard to the source, if the settings allow it.
pub(crate) fn edits(settings: &Settings, store: &Arc<Store>) -> Option<Arc<Edits>> {
    let edits = || Edits::new(source(settings), folders(settings), settings.site.clone(), store.clone());
    settings.edits.then(|| Arc::new(edits()))
}

/// What a reconciler needs.
pub(crate) fn parts(settings: &Settings, database: &Database) -> Result<Parts> {
    Ok(Parts {
        engine: engine(settings)?,
        store: database.store.clone(),
        embedded: database.embedded.clone(),
        source: source(settings),
        folders: folders(settings),
        site: settings.site.clone(),
        removal_grace: settings.removal_grace,
        removal_settle: REMOVAL_SETTLE,
        removals: settings.removals,
        max_unavailable: settings.max_unavailable,
        secrets: SecretReader::new(Identities::new(settings.age_identities.clone()))
            .within(SecretAccess::new(settings.site.secrets.clone(), settings.own_files())),
    })
}

#[cfg(test)]
mod tests {
    use super::database_url_fault;

    #[test]
    fn an_address_that_would_be_misread_is_named_as_what_it_is_without_its_password() {
        for (url, what) in [
            ("mysql://me:s3cret@db/agentpod", "PostgreSQL only"),
            ("db.example/agentpod", "is not an address like"),
            ("postgres://me:s3#cret@db/agentpod", "write it as %23"),
            ("postgres://me:s3/cret@db/agentpod", "write / as %2F"),
            ("postgres://me:s3?cret@db/agentpod", "write / as %2F"),
        ] {
            let why = database_url_fault(url).unwrap_or_else(|| panic!("{url} is taken"));
            assert!(why.contains(what) && !why.contains("s3"), "{url}: {why}");
        }
        for url in [
            "postgres://me:s3%23cret@db:5432/agentpod?sslmode=require",
            "postgresql:///agentpod?host=/run/postgresql&user=me",
            "postgres://db/agentpod",
        ] {
            assert_eq!(database_url_fault(url), None, "{url}");
        }
    }
}
