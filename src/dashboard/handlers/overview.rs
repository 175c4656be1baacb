//! `/dashboard`.

use super::{Handlers, PageRequest, lines, source::card};
use crate::{
    core::report::phase::Phase,
    dashboard::{
        pages::{
            overview::{Alarm, Attention, OverviewPage, RoundLine, shares},
            words::{Moment, Tone, UsageBar, count, mebibytes, percent, thousands},
        },
        refusal::Refusal,
    },
    reconcile::DaemonRole,
    store::view::{self, HostLine, Overview},
};

/// How many troubled pods, events and rounds are shown.
const SHOWN: usize = 12;
const ROUNDS: usize = 6;

impl Handlers {
    pub(crate) async fn overview(&self, guest: &PageRequest) -> Result<OverviewPage, Refusal> {
        let glance = self.api.store.view(&guest.visitor.person).overview().await?;
        let now = guest.now;
        let number =
            |phase: Phase| glance.phases.iter().find(|count| count.phase == phase).map_or(0, |count| count.pods);
        let counts: Vec<(Phase, i64)> =
            Phase::BY_URGENCY.iter().map(|phase| (*phase, number(*phase))).filter(|(_, count)| *count > 0).collect();
        let attention = glance.troubled.iter().take(SHOWN).map(|pod| Attention {
            pod: lines::name(&pod.id),
            look: lines::look(pod.phase),
            why: pod.message.clone(),
            since: Moment::new(pod.since, now),
        });
        Ok(OverviewPage {
            sentence: format!("{}, {} of them ready", count(glance.pods, "pod"), thousands(glance.ready)),
            alarms: self.alarms(guest, &glance),
            total: glance.pods,
            phases: shares(&counts),
            attention: attention.collect(),
            attention_count: glance.troubled_count,
            events: glance.events.iter().take(SHOWN).map(|event| lines::event(event, now)).collect(),
            source: glance.source.as_ref().map(|source| card(source, now)),
            rounds: glance.rounds.iter().take(ROUNDS).map(|round| line(round, guest)).collect(),
            host: glance
                .host
                .as_ref()
                .map(|host| format!("{}, {}", host.engine, count(i64::from(host.cpus), "processor")))
                .unwrap_or_default(),
            capacity: glance.host.as_ref().map(capacity).unwrap_or_default(),
        })
    }

    fn alarms(&self, guest: &PageRequest, glance: &Overview) -> Vec<Alarm> {
        let mut alarms = Vec::new();
        let mut add = |tone, title: &str, text: String, (href, link): (&str, &str)| {
            alarms.push(Alarm { tone, title: title.into(), text, href: href.into(), link: link.into() });
        };
        let overview = self.api.view.borrow();
        if let (DaemonRole::Active, Some(why)) = (overview.role, &overview.engine) {
            add(
                Tone::Bad,
                "The container engine does not answer",
                format!("{why}. Nothing is done to any pod meanwhile."),
                ("", ""),
            );
        }
        if overview.role == DaemonRole::Standby {
            add(
                Tone::Idle,
                "This AgentPod stands by",
                "Another one acts. What is shown here is what that one wrote down.".into(),
                ("", ""),
            );
        }
        if !guest.visitor.person.sees_all() {
            return alarms;
        }
        let Some(source) = &glance.source else { return alarms };
        let to_source = ("/dashboard/source", "Look at the source");
        if source.stale_since.is_some() {
            let why = source.stale_why.clone().unwrap_or_else(|| "it cannot be read".into());
            let last = source.read_at.map_or("never".into(), |at| Moment::new(at, guest.now).ago);
            add(Tone::Warn, "The source was not read lately", format!("Last read {last}: {why}"), to_source);
        }
        if let (Some(since), Some(why)) = (source.unusable_since, &source.unusable_why) {
            let ago = Moment::new(since, guest.now).ago;
            let text = format!("{why}. So since {ago}; the last good revision stays in force.");
            add(Tone::Warn, "What the source holds cannot be taken", text, to_source);
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
                ("/dashboard/source#problems", "Look at the problems"),
            );
        }
        alarms
    }
}

fn line(round: &view::RoundLine, guest: &PageRequest) -> RoundLine {
    let acted = match round.actions.as_slice() {
        [] => "nothing to do".into(),
        [one] => format!("{}: {}", one.item, one.cause),
        [one, rest @ ..] => format!("{}: {}, and {} more", one.item, one.cause, rest.len()),
    };
    RoundLine {
        at: Moment::new(round.began_at, guest.now),
        cause: round.trigger.clone(),
        did: acted,
        took: format!("{} ms", round.milliseconds),
    }
}

fn capacity(host: &HostLine) -> Vec<UsageBar> {
    let promised = format!("{} promised to pods", mebibytes(host.pods_memory_limit_mb as f64));
    let memory =
        UsageBar::new("Memory in use by pods", host.pods_memory_mb as f64, Some(host.memory_mb as f64), mebibytes)
            .with_note(promised);
    let all = f64::from(host.cpus) * 100.0;
    let cpus = UsageBar::new("Processors in use by pods", f64::from(host.pods_cpu_percent), Some(all), percent);
    let disk = host.disk_mb.zip(host.disk_free_mb);
    let disk = disk.map(|(all, free)| UsageBar::new("Disk in use", (all - free) as f64, Some(all as f64), mebibytes));
    [memory, cpus].into_iter().chain(disk).collect()
}
