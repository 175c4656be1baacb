//! `/dashboard/source`.

use time::OffsetDateTime;

use super::{Handlers, PageRequest, lines};
use crate::{
    core::{
        decide::request::{HASH_LENGTH, RequestSpec},
        report::{phase::Phase, reason::Reason},
    },
    dashboard::{
        pages::{
            source::{Approval, HeldPlan, RevisionEntry, SourceCard, SourcePage, SourceStep},
            words::{Badge, Moment, Tone},
        },
        refusal::Refusal,
    },
    store::view::{PodLine, PodQuery, RevisionLine, SourceLine},
};

/// Revisions per page.
const PER_PAGE: u32 = 25;
const PATH: &str = "/dashboard/source";
/// The most pods of a held plan that are named.
const MAX_HELD: u32 = 1000;

impl Handlers {
    pub(crate) async fn source(&self, page_request: &PageRequest) -> Result<SourcePage, Refusal> {
        page_request.visitor.needs(page_request.visitor.person.sees_all())?;
        let view = self.api.store.view(&page_request.visitor.person);
        let source = view.source().await?.ok_or_else(Refusal::internal)?;
        let page = view.revisions(PER_PAGE, page_request.query.get("after")).await?.ok_or_else(Refusal::internal)?;
        let newest = source.fetched.as_ref().filter(|newest| newest.state == "rejected");
        Ok(SourcePage {
            held: self.held(page_request).await?,
            problems: newest.map(|newest| lines::problems(&newest.problems)).unwrap_or_default(),
            revisions: page.items.iter().map(|revision| row(revision, page_request.now)).collect(),
            older: page.next.map(|next| page_request.query.with(PATH, "after", Some(&next))),
            source: card(&source, page_request.now),
        })
    }

    /// The plan that waits for approval, if there is one: the message of every pod that it holds has its hash.
    async fn held(&self, page_request: &PageRequest) -> Result<Vec<HeldPlan>, Refusal> {
        let query = PodQuery { phases: vec![Phase::Held], limit: MAX_HELD, ..PodQuery::default() };
        let held = self.api.store.view(&page_request.visitor.person).pods(&query).await?.items;
        let held: Vec<&PodLine> = held.iter().filter(|line| line.reason == Reason::TooManyRemovals).collect();
        let Some(first) = held.first() else { return Ok(Vec::new()) };
        let Some(hash) = hash(&first.message) else { return Ok(Vec::new()) };
        let open = self.api.store.open_requests().await?;
        let approved = open.iter().find(|one| one.request.what == RequestSpec::Approve { plan: hash.clone() });
        let since = held.iter().map(|line| line.phase_since).min().unwrap_or(page_request.now);
        Ok(vec![HeldPlan {
            why: first.message.clone(),
            since: Moment::new(since, page_request.now),
            pods: held.iter().map(|line| line.id.to_string()).collect(),
            approved: approved.map(|one| Approval {
                by: one.request.actor.clone(),
                at: Moment::new(one.requested_at, page_request.now),
            }),
            hash,
        }])
    }
}

/// The hash of a plan in the message of a pod that it holds.
fn hash(message: &str) -> Option<String> {
    let words = message.split(|c: char| !c.is_ascii_alphanumeric());
    let is_hash = |word: &&str| word.len() == HASH_LENGTH && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    words.filter(is_hash).map(str::to_owned).next()
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
        _ if id(&source.applied) == id(&source.accepted) => Badge::new("applied", Tone::Good),
        _ => Badge::new("being applied", Tone::Busy),
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
        applied: at(revision.applied_at),
        problems: lines::problems(&revision.problems),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_of_a_held_plan_is_found_in_its_message() {
        let message = "9 of 48 pods would be removed at once, more than is done without asking; agentpod approve 5d0c41aa90f3 lets them go";
        assert_eq!(hash(message).as_deref(), Some("5d0c41aa90f3"));
        assert_eq!(hash("paused by alma"), None);
    }
}
