//! Turns: how many engine calls of each kind are made at a time. A turn is held for one call, never while waiting for anything
//! else, and kinds that take long have turns of their own, so that stops and pulls of some pods never keep another one down.

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_util::sync::CancellationToken;

use crate::core::decide::plan::Step;

/// Calls that take moments: more at a time only add latency on one engine.
const CALLS: usize = 8;
/// Stops wait for their container, up to its stop timeout, and cost the engine next to nothing.
const STOPS: usize = 64;

/// The turns of all pods.
#[derive(Debug)]
pub(crate) struct Turns {
    /// For pods of which nothing runs: they do not queue behind pods that do.
    down: Semaphore,
    others: Semaphore,
    stops: Semaphore,
}

impl Default for Turns {
    fn default() -> Self {
        Self { down: Semaphore::new(CALLS), others: Semaphore::new(CALLS), stops: Semaphore::new(STOPS) }
    }
}

impl Turns {
    /// Waits for the turn of a step; `None` if it needs none, or the action was cancelled.
    pub(crate) async fn take(
        &self,
        step: &Step,
        is_down: bool,
        cancelled: &CancellationToken,
    ) -> Option<SemaphorePermit<'_>> {
        let turns = match step {
            // Pulls are limited for each registry.
            Step::Image(_) => return None,
            Step::Stop(_) => &self.stops,
            _ if is_down => &self.down,
            _ => &self.others,
        };
        tokio::select! {
            biased;
            () = cancelled.cancelled() => None,
            permit = turns.acquire() => permit.ok(),
        }
    }
}
