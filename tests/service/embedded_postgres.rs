//! The private PostgreSQL, with real programs, processes and kills. Tests wait for states, never for times.

mod place;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use agentpod::postgres::{EmbeddedPostgres, Search};
/// The path of the helper test.
const MODULE: &str = module_path!();

use crate::testkit::wait::until;
use place::{HELPER, Place, connect, fake_binaries, one, signal};
use rustix::process::Signal;

#[tokio::test]
async fn it_starts_and_answers_on_a_private_socket_as_a_role_without_special_rights() {
    let place = Place::new();
    let server = place.open().await;
    assert_eq!(one(&server, "select 1::text").await, "1");
    assert_eq!(one(&server, "select current_user || ' ' || current_database()").await, "agentpod agentpod");
    assert_eq!(one(&server, "select rolsuper::text from pg_roles where rolname = current_user").await, "false");
    let collation = "select datcollate || ' ' || datctype from pg_database where datname = 'agentpod'";
    assert_eq!(one(&server, collation).await, "C C");
    assert_eq!(one(&server, "show server_encoding").await, "UTF8");
    assert_eq!(one(&server, "show data_checksums").await, "on");
    assert_eq!(one(&server, "show listen_addresses").await, "");
    for dir in [place.data(), server.socket_dir()] {
        let meta = fs::metadata(&dir).unwrap();
        assert_eq!(meta.permissions().mode() & 0o777, 0o700, "{}", dir.display());
        assert_ne!(meta.uid(), 0, "{}", dir.display());
    }
    server.close().await.unwrap();
    assert!(place.servers().is_empty());
}

#[tokio::test]
async fn a_second_user_attaches_to_the_same_server_and_only_the_last_one_out_stops_it() {
    let place = Place::new();
    let first = place.open().await;
    // Attaching needs no programs.
    let second = EmbeddedPostgres::open_with(&place.state, Search::of(["/nowhere"])).await.unwrap();
    assert_eq!(first.pid(), second.pid());
    assert_eq!(place.servers(), [first.pid()]);
    first.close().await.unwrap();
    assert_eq!(one(&second, "select 'still here'").await, "still here");
    second.close().await.unwrap();
    assert!(place.servers().is_empty());
}

#[tokio::test]
async fn four_that_open_at_the_same_instant_start_one_server() {
    let place = Place::new();
    let (a, b, c, d) = tokio::join!(place.open(), place.open(), place.open(), place.open());
    assert!([&b, &c, &d].iter().all(|other| other.pid() == a.pid()));
    assert_eq!(place.servers(), [a.pid()]);
    assert_eq!(place.log().matches("starting PostgreSQL").count(), 1, "{}", place.log());
    let (a, b, c, d) = tokio::join!(a.close(), b.close(), c.close(), d.close());
    assert!(a.is_ok() && b.is_ok() && c.is_ok() && d.is_ok());
    assert!(place.servers().is_empty(), "the last one out stops it, also when all leave at once");
}

#[tokio::test]
async fn a_server_survives_a_killed_user_and_is_adopted_by_the_next() {
    let place = Place::new();
    let mut helper = place.helper();
    helper.wait_until_open();
    let before = place.servers();
    helper.kill(Signal::KILL);
    assert_eq!(place.servers(), before);
    let server = place.open().await;
    assert_eq!([server.pid()], before[..]);
    assert_eq!(one(&server, "select 'adopted'").await, "adopted");
    server.close().await.unwrap();
    assert!(place.servers().is_empty());
}

#[tokio::test]
async fn neither_ctrl_c_nor_our_environment_reaches_the_server() {
    let place = Place::new();
    let mut helper = place.helper();
    helper.wait_until_open();
    let [pid] = place.servers()[..] else { panic!("no server") };
    assert_ne!(session_of(pid as u32), session_of(helper.0.id()));
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap();
    assert!(!String::from_utf8_lossy(&environment).contains(HELPER), "it inherited our environment");
    helper.kill(Signal::INT);
    let server = place.open().await;
    assert_eq!(server.pid(), pid);
    server.close().await.unwrap();
}

#[tokio::test]
async fn a_server_killed_with_its_user_recovers_with_its_data() {
    let place = Place::new();
    let server = place.open().await;
    let mut connection = connect(&server).await;
    sqlx::query("create table kept as select 'safe' as word").execute(&mut connection).await.unwrap();
    drop(server);
    let dead = place.murder_server();
    assert!(place.data().join("postmaster.pid").exists());
    let server = place.open().await;
    assert_ne!(server.pid(), dead);
    assert_eq!(one(&server, "select word from kept").await, "safe");
    server.close().await.unwrap();
}

#[tokio::test]
async fn a_session_that_outlives_the_killed_server_delays_the_next_start_and_does_not_fail_it() {
    let place = Place::new();
    let server = place.open().await;
    let mut connection = connect(&server).await;
    let busy = tokio::spawn(async move {
        let sql = "do $$ declare till timestamptz := clock_timestamp() + interval '3 s'; \
                   begin while clock_timestamp() < till loop end loop; end $$ -- busy";
        let _ = sqlx::raw_sql(sql).execute(&mut connection).await;
    });
    let active = "select count(*)::text from pg_stat_activity where state = 'active' and query like 'do $$%busy'";
    while one(&server, active).await != "1" {}
    place.murder_server();
    let server_again = place.open().await;
    assert!(place.log().contains("is still in use"), "the session was gone too soon to prove anything");
    assert_eq!(one(&server_again, "select 1::text").await, "1");
    drop(server);
    server_again.close().await.unwrap();
    busy.await.unwrap();
}

#[tokio::test]
async fn a_stale_pid_file_with_the_pid_of_another_program_is_recognized() {
    let place = Place::new();
    let server = place.open().await;
    let (run, owner) = (server.socket_dir(), fs::metadata(place.data()).unwrap());
    drop(server);
    let dead = place.murder_server();
    // A process of the same user, since PostgreSQL recognizes others itself.
    let mut other = Command::new("sleep");
    other.arg("60");
    if rustix::process::geteuid().is_root() {
        other.uid(owner.uid()).gid(owner.gid());
    }
    let mut other = other.spawn().unwrap();
    for file in [place.data().join("postmaster.pid"), run.join(".s.PGSQL.5432.lock")] {
        let text = fs::read_to_string(&file).unwrap();
        fs::write(&file, text.replacen(&dead.to_string(), &other.id().to_string(), 1)).unwrap();
    }
    let opened = EmbeddedPostgres::open(&place.state, None).await;
    let innocent = other.try_wait().unwrap().is_none();
    other.kill().unwrap();
    other.wait().unwrap();
    let server = opened.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(one(&server, "select 1::text").await, "1");
    server.close().await.unwrap();
    assert!(innocent, "the other program was killed");
}

#[tokio::test]
async fn an_agentpod_killed_while_creating_the_database_does_not_block_the_next() {
    let place = Place::new();
    let root = place.state.join("postgres");
    let helper = place.helper();
    let unfinished = || {
        let entries = fs::read_dir(&root).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).filter(|path| path.join("PG_VERSION").exists()).collect::<Vec<_>>()
    };
    until("initdb is half way", || !unfinished().is_empty());
    helper.kill(Signal::KILL);
    let left = root.join("data.new-1-1");
    fs::create_dir_all(left.join("base")).unwrap();
    let server = place.open().await;
    assert_eq!(one(&server, "select current_database()").await, "agentpod");
    assert!(!left.exists(), "what an unfinished one left is cleared away");
    server.close().await.unwrap();
}

#[tokio::test]
async fn without_programs_the_error_says_where_it_searched_and_what_to_install() {
    let place = Place::new();
    let error = EmbeddedPostgres::open(&place.state, Some(Path::new("/nowhere/bin"))).await.unwrap_err();
    assert_eq!(error.code(), "postgres_not_found");
    for part in ["/nowhere/bin", "apt-get install postgresql", "DATABASE_URL", "AGENTPOD_POSTGRES_BIN"] {
        assert!(error.to_string().contains(part), "no {part} in: {error}");
    }
}

#[tokio::test]
async fn ensure_running_starts_a_killed_server_again_and_leaves_a_living_one_alone() {
    let place = Place::new();
    let server = place.open().await;
    assert!(!server.ensure_running().await.unwrap());
    let dead = place.murder_server();
    assert!(server.ensure_running().await.unwrap());
    assert_ne!(server.pid(), dead);
    assert_eq!(one(&server, "select 1::text").await, "1");
    fs::remove_file(server.socket_dir().join(".s.PGSQL.5432")).unwrap();
    assert!(server.ensure_running().await.unwrap(), "nobody can reach it without its socket");
    assert_eq!(one(&server, "select 1::text").await, "1");
    server.close().await.unwrap();
}

#[tokio::test]
async fn a_server_that_is_stopping_is_interrupted_and_replaced() {
    let place = Place::new();
    let server = place.open().await;
    let old = server.pid();
    let _held = connect(&server).await;
    signal(old, Signal::TERM); // It waits for its clients now, and takes no new ones.
    let file = place.data().join("postmaster.pid");
    until("it is stopping", || fs::read_to_string(&file).is_ok_and(|text| text.contains("stopping")));
    assert!(server.ensure_running().await.unwrap());
    assert_ne!(server.pid(), old);
    server.close().await.unwrap();
}

#[tokio::test]
async fn data_of_another_major_get_the_programs_of_that_major_or_a_clear_error() {
    let place = Place::new();
    place.open().await.close().await.unwrap();
    let fake = fake_binaries(place.dir.path());
    let search = Search::of([fake.clone(), Path::new("/usr/local/bin").into()]);
    EmbeddedPostgres::open_with(&place.state, search).await.unwrap().close().await.unwrap();
    let error = EmbeddedPostgres::open(&place.state, Some(&fake)).await.unwrap_err();
    assert_eq!(error.code(), "postgres_wrong_major");
    assert!(error.to_string().contains("PostgreSQL 99 in"), "{error}");
}

#[tokio::test]
async fn a_start_that_fails_shows_the_last_lines_of_the_log_at_once() {
    let place = Place::new();
    place.open().await.close().await.unwrap();
    let settings = place.data().join("postgresql.conf");
    fs::write(&settings, "colour = green\n").unwrap();
    let error = EmbeddedPostgres::open(&place.state, None).await.unwrap_err();
    assert_eq!(error.code(), "postgres_start_failed");
    assert!(error.to_string().contains("unrecognized configuration parameter \"colour\""), "{error}");
}

#[tokio::test]
async fn files_that_are_not_a_database_are_neither_used_nor_touched() {
    let place = Place::new();
    fs::create_dir_all(place.data()).unwrap();
    fs::write(place.data().join("precious"), "mine").unwrap();
    let error = EmbeddedPostgres::open(&place.state, None).await.unwrap_err();
    assert_eq!(error.code(), "postgres_data_unusable");
    assert!(error.to_string().contains("no PG_VERSION"), "{error}");
    assert_eq!(fs::read_to_string(place.data().join("precious")).unwrap(), "mine");
}

#[tokio::test]
async fn a_directory_that_the_server_may_not_enter_is_named() {
    if !rustix::process::geteuid().is_root() {
        return; // Then the server runs as we do.
    }
    let place = Place::named("closed/state");
    fs::create_dir_all(&place.state).unwrap();
    let closed = place.dir.path().join("closed");
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
    let error = EmbeddedPostgres::open(&place.state, None).await.unwrap_err();
    assert_eq!(error.code(), "postgres_path_blocked");
    assert!(error.to_string().contains(&format!("chmod o+x {},", closed.display())), "{error}");
}

#[tokio::test]
async fn a_state_directory_with_too_long_a_name_gets_a_socket_elsewhere() {
    let place = Place::named(&"long/".repeat(25));
    let server = place.open().await;
    assert!(!server.socket_dir().starts_with(&place.state));
    assert_eq!(one(&server, "select 1::text").await, "1");
    let socket_dir = server.socket_dir();
    server.close().await.unwrap();
    assert!(!socket_dir.exists());
}

#[tokio::test]
async fn a_state_directory_with_any_odd_character_works() {
    let place = Place::named("it's $HOME, \"ok\" `no` \\ é");
    let server = place.open().await;
    sqlx::query("create table t (a text)").execute(&mut connect(&server).await).await.unwrap();
    place.murder_server();
    assert!(server.ensure_running().await.unwrap());
    server.close().await.unwrap();
}

/// A process's session from /proc; 0 if its leader is outside the process namespace, as for a test runner in a container.
fn session_of(pid: u32) -> u32 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    // The process name may contain closing parentheses.
    let after_name = stat.rsplit_once(") ").unwrap().1;
    after_name.split(' ').nth(3).unwrap().parse().unwrap()
}

/// Not a test: other tests run it in a child process.
#[tokio::test]
#[ignore = "run by other tests"]
async fn helper_that_opens_and_waits() {
    let Some(state) = std::env::var_os(HELPER) else { return };
    let _server = EmbeddedPostgres::open(Path::new(&state), None).await.unwrap();
    println!("opened");
    // Until the test kills this process or ends.
    tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new())).await.unwrap().unwrap();
}
