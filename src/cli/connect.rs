//! Opens what commands work with: the database (private or given), the engine, the source. Whoever opens closes.

use std::{path::Path, str::FromStr, sync::Arc};

use anyhow::{Result, bail};
use sqlx::postgres::PgConnectOptions;

use crate::{
    config::Settings,
    engine::docker::Docker,
    postgres::EmbeddedPostgres,
    reconcile::{Edits, Parts},
    secrets::{Identities, Reader},
    source::{AdapterFolders, Directory, Git, Source},
    store::Store,
};

/// An open database, and the private server behind it if there is one.
pub struct Database {
    /// The database.
    pub store: Arc<Store>,
    /// The private server.
    pub embedded: Option<Arc<EmbeddedPostgres>>,
}

impl Database {
    /// Opens the database that the settings and the state directory name.
    pub async fn open(settings: &Settings) -> Result<Self> {
        let (options, embedded) = server(settings).await?;
        let store = Store::open_with_key_file(options, &settings.key_file, &settings.site.instance).await?;
        Ok(Self { store: Arc::new(store), embedded })
    }

    /// Closes the connections, and the private server if nobody else uses it.
    pub async fn close(self) -> Result<()> {
        let Self { store, embedded } = self;
        store.close().await;
        if let Some(embedded) = embedded.and_then(Arc::into_inner) {
            embedded.close().await?;
        }
        Ok(())
    }
}

/// How to reach the database that the settings and the state directory name, and the private server if it is one.
pub async fn server(settings: &Settings) -> Result<(PgConnectOptions, Option<Arc<EmbeddedPostgres>>)> {
    let state = &settings.state_dir;
    std::fs::create_dir_all(state).map_err(|error| unusable(state, "made", &error))?;
    same_as_before(state, settings.database_url.as_deref())?;
    match &settings.database_url {
        Some(url) => {
            // The parser's own message would repeat the address, and with it the password.
            let options = PgConnectOptions::from_str(url).map_err(|_| {
                anyhow::anyhow!("DATABASE_URL is not an address like postgres://user:password@host/database")
            })?;
            Ok((options, None))
        }
        None => {
            let embedded = EmbeddedPostgres::open(state, settings.postgres_bin.as_deref()).await?;
            Ok((embedded.connect_options(), Some(Arc::new(embedded))))
        }
    }
}

/// An empty database would look like "nothing was ever declared": never switch silently.
fn same_as_before(state: &Path, url: Option<&str>) -> Result<()> {
    let note = state.join("database");
    let wanted = match url.map(PgConnectOptions::from_str) {
        None => "private".to_owned(),
        Some(Ok(options)) => {
            format!("{}:{}/{}", options.get_host(), options.get_port(), options.get_database().unwrap_or_default())
        }
        Some(Err(_)) => return Ok(()),
    };
    match std::fs::read_to_string(&note) {
        Ok(before) if before.trim() == wanted => Ok(()),
        Ok(before) => bail!(
            "{} was used with the database {:?} before, and now with {wanted:?}. If that is meant, remove {}",
            state.display(),
            before.trim(),
            note.display()
        ),
        Err(_) => std::fs::write(&note, wanted + "\n").map_err(|error| unusable(state, "written to", &error)),
    }
}

fn unusable(state: &Path, how: &str, error: &std::io::Error) -> anyhow::Error {
    anyhow::anyhow!("the state directory {} cannot be {how}: {error}; choose another with --state-dir", state.display())
}

/// The engine the settings name. Nothing is asked yet.
pub fn engine(settings: &Settings) -> Result<Arc<Docker>> {
    Ok(Arc::new(Docker::connect(settings.site.instance.clone(), settings.docker_host.as_deref())?))
}

/// Where adapters and templates are.
pub fn folders(settings: &Settings) -> AdapterFolders {
    AdapterFolders { adapters: settings.adapters.clone(), templates: settings.templates.clone() }
}

/// Where manifests come from. Nothing is read yet.
pub fn source(settings: &Settings) -> Source {
    match &settings.git {
        Some(git) => Source::Git(Git::new(git.clone())),
        None => Source::Directory(Directory::new(&settings.source)),
    }
}

/// What the dashboard adds to the source, if it may.
pub fn edits(settings: &Settings, store: &Arc<Store>) -> Option<Arc<Edits>> {
    let edits = || Edits::new(source(settings), folders(settings), settings.site.clone(), store.clone());
    settings.edits.then(|| Arc::new(edits()))
}

/// Everything a reconciler is made of.
pub fn parts(settings: &Settings, database: &Database) -> Result<Parts> {
    Ok(Parts {
        engine: engine(settings)?,
        store: database.store.clone(),
        embedded: database.embedded.clone(),
        source: source(settings),
        folders: folders(settings),
        site: settings.site.clone(),
        network: settings.network.clone(),
        removal_grace: settings.removal_grace,
        removals: settings.removals,
        secrets: Reader::new(Identities::new(settings.age_identities.clone())),
    })
}
