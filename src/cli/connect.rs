//! Opens what commands work with: the database (private or given), the engine, the source. The caller closes it.

use std::{path::Path, str::FromStr, sync::Arc};

use anyhow::{Result, bail};
use sqlx::postgres::PgConnectOptions;

use crate::{
    config::Settings,
    core::decide::plan::REMOVAL_SETTLE,
    engine::{self, Engine},
    postgres::EmbeddedPostgres,
    reconcile::{Edits, Parts},
    secrets::{Identities, SecretAccess, SecretReader},
    source::{AdapterFolders, Directory, Git, Source},
    store::{Lead, Store},
};

/// An open database, and the private server behind it if there is one.
pub(crate) struct Database {
    /// The open database.
    pub(crate) store: Arc<Store>,
    /// The private server, unless `DATABASE_URL` names another.
    pub(crate) embedded: Option<Arc<EmbeddedPostgres>>,
}

impl Database {
    /// Opens the database that the settings and the state directory name.
    pub(crate) async fn open(settings: &Settings) -> Result<Self> {
        let DatabaseServer { options, embedded } = database_server(settings).await?;
        let store = Store::open_with_key_file(options, &settings.key_file, &settings.site.instance).await?;
        Ok(Self { store: Arc::new(store), embedded })
    }

    /// The same for the leader: everything it stores is refused once it no longer leads.
    pub(crate) fn led_by(&self, lead: &Lead) -> Self {
        Self { store: Arc::new(self.store.led_by(lead)), embedded: self.embedded.clone() }
    }

    /// Closes the connections, and the private server if nobody else uses it.
    pub(crate) async fn close(self) -> Result<()> {
        let Self { store, embedded } = self;
        store.close().await;
        if let Some(embedded) = embedded.and_then(Arc::into_inner) {
            embedded.close().await?;
        }
        Ok(())
    }
}

/// A database server that is ready to connect to.
pub(crate) struct DatabaseServer {
    pub(crate) options: PgConnectOptions,
    /// The private server, unless `DATABASE_URL` names another.
    pub(crate) embedded: Option<Arc<EmbeddedPostgres>>,
}

/// How to connect to the database that the settings name, and the private server if they name none.
pub(crate) async fn database_server(settings: &Settings) -> Result<DatabaseServer> {
    // Before anything is written: a wrong address must leave no mark.
    if let Some(why) = settings.database_url.as_deref().and_then(database_url_fault) {
        bail!("DATABASE_URL {why}");
    }
    let state = &settings.state_dir;
    std::fs::create_dir_all(state).map_err(|error| unusable(state, "created", &error))?;
    check_database_unchanged(state, settings.database_url.as_deref())?;
    match &settings.database_url {
        Some(url) => {
            // The parser's own message would repeat the address, and with it the password.
            let options = PgConnectOptions::from_str(url).map_err(|_| {
                anyhow::anyhow!("DATABASE_URL is not an address like postgres://user:password@host/database")
            })?;
            Ok(DatabaseServer { options, embedded: None })
        }
        None => {
            let embedded = EmbeddedPostgres::open(state, settings.postgres_bin.as_deref()).await?;
            Ok(DatabaseServer { options: embedded.connect_options(), embedded: Some(Arc::new(embedded)) })
        }
    }
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
fn check_database_unchanged(state: &Path, url: Option<&str>) -> Result<()> {
    let marker = state.join("database");
    let current = match url.map(PgConnectOptions::from_str) {
        None => "private".to_owned(),
        Some(Ok(options)) => {
            format!("{}:{}/{}", options.get_host(), options.get_port(), options.get_database().unwrap_or_default())
        }
        Some(Err(_)) => return Ok(()),
    };
    match std::fs::read_to_string(&marker) {
        Ok(before) if before.trim() == current => Ok(()),
        Ok(before) => bail!(
            "{} was used with the database {:?} before, but the settings name {current:?}; if this is intended, remove {}",
            state.display(),
            before.trim(),
            marker.display()
        ),
        Err(_) => std::fs::write(&marker, current + "\n").map_err(|error| unusable(state, "written to", &error)),
    }
}

fn unusable(state: &Path, how: &str, error: &std::io::Error) -> anyhow::Error {
    anyhow::anyhow!("the state directory {} cannot be {how}: {error}; choose another with --state-dir", state.display())
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
