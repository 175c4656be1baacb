//! `/metrics`: what the reconciler publishes, in the text format of Prometheus (OpenMetrics). Moments are given as times and
//! not as ages, so that they age by themselves. No metric has the name of a tenant or pod as a label, so the number of series
//! does not grow with them.

use std::sync::atomic::AtomicU64;

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{family::Family, gauge::Gauge, info::Info},
    registry::Registry,
};
use time::OffsetDateTime;

use crate::{
    core::report::phase::Phase,
    reconcile::{DaemonRole, DaemonStatus},
};

/// The media type.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct PhaseLabel {
    phase: String,
}

/// All metrics, as of now.
pub(crate) fn text(overview: &DaemonStatus) -> String {
    let mut registry = Registry::with_prefix("agentpod");
    let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
    registry.register("build", "The version of AgentPod", version);
    let is_active = overview.role == DaemonRole::Active;
    flag(&mut registry, "active", "Whether this AgentPod is active (1) or a standby (0)", is_active);
    flag(&mut registry, "database_up", "Whether the database answers", overview.database.is_none());
    overview.metrics.register(&mut registry);
    // A standby, or a daemon before its first round, does not know any of this; no value is better than a guess.
    if is_active && overview.rounds > 0 {
        describe(&mut registry, overview);
    }
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = encode(&mut text, &registry);
    text
}

fn describe(registry: &mut Registry, overview: &DaemonStatus) {
    let source = &overview.source;
    moment(registry, "last_round", "When the last round ended", overview.last_round);
    flag(registry, "engine_up", "Whether the container engine answers", overview.engine.is_none());
    moment(registry, "source_last_read", "When the source was last read successfully", source.read_at);
    let help = "Whether the source was not read for three intervals";
    flag(registry, "source_stale", help, source.stale_since.is_some());
    moment(registry, "revision_accepted", "When the revision in force was accepted", source.accepted_at);
    flag(registry, "revision_in_force", "Whether any revision is in force", source.accepted.is_some());
    flag(registry, "revision_synced", "Whether nothing is left to do for the revision in force", source.synced);
    flag(registry, "pods_healthy", "Whether every declared pod is ready or stopped on purpose", source.healthy);
    let is_refused = !source.problems.is_empty() && source.unread.is_none();
    flag(registry, "revision_refused", "Whether the newest revision was read and is refused", is_refused);
    let pods = Family::<PhaseLabel, Gauge>::default();
    for phase in Phase::BY_URGENCY {
        let count = overview.pods.values().filter(|pod| pod.status.phase == phase).count();
        pods.get_or_create(&PhaseLabel { phase: format!("{phase:?}") }).set(count as i64);
    }
    registry.register("pods", "Pods by phase", pods);
    let ready = Gauge::<i64>::default();
    ready.set(overview.pods.values().filter(|pod| pod.status.ready).count() as i64);
    registry.register("pods_ready", "Pods that are ready", ready);
}

fn flag(registry: &mut Registry, name: &str, help: &str, is_so: bool) {
    let gauge = Gauge::<i64>::default();
    gauge.set(i64::from(is_so));
    registry.register(name, help, gauge);
}

fn moment(registry: &mut Registry, name: &str, help: &str, at: Option<OffsetDateTime>) {
    let Some(at) = at else { return };
    let gauge = Gauge::<f64, AtomicU64>::default();
    gauge.set((at.unix_timestamp_nanos() / 1_000_000) as f64 / 1000.0);
    registry.register(format!("{name}_timestamp_seconds"), help, gauge);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        core::{
            problem::Problem,
            report::{reason::Reason, status::Status},
        },
        reconcile::{PodView, SourceView},
    };

    fn pod(phase: Phase, ready: bool) -> PodView {
        let status = Status {
            phase,
            ready,
            reason: Reason::Unknown,
            message: String::new(),
            container: None,
            container_id: None,
            node: None,
        };
        PodView {
            status,
            last_health_at: None,
            conditions: Vec::new(),
            url: None,
            adapter: None,
            doing: None,
            pull: None,
            settled: true,
        }
    }

    fn active() -> DaemonStatus {
        let at = |seconds: i64| Some(OffsetDateTime::UNIX_EPOCH + time::Duration::milliseconds(seconds * 1000 + 250));
        let pods = [("a/a", Phase::Running, true), ("a/b", Phase::Running, false), ("b/a", Phase::Held, false)];
        DaemonStatus {
            role: DaemonRole::Active,
            rounds: 7,
            last_round: at(3000),
            source: SourceView {
                accepted: Some("abc".into()),
                accepted_at: at(1000),
                read_at: at(2000),
                stale_since: at(2500),
                problems: vec![Problem::of_file("a.yaml", "wrong")],
                ..SourceView::default()
            },
            pods: pods.map(|(id, phase, ready)| (id.to_owned(), pod(phase, ready))).into(),
            ..DaemonStatus::default()
        }
    }

    #[test]
    fn the_current_state_is_in_the_text_that_prometheus_reads() {
        let overview = active();
        overview.metrics.round(std::time::Duration::from_millis(20), true);
        let text = text(&overview);
        for line in [
            "agentpod_active 1",
            "agentpod_database_up 1",
            "agentpod_engine_up 1",
            "agentpod_rounds_total 1",
            "agentpod_round_duration_seconds_bucket{le=\"0.025\"} 1",
            "agentpod_last_round_timestamp_seconds 3000.25",
            "agentpod_source_last_read_timestamp_seconds 2000.25",
            "agentpod_source_stale 1",
            "agentpod_revision_accepted_timestamp_seconds 1000.25",
            "agentpod_revision_refused 1",
            "agentpod_revision_synced 0",
            "agentpod_pods{phase=\"Running\"} 2",
            "agentpod_pods{phase=\"Held\"} 1",
            "agentpod_pods{phase=\"Stopped\"} 0",
            "agentpod_pods_ready 1",
        ] {
            assert!(text.lines().any(|one| one == line), "{line} is missing in:\n{text}");
        }
        assert!(text.ends_with("# EOF\n"), "{text}");
    }

    #[test]
    fn one_that_stands_by_says_nothing_of_pods_and_source() {
        let text = text(&DaemonStatus { database: Some("away".into()), ..DaemonStatus::default() });
        assert!(text.contains("\nagentpod_active 0\n") && text.contains("\nagentpod_database_up 0\n"), "{text}");
        assert!(!text.contains("agentpod_pods") && !text.contains("agentpod_source"), "{text}");
    }

    #[test]
    fn alerts_and_dashboard_ask_for_metrics_that_there_are() {
        let overview = active();
        overview.metrics.synced(time::Duration::seconds(3));
        let text = text(&overview);
        let is_name = |c: char| c.is_ascii_lowercase() || c == '_';
        let mut queried = 0;
        for file in
            [include_str!("../../deploy/prometheus-alerts.yaml"), include_str!("../../deploy/grafana-dashboard.json")]
        {
            for (at, _) in file.match_indices("agentpod_") {
                let rest = &file[at..];
                let name = &rest[..rest.find(|c| !is_name(c)).unwrap_or(rest.len())];
                // A family without a sample yet has at least its description.
                let family = name.trim_end_matches("_total").trim_end_matches("_bucket");
                assert!(
                    text.contains(&format!("# HELP {family} ")) || family == "agentpod_steps",
                    "{name} in:\n{text}"
                );
                queried += 1;
            }
        }
        assert!(queried > 20, "both files ask for something");
    }
}
