//! Removals that are held because they are too many at once: one plan, which somebody may approve.

use super::{HeldRemovalsLine, PodLine, PodQuery, View};
use crate::{
    core::{
        decide::request::{HASH_LENGTH, RequestSpec},
        report::{phase::Phase, reason::Reason},
    },
    store::error::Result,
};

/// The most pods of a held plan that are named.
const MAX_NAMED: u32 = 1000;

impl View<'_> {
    /// The removals that are held, if any are.
    pub(crate) async fn held_removals(&self) -> Result<Option<HeldRemovalsLine>> {
        let count = self.held_removals_count().await?;
        if count == 0 {
            return Ok(None);
        }
        let query = PodQuery {
            phases: vec![Phase::Held],
            reason: Some(Reason::TooManyRemovals),
            limit: MAX_NAMED,
            ..PodQuery::default()
        };
        let held: Vec<PodLine> = self.pods(&query).await?.items;
        let Some(since) = held.iter().map(|line| line.phase_since).min() else { return Ok(None) };
        let plan = held.first().and_then(|first| hash(&first.message)).unwrap_or_default();
        let open = self.store.open_requests().await?;
        let approved = open.iter().find(|one| one.request.what == RequestSpec::Approve { plan: plan.clone() });
        Ok(Some(HeldRemovalsLine {
            why: held.first().map(|first| first.message.clone()).unwrap_or_default(),
            approved_by: approved.map(|one| one.request.actor.clone()),
            approved_at: approved.map(|one| one.requested_at),
            pods: held.into_iter().map(|line| line.id).collect(),
            plan,
            count,
            since,
        }))
    }

    /// How many removals are held.
    pub(super) async fn held_removals_count(&self) -> Result<i64> {
        let query = sqlx::query_scalar!(
            "SELECT count(*) AS \"count!\" FROM pod_phases s JOIN pods p ON p.id = s.pod_id \
             WHERE ($1::text IS NULL OR p.tenant_id = $1) AND s.phase = $2 AND s.reason = $3",
            self.only(),
            Phase::Held.as_str(),
            Reason::TooManyRemovals.as_str()
        );
        self.store.query("view_held_removals", query.fetch_one(&self.store.pool)).await
    }
}

/// The hash of the plan in the message of a pod that it holds.
fn hash(message: &str) -> Option<String> {
    let words = message.split(|c: char| !c.is_ascii_alphanumeric());
    let is_hash = |word: &&str| word.len() == HASH_LENGTH && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    words.filter(is_hash).map(str::to_owned).next()
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
