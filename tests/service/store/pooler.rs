//! A connection pooler between AgentPod and PostgreSQL. Debian's one does not know prepared statements, so its transaction mode
//! cannot be used, which has to be said; what shares sessions is simulated where it matters.

use std::{
    fs,
    os::unix::{fs::chown, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use agentpod::store::Store;
use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};

use super::{at, new_key};
use crate::testkit::{
    declared::alice,
    postgres::{database, unprivileged},
    wait::eventually,
};

/// Where Debian installs it.
const PROGRAM: &str = "/usr/sbin/pgbouncer";

struct Pooler {
    folder: PathBuf,
    process: Child,
}

impl Pooler {
    /// A pooler in front of a new database, with so many connections to it.
    async fn start(mode: &str, connections: usize) -> (Self, PgConnectOptions) {
        let behind = database().await;
        let folder = tempfile::Builder::new().prefix("agentpod-pooler-").tempdir().unwrap().keep();
        let path = folder.display();
        let config = format!(
            "[databases]\n* = host={} port={} user=agentpod\n[pgbouncer]\nlisten_addr =\nunix_socket_dir = {path}\n\
             auth_type = any\npool_mode = {mode}\ndefault_pool_size = {connections}\nmax_client_conn = 200\n\
             ignore_startup_parameters = extra_float_digits\nlogfile = {path}/log\n",
            behind.get_socket().unwrap().display(),
            behind.get_port()
        );
        fs::write(folder.join("pooler.ini"), config).unwrap();
        let mut command = Command::new(PROGRAM);
        command.arg("-q").arg(folder.join("pooler.ini")).stdout(Stdio::null()).stderr(Stdio::null()).current_dir("/");
        if let Some((user, group)) = unprivileged() {
            chown(&folder, Some(user), Some(group)).unwrap();
            command.uid(user).gid(group);
        }
        let pooler = Self { process: command.spawn().unwrap(), folder };
        let options = behind.socket(Path::new(&pooler.folder)).port(6432);
        eventually("the pooler answers", async || PgConnection::connect_with(&options).await.ok()).await;
        (pooler, options)
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

#[tokio::test]
async fn behind_a_pooler_exactly_one_process_leads_and_goes_on_to() {
    let (_pooler, options) = Pooler::start("session", 20).await;
    let (key, name) = (new_key(), "test".parse().unwrap());
    let one = Store::open(options.clone(), &key, &name).await.unwrap();
    let two = Store::open(options.clone(), &key, &name).await.unwrap();
    let lead = one.try_lead().await.unwrap().unwrap();
    let mut connection = PgConnection::connect_with(&options).await.unwrap();
    let mut expires = async || {
        let query = sqlx::query_scalar::<_, time::OffsetDateTime>("SELECT expires_at FROM lease");
        query.fetch_one(&mut connection).await.unwrap()
    };
    for _ in 0..2 {
        let before = expires().await;
        eventually("the lease is renewed", async || (expires().await > before).then_some(())).await;
        assert!(two.try_lead().await.unwrap().is_none());
    }
    one.led_by(&lead).sync(&alice().build(), at(0)).await.unwrap();
    lead.release().await.unwrap();
    assert!(two.try_lead().await.unwrap().is_some());
}

#[tokio::test]
async fn a_pooler_that_loses_prepared_statements_is_named_with_the_ways_out() {
    let (_pooler, options) = Pooler::start("transaction", 1).await;
    let (key, name) = (new_key(), "test".parse().unwrap());
    let open = async || Store::open(options.clone(), &key, &name).await;
    let error = eventually("it is noticed", async || {
        let stores = futures_util::future::join_all((0..3).map(|_| open())).await;
        stores.into_iter().find_map(Result::err)
    })
    .await;
    assert_eq!(error.code(), "store_pooler", "{error}");
    assert!(error.to_string().contains("PgBouncer 1.21 or newer"), "{error}");
}
