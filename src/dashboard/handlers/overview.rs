//! `/dashboard`.

use super::{
    Handlers, PageRequest, lines,
    source::{card, held},
};
use crate::{
    core::report::phase::Phase,
    dashboard::{
        pages::{
            overview::{Alarm, OverviewPage, RoundEntry, shares},
            pods::attention_columns,
            words::{Moment, Tone, UsageBar, count, mebibytes, percent, thousands},
        },
        refusal::Refusal,
    },
    reconcile::DaemonRole,
    store::view::{self, HostLine, Overview},
};

/// How many pods that need attention, events and rounds are shown.
const SHOWN: usize = 12;
const ROUNDS: usize = 6;

impl Handlers {
    pub(crate) async fn overview(&self, page_request: &PageRequest) -> Result<OverviewPage, Refusal> {
        let overview = self.api.store.view(&page_request.visitor.person).overview().await?;
        let now = page_request.now;
        let number =
            |phase: Phase| overview.phases.iter().find(|count| count.phase == phase).map_or(0, |count| count.pods);
        let counts: Vec<(Phase, i64)> =
            Phase::BY_URGENCY.iter().map(|phase| (*phase, number(*phase))).filter(|(_, count)| *count > 0).collect();
        Ok(OverviewPage {
            sentence: format!("{}, {} of them ready", count(overview.pods, "pod"), thousands(overview.ready)),
            alarms: self.alarms(page_request, &overview),
            held: overview.held_removals.as_ref().map(|one| held(one, now)),
            total: overview.pods,
            phases: shares(&counts),
            attention: overview.needs_attention.iter().take(SHOWN).map(|line| lines::row(line, now)).collect(),
            attention_columns: attention_columns(),
            attention_count: overview.needs_attention_count,
            events: overview.events.iter().take(SHOWN).map(|event| lines::event(event, now)).collect(),
            source: overview.source.as_ref().map(|source| card(source, now)),
            rounds: overview.rounds.iter().take(ROUNDS).map(|round| line(round, page_request)).collect(),
            host: overview
                .host
                .as_ref()
                .map(|host| format!("{}, {}", host.engine, count(i64::from(host.cpus), "processor")))
                .unwrap_or_default(),
            capacity: overview.host.as_ref().map(capacity).unwrap_or_default(),
        })
    }

    fn alarms(&self, page_request: &PageRequest, overview: &Overview) -> Vec<Alarm> {
        let mut alarms = Vec::new();
        let mut add = |tone, title: &str, text: String, (href, link): (&str, &str)| {
            alarms.push(Alarm { tone, title: title.into(), text, href: href.into(), link: link.into() });
        };
        let daemon = self.api.view.borrow();
        if let (DaemonRole::Active, Some(why)) = (daemon.role, &daemon.engine) {
            add(
                Tone::Bad,
                "The container engine does not answer",
                format!("{why}. AgentPod changes no pod until it answers."),
                ("", ""),
            );
        }
        if daemon.role == DaemonRole::Standby {
            add(
                Tone::Idle,
                "This AgentPod is a standby",
                "Another one is active. This page shows what that one stored.".into(),
                ("", ""),
            );
        }
        if !page_request.visitor.person.sees_all() {
            return alarms;
        }
        let Some(source) = &overview.source else { return alarms };
        let to_source = ("/dashboard/source", "Open the source");
        if source.stale_since.is_some() {
            let why = source.stale_why.clone().unwrap_or_else(|| "it cannot be read".into());
            let last = source.read_at.map_or("never".into(), |at| Moment::new(at, page_request.now).ago);
            add(Tone::Warn, "The source is stale", format!("Last read {last}: {why}"), to_source);
        }
        if let (Some(since), Some(why)) = (source.unusable_since, &source.unusable_why) {
            let ago = Moment::new(since, page_request.now).ago;
            let text = format!("{why}. This has been so since {ago}; the last accepted revision stays in force.");
            add(Tone::Warn, "The source's content cannot be used", text, to_source);
        }
        if let Some(newest) = source.fetched.as_ref().filter(|newest| newest.state == "rejected") {
            let stays = source
                .accepted
                .as_ref()
                .map(|kept| format!("; revision {} stays in force", kept.id))
                .unwrap_or_default();
            let text = format!("It has {}{stays}.", count(newest.problems.len() as i64, "problem"));
            add(
                Tone::Warn,
                "The newest revision was refused",
                text,
                ("/dashboard/source#problems", "Show the problems"),
            );
        }
        alarms
    }
}

fn line(round: &view::RoundLine, page_request: &PageRequest) -> RoundEntry {
    let acted = match round.actions.as_slice() {
        [] => "nothing to do".into(),
        [one] => format!("{}: {}", one.item, one.cause),
        [one, rest @ ..] => format!("{}: {}, and {} more", one.item, one.cause, rest.len()),
    };
    RoundEntry {
        at: Moment::new(round.began_at, page_request.now),
        cause: round.trigger.clone(),
        did: acted,
        took: format!("{} ms", round.milliseconds),
    }
}

fn capacity(host: &HostLine) -> Vec<UsageBar> {
    let promised = format!("{} reserved by pods", mebibytes(host.pods_memory_limit_mb as f64));
    let memory =
        UsageBar::new("Memory in use by pods", host.pods_memory_mb as f64, Some(host.memory_mb as f64), mebibytes)
            .with_note(promised);
    let all = f64::from(host.cpus) * 100.0;
    let cpus = UsageBar::new("Processors in use by pods", f64::from(host.pods_cpu_percent), Some(all), percent);
    let disk = host.disk_mb.zip(host.disk_free_mb);
    let disk = disk.map(|(all, free)| UsageBar::new("Disk in use", (all - free) as f64, Some(all as f64), mebibytes));
    [memory, cpus].into_iter().chain(disk).collect()
}
