//! Purging a pod: the only place that deletes its row and history. The purge holds off every sync, so that nothing is
//! declared meanwhile.

use std::collections::BTreeMap;

use sqlx::{Postgres, Transaction};
use time::OffsetDateTime;

use super::{
    Store, advisory,
    error::Result,
    events::{self, Event},
    pods::pod_id,
    run,
    sync::SYNC,
};
use crate::core::{decide::orphans::PodHistory, event::EventKind, names::PodId};

/// While it lives, no sync declares or removes a pod. Dropped, it has changed nothing.
#[derive(Debug)]
pub struct DeclarationLock {
    transaction: Transaction<'static, Postgres>,
}

impl Store {
    /// Every pod that was ever declared: its volume, and when it was removed from the manifests.
    pub async fn pod_histories(&self) -> Result<BTreeMap<PodId, PodHistory>> {
        let query = sqlx::query!("SELECT id, volume, undeclared_at FROM pods");
        let rows = self.query("pod_histories", query.fetch_all(&self.pool)).await?;
        let history = |volume, undeclared_since| PodHistory { volume, undeclared_since };
        rows.into_iter().map(|row| Ok((pod_id(&row.id)?, history(row.volume, row.undeclared_at)))).collect()
    }

    /// Waits until no sync is running, and holds off the next.
    pub async fn lock_declarations(&self) -> Result<DeclarationLock> {
        self.run("lock_declarations", async {
            let mut transaction = self.begin().await?;
            advisory::lock(&mut transaction, SYNC).await?;
            Ok(DeclarationLock { transaction })
        })
        .await
    }
}

impl DeclarationLock {
    /// Deletes all rows of a pod, including its token and history, and stores one event that says so. Returns whether
    /// there was a row; a declared pod is left as it is, which returns `false`.
    pub async fn purge(mut self, pod: &PodId, why: &str, now: OffsetDateTime) -> Result<bool> {
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
                Event { cause: Some("somebody requested it".into()), ..Event::of_pod(pod, EventKind::Purged, why) };
            events::record(&mut self.transaction, &event, now).await?;
            self.transaction.commit().await?;
            Ok(gone.is_some())
        })
        .await
    }
}
