//! `/dashboard/source`.

use time::OffsetDateTime;

use super::{Handlers, PageRequest, lines};
use crate::{
    core::report::health::FleetHealth,
    dashboard::{
        pages::{
            source::{Approval, HeldPlan, RevisionEntry, SourceCard, SourcePage, SourceStep},
            words::{Badge, Moment, Tone, count},
        },
        refusal::Refusal,
    },
    store::view::{HeldRemovalsLine, RevisionLine, SourceLine},
};

/// Revisions per page.
const PER_PAGE: u32 = 25;
const PATH: &str = "/dashboard/source";
/// The most pods of a held plan that are named.
const NAMED: usize = 20;

impl Handlers {
    pub(crate) async fn source(&self, page_request: &PageRequest) -> Result<SourcePage, Refusal> {
        page_request.visitor.needs(page_request.visitor.person.sees_all())?;
        let view = self.api.store.view(&page_request.visitor.person);
        let source = view.source().await?.ok_or_else(Refusal::internal)?;
        let page = view.revisions(PER_PAGE, page_request.query.get("after")).await?.ok_or_else(Refusal::internal)?;
        let newest = source.fetched.as_ref().filter(|newest| newest.state == "rejected");
        Ok(SourcePage {
            held: view.held_removals().await?.as_ref().map(|one| held(one, page_request.now)),
            problems: newest.map(|newest| lines::problems(&newest.problems)).unwrap_or_default(),
            revisions: page.items.iter().map(|revision| row(revision, page_request.now)).collect(),
            older: page.next.map(|next| page_request.query.with(PATH, "after", Some(&next))),
            source: card(&source, page_request.now),
        })
    }
}

/// Removals that wait for approval, as a page shows them.
pub(crate) fn held(held: &HeldRemovalsLine, now: OffsetDateTime) -> HeldPlan {
    let names = held.pods.iter().take(NAMED).map(ToString::to_string);
    HeldPlan {
        hash: held.plan.clone(),
        title: match held.count {
            1 => "The removal of 1 pod waits for approval".into(),
            count => format!("The removal of {count} pods waits for approval"),
        },
        since: Moment::new(held.since, now),
        pods: names.collect(),
        more: held.count - held.pods.len().min(NAMED) as i64,
        approved: held
            .approved_by
            .clone()
            .zip(held.approved_at)
            .map(|(by, at)| Approval { by, at: Moment::new(at, now) }),
    }
}

/// The source and its revisions.
pub(crate) fn card(source: &SourceLine, now: OffsetDateTime) -> SourceCard {
    let step = |name, revision: Option<&RevisionLine>, at: fn(&RevisionLine) -> Option<OffsetDateTime>| SourceStep {
        name,
        mark: revision.map(lines::mark),
        at: revision.and_then(at).map(|at| Moment::new(at, now)),
    };
    let id = |revision: &Option<RevisionLine>| revision.as_ref().map(|revision| revision.id);
    let look = match (&source.stale_since, &source.fetched) {
        (Some(_), _) => Badge::new("stale", Tone::Warn),
        _ if source.unusable_since.is_some() => Badge::new("unusable", Tone::Warn),
        (None, None) => Badge::new("not read yet", Tone::Idle),
        (None, Some(newest)) if newest.state == "rejected" => Badge::new("refused", Tone::Warn),
        _ if id(&source.synced) == id(&source.accepted) => Badge::new("synced", Tone::Good),
        _ => Badge::new("syncing", Tone::Busy),
    };
    SourceCard {
        origin: source.fetched.as_ref().map(|newest| newest.origin.clone()).unwrap_or_default(),
        look,
        steps: vec![
            step("Fetched", source.fetched.as_ref(), |revision| Some(revision.fetched_at)),
            step("Accepted", source.accepted.as_ref(), |revision| revision.accepted_at),
            step("Synced", source.synced.as_ref(), |revision| revision.synced_at),
        ],
        health: match source.health {
            FleetHealth::Healthy => Badge::new("healthy", Tone::Good),
            FleetHealth::Progressing => Badge::new("progressing", Tone::Busy),
            FleetHealth::Degraded => Badge::new("degraded", Tone::Bad),
        },
        unhealthy: (source.needs_attention > 0).then(|| count(source.needs_attention, "pod")),
    }
}

fn row(revision: &RevisionLine, now: OffsetDateTime) -> RevisionEntry {
    let at = |at: Option<OffsetDateTime>| at.map(|at| Moment::new(at, now));
    RevisionEntry {
        id: revision.id,
        mark: lines::mark(revision),
        look: if revision.state == "accepted" {
            Badge::new("accepted", Tone::Good)
        } else {
            Badge::new("rejected", Tone::Bad)
        },
        origin: revision.origin.clone(),
        fetched: Moment::new(revision.fetched_at, now),
        accepted: at(revision.accepted_at),
        synced: at(revision.synced_at),
        problems: lines::problems(&revision.problems),
    }
}
