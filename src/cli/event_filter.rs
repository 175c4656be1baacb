//! Which events a command shows: of one pod or tenant, from a severity on, since a time.

use clap::{Args, ValueEnum};
use time::OffsetDateTime;

use super::since::Since;
use crate::{
    core::{
        event::Severity,
        names::{PodId, TenantName},
    },
    store::view::EventLine,
};

/// For how long a repeated event is counted instead of stored again.
const REPEATS: time::Duration = time::Duration::minutes(10);

/// Which events are shown.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct EventFilter {
    /// Only events of this pod, as TENANT/POD
    pub(crate) pod: Option<PodId>,
    /// Only events of this tenant's pods
    #[arg(long, value_name = "TENANT", conflicts_with = "pod")]
    pub(crate) tenant: Option<TenantName>,
    /// Only events that are at least this urgent
    #[arg(long, value_name = "SEVERITY")]
    pub(crate) severity: Option<SeverityArg>,
    /// Only events since: so long ago, like 10m or 2d, or at a moment like 2026-11-24T12:00:00Z
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<Since>,
}

/// A severity, as typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SeverityArg {
    /// Everything
    Info,
    /// What was reached, and what is urgent
    Success,
    /// What may need attention, and what failed
    Warning,
    /// What failed or stopped working
    Error,
}

impl EventFilter {
    /// Whether an event is shown.
    pub(crate) fn shows(&self, event: &EventLine, now: OffsetDateTime) -> bool {
        let least = match self.severity {
            None | Some(SeverityArg::Info) => Severity::Info,
            Some(SeverityArg::Success) => Severity::Success,
            Some(SeverityArg::Warning) => Severity::Warning,
            Some(SeverityArg::Error) => Severity::Error,
        };
        let pod = event.pod.as_ref();
        event.severity >= least
            && self.pod.as_ref().is_none_or(|only| pod == Some(only))
            && self.tenant.as_ref().is_none_or(|only| pod.is_some_and(|pod| pod.tenant == *only))
            && self.since.is_none_or(|since| event.last_at >= since.moment(now))
    }

    /// Whether an event, and all that began before it, are too old. One that repeats is counted for some minutes.
    pub(crate) fn is_over(&self, event: &EventLine, now: OffsetDateTime) -> bool {
        self.since.is_some_and(|since| event.first_at < since.moment(now) - REPEATS)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use time::{Duration, macros::datetime};

    use super::*;

    fn event(pod: Option<&str>, kind: &str, last_at: &str) -> EventLine {
        let line = json!({"id": 1, "pod": pod, "kind": kind, "severity": "info", "message": "m", "cause": null,
            "revision": null, "container": null, "details": null, "count": 1, "first_at": last_at, "last_at": last_at});
        let line: EventLine = serde_json::from_value(line).unwrap();
        EventLine { severity: line.kind.severity(), ..line }
    }

    #[test]
    fn an_event_is_shown_if_it_is_of_the_tenant_urgent_enough_and_recent_enough() {
        let now = datetime!(2026-11-27 12:00 UTC);
        let filter = EventFilter {
            pod: None,
            tenant: Some("alice".parse().unwrap()),
            severity: Some(SeverityArg::Warning),
            since: Some("1h".parse().unwrap()),
        };
        for (event, is_shown) in [
            (event(Some("alice/a"), "exited", "2026-11-27T11:30:00Z"), true),
            (event(Some("alice/a"), "undeclared", "2026-11-27T11:30:00Z"), true),
            (event(Some("alice/a"), "ready", "2026-11-27T11:30:00Z"), false),
            (event(Some("alice/a"), "exited", "2026-11-27T10:30:00Z"), false),
            (event(Some("bob/a"), "exited", "2026-11-27T11:30:00Z"), false),
            (event(None, "source_refused", "2026-11-27T11:30:00Z"), false),
        ] {
            assert_eq!(filter.shows(&event, now), is_shown, "{event:?}");
            assert!(EventFilter::default().shows(&event, now));
        }
        let old = event(None, "ready", "2026-11-27T10:00:00Z");
        assert!(filter.is_over(&old, now) && !filter.is_over(&old, now - Duration::hours(1)));
        assert!(!EventFilter::default().is_over(&old, now));
    }
}
