//! `/dashboard/source`.

use time::OffsetDateTime;

use super::{Guest, Show, lines};
use crate::{
    dashboard::{
        pages::{
            source::{HeldPlan, RevisionRow, Source, SourceCard, SourceStep},
            words::{Look, Moment, Tone},
        },
        refusal::Refusal,
    },
    store::view::{RevisionLine, SourceLine},
};

/// Revisions on a page.
const PER_PAGE: u32 = 25;
const PATH: &str = "/dashboard/source";

impl Show {
    pub(super) async fn source(&self, guest: &Guest) -> Result<Source, Refusal> {
        guest.visitor.needs(guest.visitor.person.sees_all())?;
        let view = self.api.store.view(&guest.visitor.person);
        let source = view.source().await?.ok_or_else(Refusal::internal)?;
        let page = view.revisions(PER_PAGE, guest.query.get("after")).await?.ok_or_else(Refusal::internal)?;
        let newest = source.fetched.as_ref().filter(|newest| newest.state == "rejected");
        Ok(Source {
            held: self.held(guest).await?,
            problems: newest.map(|newest| lines::problems(&newest.problems)).unwrap_or_default(),
            revisions: page.items.iter().map(|revision| row(revision, guest.now)).collect(),
            older: page.next.map(|next| guest.query.with(PATH, "after", Some(&next))),
            source: card(&source, guest.now),
        })
    }

    /// The plan that waits for approval, if one does.
    async fn held(&self, _guest: &Guest) -> Result<Vec<HeldPlan>, Refusal> {
        Ok(Vec::new())
    }
}

/// Where manifests come from and how far they got.
pub(super) fn card(source: &SourceLine, now: OffsetDateTime) -> SourceCard {
    let step = |name, revision: Option<&RevisionLine>, at: fn(&RevisionLine) -> Option<OffsetDateTime>| SourceStep {
        name,
        mark: revision.map(lines::mark),
        at: revision.and_then(at).map(|at| Moment::new(at, now)),
    };
    let id = |revision: &Option<RevisionLine>| revision.as_ref().map(|revision| revision.id);
    let look = match (&source.stale_since, &source.fetched) {
        (Some(_), _) => Look::new("not read", Tone::Warn),
        (None, None) => Look::new("not read yet", Tone::Idle),
        (None, Some(newest)) if newest.state == "rejected" => Look::new("refused", Tone::Warn),
        _ if id(&source.applied) == id(&source.accepted) => Look::new("applied", Tone::Good),
        _ => Look::new("being applied", Tone::Busy),
    };
    SourceCard {
        origin: source.fetched.as_ref().map(|newest| newest.origin.clone()).unwrap_or_default(),
        look,
        steps: vec![
            step("Fetched", source.fetched.as_ref(), |revision| Some(revision.fetched_at)),
            step("Accepted", source.accepted.as_ref(), |revision| revision.accepted_at),
            step("Applied", source.applied.as_ref(), |revision| revision.applied_at),
        ],
    }
}

fn row(revision: &RevisionLine, now: OffsetDateTime) -> RevisionRow {
    let at = |at: Option<OffsetDateTime>| at.map(|at| Moment::new(at, now));
    RevisionRow {
        id: revision.id,
        mark: lines::mark(revision),
        look: if revision.state == "accepted" {
            Look::new("accepted", Tone::Good)
        } else {
            Look::new("rejected", Tone::Bad)
        },
        origin: revision.origin.clone(),
        fetched: Moment::new(revision.fetched_at, now),
        accepted: at(revision.accepted_at),
        applied: at(revision.applied_at),
        problems: lines::problems(&revision.problems),
    }
}
