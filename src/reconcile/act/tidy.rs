//! Removes what containers leave behind that somebody removed by hand: the volumes of rendered files. Which these are is
//! decided in `core::decide::orphans`; nothing else is removed here.

use time::OffsetDateTime;
use tracing::{debug, info};

use crate::{
    core::{decide::orphans::leftovers, observe::actual::Actual},
    reconcile::Reconciler,
};

/// How many are removed at a time; the others follow the next time that a container goes.
const MOST: usize = 100;

impl Reconciler {
    /// Looks for such volumes in a task of its own, at the start and after a container was removed.
    pub(crate) fn tidy(&mut self, now: OffsetDateTime) {
        if !std::mem::take(&mut self.is_tidying_due) || !matches!(self.actual, Actual::Observed(_)) {
            return;
        }
        let engine = self.engine.clone();
        tokio::spawn(async move {
            let Ok(volumes) = engine.volumes().await else { return };
            let names: Vec<&str> = leftovers(&volumes, now).take(MOST).collect();
            let mut removed = 0;
            for name in &names {
                match engine.remove_volume(name).await {
                    Ok(()) => removed += 1,
                    Err(error) => debug!(%error, "a volume of rendered files stays"),
                }
            }
            if removed > 0 {
                info!("removed {removed} volumes with rendered files whose containers are gone");
            }
        });
    }
}
