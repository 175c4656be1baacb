//! Leader election: one process per database, by a lease in a row. The lease ends by time, so a leader that is frozen or cut
//! off is replaced like one that died, and it needs no session: a pooler in any mode, and a failover, change nothing.
//!
//! Each leader has a term, a number no other leader ever had. The leader's writes check it in their own transaction, so
//! none of them is committed once another process leads. What is done outside of the database is allowed only while the
//! database has confirmed the lease a short time ago, by this process's own clock ([`Term::is_current`]).

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use secrecy::ExposeSecret;
use sqlx::{PgPool, Postgres, Transaction};
use time::OffsetDateTime;
use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::{
    Store,
    connections::SERVER_CHECK,
    error::{Result, StoreError},
    key::random_text,
    run,
};
use crate::clock;

/// How long the lease lasts without being renewed, by the database's clock.
const LEASE: Duration = Duration::from_secs(8);
/// How long after a renewal was sent the leader may act, by its own clock. The rest is for clocks that differ in speed.
const CONFIRMED_FOR: Duration = Duration::from_secs(6);
/// How often it is renewed.
const RENEWAL: Duration = Duration::from_secs(2);

/// The process that leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leader {
    /// Where it runs: `host, process 4711`.
    pub(crate) process: String,
    /// Since when.
    pub(crate) since: OffsetDateTime,
}

/// The lead, renewed in the background until it is released or dropped. Dropped, it ends by time.
#[derive(Debug)]
pub struct Lead {
    term: Term,
    pool: PgPool,
    renewing: AbortOnDropHandle<()>,
}

/// The term of a leader. Clones share what is known of it.
#[derive(Debug, Clone)]
pub struct Term {
    number: i64,
    /// Distinguishes it from a term of that number in a database that was restored from a backup.
    holder: String,
    /// Until when it is confirmed, by the time since boot.
    confirmed_until: watch::Sender<Duration>,
    /// Why the lease could not be renewed last.
    problem: Arc<Mutex<Option<StoreError>>>,
    lost: CancellationToken,
}

/// What a process that wants to lead has seen of the lease. A lease that does not change for its whole length, by this
/// process's own clock, is over whatever the database's clock says: that may have been set back.
#[derive(Debug, Default)]
pub struct Candidate {
    seen: Option<Seen>,
}

#[derive(Debug)]
struct Seen {
    term: i64,
    expires_at: OffsetDateTime,
    first_at: Duration,
}

impl Store {
    /// Becomes the leader, unless another process is. The leader also has the current instance key, in its file.
    pub async fn try_lead(&self) -> Result<Option<Lead>> {
        self.try_lead_as(&mut Candidate::default()).await
    }

    /// The same for a process that keeps trying.
    pub async fn try_lead_as(&self, candidate: &mut Candidate) -> Result<Option<Lead>> {
        let Some(lead) = take(&self.pool, candidate).await? else { return Ok(None) };
        let refreshed = self.run("refresh_key", async { self.refresh_key(&mut *self.pool.acquire().await?).await });
        match refreshed.await {
            Ok(()) => Ok(Some(lead)),
            Err(error) => {
                lead.release().await?;
                Err(error)
            }
        }
    }

    /// This store for the leader: everything it writes is refused once the lead is lost.
    #[must_use]
    pub fn led_by(&self, lead: &Lead) -> Self {
        Self { term: Some(lead.term.clone()), ..self.clone() }
    }

    /// Fails if this is a leader's store and the database has not confirmed that it leads.
    pub(crate) fn check_lead(&self) -> Result<()> {
        self.term.as_ref().map_or(Ok(()), Term::check)
    }

    /// Looks now and then which server new connections reach: after a failover it is another one.
    pub(crate) async fn follow_failovers(&self) {
        loop {
            tokio::time::sleep(SERVER_CHECK).await;
            // It cannot be reached, or has no connection to spare: what uses the database notices that by itself.
            let _ = self.server.check(&self.options).await;
        }
    }

    /// The term that this store writes in, if it is a leader's.
    pub(crate) fn term(&self) -> Option<&Term> {
        self.term.as_ref()
    }

    /// The current leader.
    pub(crate) async fn leader(&self) -> Result<Option<Leader>> {
        let query = sqlx::query_as!(
            Leader,
            "SELECT process, since FROM lease WHERE expires_at > clock_timestamp() AND holder <> ''"
        );
        self.query("leader", query.fetch_optional(&self.pool)).await
    }

    /// Begins a transaction. A leader's holds off the next leader until it ends, which the server sees to if this process
    /// does not.
    pub(super) async fn begin(&self) -> Result<Transaction<'static, Postgres>> {
        let mut transaction = self.pool.begin().await?;
        if let Some(term) = &self.term {
            // The key share lock conflicts with another leader's change of the term, and not with a renewal.
            let current = sqlx::query_scalar!(
                "SELECT set_config('idle_in_transaction_session_timeout', '5s', true) FROM lease \
                 WHERE term = $1 AND holder = $2 FOR KEY SHARE",
                term.number,
                term.holder
            );
            if current.fetch_optional(&mut *transaction).await?.is_none() {
                term.lost.cancel();
                return Err(StoreError::NotLeading);
            }
        }
        Ok(transaction)
    }
}

/// Takes the lease if it is over.
pub(super) async fn take(pool: &PgPool, candidate: &mut Candidate) -> Result<Option<Lead>> {
    let (sent, holder) = (clock::since_boot(), random_text()?.expose_secret().to_owned());
    let over = candidate.over(sent);
    let query = sqlx::query_scalar!(
        "UPDATE lease SET term = term + 1, holder = $1, process = $2, since = clock_timestamp(), \
         expires_at = clock_timestamp() + make_interval(secs => $3) \
         WHERE expires_at <= clock_timestamp() OR (term = $4 AND expires_at = $5) RETURNING term",
        holder,
        process(),
        LEASE.as_secs_f64(),
        over.map(|seen| seen.term),
        over.map(|seen| seen.expires_at)
    );
    let Some(number) = run("take_lease", async { Ok(query.fetch_optional(pool).await?) }).await? else {
        let query = sqlx::query!("SELECT term, expires_at FROM lease");
        let lease = run("lease", async { Ok(query.fetch_one(pool).await?) }).await?;
        candidate.saw(lease.term, lease.expires_at, sent);
        return Ok(None);
    };
    *candidate = Candidate::default();
    let term = Term {
        number,
        holder,
        confirmed_until: watch::channel(sent + CONFIRMED_FOR).0,
        problem: Arc::default(),
        lost: CancellationToken::new(),
    };
    let renewing = AbortOnDropHandle::new(tokio::spawn(renew(pool.clone(), term.clone())));
    Ok(Some(Lead { term, pool: pool.clone(), renewing }))
}

/// Renews the lease until it is lost. An outage of the database does not lose it: nobody else can take it meanwhile.
async fn renew(pool: PgPool, term: Term) {
    while !term.lost.is_cancelled() {
        tokio::time::sleep(RENEWAL).await;
        let sent = clock::since_boot();
        let query = sqlx::query!(
            "UPDATE lease SET expires_at = clock_timestamp() + make_interval(secs => $3) WHERE term = $1 AND holder = $2",
            term.number,
            term.holder,
            LEASE.as_secs_f64()
        );
        match run("renew_lease", async { Ok(query.execute(&pool).await?) }).await {
            Ok(done) if done.rows_affected() == 0 => term.lost.cancel(),
            Ok(_) => {
                *term.problem() = None;
                term.confirmed_until.send_replace(sent + CONFIRMED_FOR);
            }
            Err(error) => *term.problem() = Some(error),
        }
    }
}

impl Candidate {
    /// The lease as first seen, if it has not changed for its whole length.
    fn over(&self, now: Duration) -> Option<&Seen> {
        self.seen.as_ref().filter(|seen| now.saturating_sub(seen.first_at) > LEASE)
    }

    fn saw(&mut self, term: i64, expires_at: OffsetDateTime, now: Duration) {
        let is_same = self.seen.as_ref().is_some_and(|seen| (seen.term, seen.expires_at) == (term, expires_at));
        if !is_same {
            self.seen = Some(Seen { term, expires_at, first_at: now });
        }
    }
}

impl Lead {
    /// Its term.
    pub fn term(&self) -> &Term {
        &self.term
    }

    /// Ends the lead at once, so that another process can take over without waiting.
    pub async fn release(self) -> Result<()> {
        self.renewing.abort();
        let query = sqlx::query!(
            "UPDATE lease SET holder = '', expires_at = clock_timestamp() WHERE term = $1 AND holder = $2",
            self.term.number,
            self.term.holder
        );
        run("release_lease", async { Ok(query.execute(&self.pool).await?) }).await.map(drop)
    }
}

impl Term {
    /// Whether this process still leads, as confirmed by the database a short time ago.
    pub fn is_current(&self) -> bool {
        !self.lost.is_cancelled() && clock::since_boot() < *self.confirmed_until.borrow()
    }

    /// Fails unless this process still leads, as confirmed by the database a short time ago.
    pub(super) fn check(&self) -> Result<()> {
        if self.lost.is_cancelled() {
            return Err(StoreError::NotLeading);
        }
        if self.is_current() {
            return Ok(());
        }
        let unknown =
            || StoreError::Unreachable("it has not confirmed for some seconds that this AgentPod leads".into());
        Err(self.problem().clone().unwrap_or_else(unknown))
    }

    fn problem(&self) -> std::sync::MutexGuard<'_, Option<StoreError>> {
        self.problem.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until another process leads.
    pub async fn lost(&self) {
        self.lost.cancelled().await;
    }

    /// Waits until it is no longer confirmed that this process leads. It may be confirmed again later.
    pub async fn unconfirmed(&self) {
        let mut confirmed = self.confirmed_until.subscribe();
        loop {
            let until = *confirmed.borrow_and_update();
            let Some(left) = until.checked_sub(clock::since_boot()).filter(|left| !left.is_zero()) else { return };
            tokio::select! {
                () = self.lost.cancelled() => return,
                () = tokio::time::sleep(left) => {}
                changed = confirmed.changed() => if changed.is_err() { return },
            }
        }
    }
}

/// This process, for people.
fn process() -> String {
    format!("{}, process {}", rustix::system::uname().nodename().to_string_lossy(), std::process::id())
}
