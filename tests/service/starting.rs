//! Starts and what they leave behind: commands that find no AgentPod, a daemon that cannot start, waits for its database or
//! loses its folder, and more connections than a process may have files. The real program on a real database, no engine.

use std::{
    fs,
    net::TcpStream,
    path::{Path, PathBuf},
    process::Command,
};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::TcpListener;

use crate::testkit::{
    self,
    command::{Said, run},
    files::open_folder,
    http, manifests,
    postgres::{self, Server},
    process::Daemon,
    wait::{eventually, until},
};

/// A folder for an AgentPod, and a port for its dashboard.
struct Place {
    folder: tempfile::TempDir,
    port: u16,
}

impl Place {
    async fn new() -> Self {
        let folder = open_folder();
        fs::create_dir(folder.path().join("manifests")).unwrap();
        fs::write(folder.path().join("manifests/alice.yaml"), manifests::tenant("alice")).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
        Self { folder, port }
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = testkit::agentpod();
        command.args(arguments).args(["--docker-host", "unix:///nowhere.sock", "--state-dir"]).arg(self.state());
        command.arg("--source").arg(self.folder.path().join("manifests"));
        command
    }

    fn run(&self, arguments: &[&str]) -> Said {
        run(&mut self.command(arguments), "")
    }

    fn daemon(&self) -> Command {
        self.command(&["run", "--listen", &format!("127.0.0.1:{}", self.port)])
    }

    fn start(&self, command: &mut Command) -> Daemon {
        Daemon::start(command, &self.folder.path().join("log"))
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    async fn logs(&self, part: &str) {
        eventually(part, async || self.log().contains(part).then_some(())).await;
    }

    async fn answers(&self, path: &str, status: u16) -> http::Answer {
        let answered = async || http::get(self.port, path).await.filter(|answer| answer.status == status);
        eventually(&format!("{path} answers {status}"), answered).await
    }

    /// Whether a private server runs here.
    fn has_server(&self) -> bool {
        self.state().join("postgres/data/postmaster.pid").exists()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.log());
        }
    }
}

/// What is below a folder.
fn entries(folder: &Path) -> usize {
    fs::read_dir(folder).map_or(0, |entries| entries.count())
}

#[tokio::test]
async fn a_command_that_finds_no_agentpod_says_so_and_creates_nothing() {
    let place = Place::new().await;
    let commands: [&[&str]; 18] = [
        &["status"],
        &["describe", "alice/a"],
        &["tenants"],
        &["adapters"],
        &["events"],
        &["revisions"],
        &["diff"],
        &["orphans"],
        &["purge", "alice/a", "--yes"],
        &["token", "show", "alice/a"],
        &["token", "rotate", "alice/a", "-y"],
        &["account", "list"],
        &["account", "remove", "olga", "-y"],
        &["restart", "alice/a"],
        &["pause", "alice/a", "--until-resumed"],
        &["sync"],
        &["key", "rotate", "-y"],
        &["key", "reset", "--tokens", "-y"],
    ];
    for command in commands {
        let said = place.run(command);
        assert_eq!((said.code, said.out.as_str()), (1, ""), "{command:?}: {said:?}");
        assert!(
            said.err.contains("there is no AgentPod in") && said.err.contains("--state-dir"),
            "{command:?}: {said:?}"
        );
        assert!(!place.state().exists(), "{command:?}");
    }
    // The same where the folder is there, and where a database is named that nobody has used.
    fs::create_dir(place.state()).unwrap();
    assert!(place.run(&["status"]).err.contains("there is no AgentPod in"));
    let options = postgres::database().await;
    let said = run(place.command(&["status"]).env("DATABASE_URL", postgres::url(&options)), "");
    assert!(said.err.contains("no AgentPod has used this database yet"), "{said:?}");
    assert_eq!(entries(&place.state()), 0);
    let mut connection = <sqlx::PgConnection as sqlx::Connection>::connect_with(&options).await.unwrap();
    let tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'";
    let tables: i64 = sqlx::query_scalar(tables).fetch_one(&mut connection).await.unwrap();
    assert_eq!(tables, 0);
}

#[tokio::test]
async fn the_plan_of_a_first_start_leaves_nothing_behind() {
    let place = Place::new().await;
    let temporary = open_folder();
    let said = run(place.command(&["plan"]).env("TMPDIR", temporary.path()), "");
    assert!(said.err.contains("the plan of a first start"), "{said:?}");
    assert!(!place.state().exists());
    assert_eq!(entries(temporary.path()), 0, "{said:?}");
}

#[tokio::test]
async fn a_start_that_fails_leaves_no_private_server() {
    let place = Place::new().await;
    let taken = TcpListener::bind(("127.0.0.1", place.port)).await.unwrap();
    let said = run(&mut place.daemon(), "");
    assert!(said.code == 1 && said.err.contains("cannot listen on"), "{said:?}");
    assert!(!place.has_server());
    drop(taken);

    place.run(&["account", "add", "olga", "--role", "operator", "--no-password"]).well();
    assert!(!place.has_server());
    for mut command in [place.daemon(), place.command(&["status"]), place.command(&["apply"])] {
        let said = run(command.args(["--instance", "other"]), "");
        assert!(said.code == 1 && said.err.contains("belongs to the instance agentpod"), "{said:?}");
        assert!(!place.has_server(), "{command:?}");
    }
}

#[tokio::test]
async fn a_note_that_a_crash_cut_off_does_not_keep_it_from_starting() {
    let place = Place::new().await;
    fs::create_dir(place.state()).unwrap();
    fs::write(place.state().join("database"), "").unwrap();
    place.run(&["account", "add", "olga", "--role", "operator", "--no-password"]).well();
    assert_eq!(fs::read_to_string(place.state().join("database")).unwrap(), "private\n");
    let drafts = fs::read_dir(place.state()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let drafts: Vec<String> = drafts.filter(|name| name.starts_with("database.")).collect();
    assert!(drafts.is_empty(), "{drafts:?}");
}

#[tokio::test]
async fn the_daemon_waits_for_its_database_and_says_so() {
    let place = Place::new().await;
    let server = Server::start_new();
    let options = server.database().await;
    server.stop();
    let mut daemon = place.start(place.daemon().env("DATABASE_URL", postgres::url(&options)));
    place.answers("/healthz", 200).await;
    let ready = place.answers("/readyz", 503).await;
    assert!(ready.json()["reasons"][0].as_str().unwrap().contains("the database does not answer"), "{}", ready.body);
    assert_eq!(ready.header("retry-after"), "5");
    place.logs("AgentPod waits for it").await;
    assert!(daemon.has_ended().is_none());

    server.start();
    place.logs("the dashboard is at").await;
    place.answers("/api/v1/status", 200).await;
    assert_eq!(daemon.terminate().await, Some(0));
}

#[tokio::test]
async fn a_daemon_that_waits_for_its_database_can_be_stopped() {
    let place = Place::new().await;
    let mut daemon = place.start(place.daemon().env("DATABASE_URL", "postgres://nobody@127.0.0.1:1/nothing"));
    place.logs("AgentPod waits for it").await;
    assert_eq!(daemon.terminate().await, Some(0));
}

#[tokio::test]
async fn a_daemon_whose_folder_is_deleted_starts_over_by_itself() {
    let place = Place::new().await;
    let mut daemon = place.start(&mut place.daemon());
    place.answers("/api/v1/status", 200).await;
    eventually("the source is read", async || place.run(&["revisions"]).out.contains("in force").then_some(())).await;
    // The daemon may write while this goes on, so it is gone only after some tries.
    until("the folder is gone", || fs::remove_dir_all(place.state()).is_ok() || !place.state().exists());
    place.logs("it starts over with a new database").await;
    eventually("the source is read again", async || place.run(&["revisions"]).out.contains("in force").then_some(()))
        .await;
    assert!(daemon.has_ended().is_none());
    assert_eq!(daemon.terminate().await, Some(0));
    assert!(!place.has_server());
}

#[tokio::test]
async fn commands_know_the_settings_of_the_daemon_that_runs() {
    let place = Place::new().await;
    let mut command = testkit::agentpod();
    command.args(["run", "--docker-host", "unix:///nowhere.sock", "--listen", &format!("127.0.0.1:{}", place.port)]);
    command
        .args(["--source", "manifests", "--domain", "pods.example", "--adapters"])
        .arg(testkit::root().join("adapters"));
    command.arg("--templates").arg(testkit::root().join("templates")).current_dir(place.folder.path());
    command.arg("--state-dir").arg(place.state());
    let mut daemon = place.start(&mut command);
    place.logs("the dashboard is at").await;
    let asked = |arguments: &[&str]| {
        let mut command = testkit::agentpod();
        run(command.args(arguments).arg("--state-dir").arg(place.state()).current_dir("/"), "")
    };
    let validated = eventually("the daemon leads", async || {
        Some(asked(&["validate"])).filter(|said| said.err.contains("running daemon"))
    })
    .await;
    assert_eq!((validated.code, validated.out.as_str()), (0, "1 file, no problems\n"), "{validated:?}");
    assert!(validated.err.contains("--domain pods.example"), "{validated:?}");
    let source = format!("--source {}", place.folder.path().join("manifests").display());
    assert!(validated.err.contains(&source), "{validated:?}");
    // What is typed wins.
    let elsewhere = asked(&["validate", "--source", "/nowhere"]);
    assert!(elsewhere.code == 1 && elsewhere.out.contains("/nowhere"), "{elsewhere:?}");
    assert_eq!(daemon.terminate().await, Some(0));
    let alone = asked(&["validate"]);
    assert!(!alone.err.contains("running daemon"), "{alone:?}");
}

#[tokio::test]
async fn idle_connections_do_not_take_the_files_that_the_database_and_the_engine_need() {
    // This process holds the other ends.
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
    let place = Place::new().await;
    let inner = place.daemon();
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -n 1024; exec \"$0\" \"$@\""]).arg(inner.get_program()).args(inner.get_args());
    limited.current_dir(testkit::root()).envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let mut daemon = place.start(&mut limited);
    place.answers("/api/v1/status", 200).await;
    let address = ([127, 0, 0, 1], place.port).into();
    let idle: Vec<TcpStream> = (0..1_100)
        .filter_map(|_| TcpStream::connect_timeout(&address, std::time::Duration::from_secs(5)).ok())
        .collect();
    assert!(idle.len() > 1_000, "only {} connected", idle.len());
    place.logs("more connections than").await;
    let open = entries(&PathBuf::from(format!("/proc/{}/fd", daemon.id())));
    assert!(open < 600, "{open} files are open");
    // It still answers, and neither the database nor the engine is said to be away for want of files.
    let status = place.answers("/api/v1/status", 200).await.json();
    assert!(status["database"].is_null(), "{status}");
    assert!(!place.log().contains("oo many open files"), "{}", place.log());
    assert!(place.run(&["status"]).out.contains("daemon: running"));
    drop(idle);
    assert_eq!(daemon.terminate().await, Some(0));
}
