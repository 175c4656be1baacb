//! Forgetting a pod: the one place that deletes its row and history. Whoever forgets holds everything else still first, so
//! that nothing is declared meanwhile.

use std::collections::BTreeMap;

use sqlx::{Postgres, Transaction};
use time::OffsetDateTime;

use super::{
    Store,
    error::Result,
    events::{self, Event},
    lock::lock_key,
    pods::pod_id,
    run,
    sync::SYNC,
};
use crate::core::{decide::orphans::PodHistory, event::EventKind, names::PodId};

/// While it lives, no sync makes anything declared, or not declared any more. Dropped, it changed nothing.
#[derive(Debug)]
pub struct DeclarationLock {
    transaction: Transaction<'static, Postgres>,
}

impl Store {
    /// Every pod that ever was declared: its volume, and since when it is not any more.
    pub async fn pod_histories(&self) -> Result<BTreeMap<PodId, PodHistory>> {
        let query = sqlx::query!("SELECT id, volume, undeclared_at FROM pods");
        let rows = self.query("pod_histories", query.fetch_all(&self.pool)).await?;
        let history = |volume, undeclared_since| PodHistory { volume, undeclared_since };
        rows.into_iter().map(|row| Ok((pod_id(&row.id)?, history(row.volume, row.undeclared_at)))).collect()
    }

    /// Waits until no sync is under way, and keeps the next from beginning.
    pub async fn hold_still(&self) -> Result<DeclarationLock> {
        self.run("hold_still", async {
            let mut transaction = self.pool.begin().await?;
            sqlx::query!("SELECT pg_advisory_xact_lock($1)", lock_key(SYNC)).execute(&mut *transaction).await?;
            Ok(DeclarationLock { transaction })
        })
        .await
    }
}

impl DeclarationLock {
    /// Deletes all rows of a pod, its token and history among them, and leaves one line that says so. Answers whether there
    /// was a row; one that is declared is left as it is, and answers no.
    pub async fn forget(mut self, pod: &PodId, why: &str, now: OffsetDateTime) -> Result<bool> {
        run("forget_pod", async move {
            let key = pod.key();
            let gone = sqlx::query_scalar!(
                "SELECT id FROM pods WHERE id = $1 AND desired_status = 'deleted' FOR UPDATE",
                &key
            )
            .fetch_optional(&mut *self.transaction)
            .await?;
            if gone.is_some() {
                let connection = &mut *self.transaction;
                sqlx::query!("DELETE FROM pod_events WHERE pod_id = $1", key).execute(&mut *connection).await?;
                sqlx::query!("DELETE FROM pod_phases WHERE pod_id = $1", key).execute(&mut *connection).await?;
                sqlx::query!("DELETE FROM pod_configs WHERE pod_id = $1", key).execute(&mut *connection).await?;
                sqlx::query!("DELETE FROM pods WHERE id = $1", key).execute(&mut *connection).await?;
            }
            let event =
                Event { cause: Some("somebody asked for it".into()), ..Event::of_pod(pod, EventKind::Purged, why) };
            events::record(&mut self.transaction, &event, now).await?;
            self.transaction.commit().await?;
            Ok(gone.is_some())
        })
        .await
    }
}
