//! A throw-away Postgres for tests: in a folder of its own, on a Unix socket, with a fresh database per test. A shell
//! waits for the end of this process, however it comes, and then stops the server by its pid file and removes the folder.

use std::{
    io::{BufRead, BufReader},
    os::unix::{fs::chown, process::CommandExt},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};

const KEEPER: &str = r#"
trap '' INT TERM HUP PIPE
MAKE &&
pg_ctl -D "$1/data" -w -l "$1/log" -o "$2" start >>"$1/log" 2>&1 && echo ready || cat "$1/log"
cat >/dev/null
pg_ctl -D "$1/data" -m immediate stop >/dev/null 2>&1
rm -rf "$1"
"#;

/// Copies the server in the folder `$3`, and follows it.
const BASE_BACKUP: &str = r#"pg_basebackup -h "$3" -U agentpod -D "$1/data" -R --no-sync --checkpoint=fast >"$1/log" 2>&1 && chmod 700 "$1/data""#;

/// A running server.
pub struct Server {
    folder: String,
    keeper: Child,
}

impl Server {
    /// Starts one.
    pub fn start_new() -> Self {
        Self::launch(r#"initdb -D "$1/data" -U agentpod -A trust -E UTF8 --locale=C --no-sync >"$1/log" 2>&1"#, &[])
    }

    /// Starts one on what this command puts into `$1/data`; `more` are its arguments from `$3` on.
    fn launch(make: &str, more: &[&str]) -> Self {
        let folder = tempfile::Builder::new().prefix("agentpod-pg-").tempdir().unwrap().keep();
        if let Some((user, group)) = unprivileged() {
            chown(&folder, Some(user), Some(group)).unwrap();
        }
        let folder = folder.to_str().unwrap().to_owned();
        let (script, settings) = (KEEPER.replace("MAKE", make), settings(&folder));
        let mut keeper = command("sh", &[&["-c", &script, "keeper", &folder, &settings], more].concat());
        let mut keeper = keeper.stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0).spawn().unwrap();
        let mut answer = String::new();
        BufReader::new(keeper.stdout.as_mut().unwrap()).read_line(&mut answer).unwrap();
        assert_eq!(answer, "ready\n", "the test server did not start, see {folder}/log");
        Self { folder, keeper }
    }

    /// Takes it down.
    pub fn stop(&self) {
        self.control(&["-m", "fast", "stop"]);
    }

    /// Brings it back.
    pub fn start(&self) {
        self.control(&["-l", &format!("{}/log", self.folder), "-o", &settings(&self.folder), "start"]);
    }

    fn control(&self, arguments: &[&str]) {
        let data = format!("{}/data", self.folder);
        let status = command("pg_ctl", &["-D", &data, "-w"]).args(arguments).stdout(Stdio::null()).status().unwrap();
        assert!(status.success(), "pg_ctl {arguments:?}");
    }

    /// A streaming standby of it.
    pub fn standby(&self) -> Self {
        Self::launch(BASE_BACKUP, &[&self.folder])
    }

    /// Makes a standby a primary.
    pub fn promote(&self) {
        self.control(&["promote"]);
    }

    /// The folder of its socket.
    pub fn folder(&self) -> &str {
        &self.folder
    }

    /// How to connect to its first database.
    pub fn options(&self) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass().socket(Path::new(&self.folder)).username("agentpod").database("postgres")
    }

    /// A database that nobody has used.
    pub async fn database(&self) -> PgConnectOptions {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("test_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let options = self.options();
        let mut connection = PgConnection::connect_with(&options).await.unwrap();
        sqlx::query(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&mut connection).await.unwrap();
        options.database(&name)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

/// A fresh database on the server that all tests of this process share.
pub async fn database() -> PgConnectOptions {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(Server::start_new).database().await
}

/// A database's address, as the command line takes it.
pub fn url(options: &PgConnectOptions) -> String {
    let socket = options.get_socket().expect("the test server is on a socket").display().to_string();
    let (user, database, port) = (options.get_username(), options.get_database().unwrap(), options.get_port());
    format!("postgres://{user}@localhost/{database}?host={}&port={port}", socket.replace('/', "%2F"))
}

/// Every row of every table with where it lies: an update moves a row, even one that changes nothing, and a row that was
/// only locked says so. Without the lease, which a leader renews all the time.
pub async fn dump(options: &PgConnectOptions) -> Vec<String> {
    let mut connection = PgConnection::connect_with(options).await.unwrap();
    let tables =
        "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'lease' ORDER BY 1";
    let tables: Vec<String> = sqlx::query_scalar(tables).fetch_all(&mut connection).await.unwrap();
    let mut rows = Vec::new();
    for table in tables {
        let query = format!(
            "SELECT '{table} ' || ctid || ' ' || xmin || ' ' || xmax || ' ' || to_jsonb(t)::text FROM {table} t ORDER BY ctid"
        );
        let found = sqlx::query_scalar::<_, String>(sqlx::AssertSqlSafe(query)).fetch_all(&mut connection).await;
        rows.extend(found.unwrap());
    }
    assert!(!rows.is_empty(), "the dump shows rows");
    rows
}

fn settings(folder: &str) -> String {
    format!("-k {folder} -c listen_addresses= -c fsync=off -c max_connections=200")
}

fn command(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).current_dir("/").env("PATH", search_path());
    if let Some((user, group)) = unprivileged() {
        command.uid(user).gid(group);
    }
    command
}

/// Debian keeps the server's programs out of the way.
fn search_path() -> String {
    let folders = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let folders = folders.map(|version| version.path().join("bin").display().to_string());
    std::env::var("PATH").into_iter().chain(folders).collect::<Vec<_>>().join(":")
}

/// Postgres refuses to run as root.
pub fn unprivileged() -> Option<(u32, u32)> {
    rustix::process::getuid().is_root().then(|| {
        let users = std::fs::read_to_string("/etc/passwd").unwrap();
        let line = users
            .lines()
            .find(|line| line.starts_with("postgres:"))
            .or_else(|| users.lines().find(|line| line.starts_with("nobody:")));
        let fields: Vec<&str> = line.unwrap().split(':').collect();
        (fields[2].parse().unwrap(), fields[3].parse().unwrap())
    })
}
