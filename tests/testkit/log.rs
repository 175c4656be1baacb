//! What this process logs: everything AgentPod says, to be searched for what should not be in it, and how often a thread
//! asks the database. A process has one subscriber, so both are set up together.

use std::{
    cell::Cell,
    io::{self, Write},
    sync::{Mutex, Once},
};

use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    Layer,
    filter::{LevelFilter, Targets},
    fmt,
    layer::{Context, SubscriberExt},
    registry,
    util::SubscriberInitExt,
};

static BEGUN: Once = Once::new();
static LOGGED: Mutex<Vec<u8>> = Mutex::new(Vec::new());

thread_local! {
    /// A test, its server and its connections share one thread.
    static QUERIES: Cell<usize> = const { Cell::new(0) };
}

struct LogBuffer;

impl Write for LogBuffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LOGGED.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Counts what is asked of the database, without looks at the server behind a connection.
struct Queries;

impl<S: Subscriber> Layer<S> for Queries {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut asked = AboutServer(false);
        event.record(&mut asked);
        if !asked.0 {
            QUERIES.set(QUERIES.get() + 1);
        }
    }
}

/// Whether a query only looks which server a connection leads to. That depends on how long it was idle, and not on what a
/// page needs.
struct AboutServer(bool);

impl Visit for AboutServer {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let text = format!("{value:?}");
        self.0 |= field.name() == "summary"
            && ["pg_is_in_recovery", "system_identifier"].iter().any(|sign| text.contains(sign));
    }
}

/// Begins to listen; more than once is once. What one thread alone listens to another one could switch off, so it is the
/// whole process.
pub fn listen() {
    BEGUN.call_once(|| {
        let lines = fmt::layer().with_ansi(false).with_writer(|| LogBuffer);
        let lines = lines.with_filter(Targets::new().with_target("agentpod", LevelFilter::TRACE));
        let queries = Queries.with_filter(Targets::new().with_target("sqlx::query", LevelFilter::TRACE));
        registry().with(lines).with(queries).init();
    });
}

/// Everything logged since then, at every level.
pub fn text() -> String {
    listen();
    tracing::trace!(target: "agentpod::testkit", "everything is heard");
    let text = String::from_utf8_lossy(&LOGGED.lock().unwrap()).into_owned();
    assert!(text.contains("everything is heard"), "nobody listens to the log, so nothing can be found in it");
    text
}

/// How often this thread asked the database since it was last asked for this.
pub fn queries() -> usize {
    listen();
    QUERIES.take()
}
