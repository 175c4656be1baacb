//! One pod with everything known about it: desired and actual container, last decision, conditions.

use serde_json::{Map, Value};
use sqlx::FromRow;
use time::OffsetDateTime;

use super::{
    ConditionLine, ContainerSummary, PlanLine, PodDetail, PodLine, RejectedLine, RetryLine, View,
    pods::{FROM, LINES, PodLineRow as LineRow},
};
use crate::{
    core::{
        declare::desired_status::DesiredStatus,
        event::EventKind,
        names::PodId,
        observe::condition::{self, ConditionKind},
        report::{
            diagnosis::{self, Diagnosis, FailedAttempt, LastExit, Symptoms},
            phase::Phase,
            reason::Reason,
            view::{conceal, side_by_side},
        },
    },
    store::{conditions::ConditionRow, error::Result},
};

#[derive(FromRow)]
struct PodDetailRow {
    #[sqlx(flatten)]
    line: LineRow,
    subdomain: String,
    node: String,
    since: Option<OffsetDateTime>,
    digest: Option<String>,
    rejected_digest: Option<String>,
    rejected_why: Option<String>,
    uploaded_container: Option<String>,
    uploaded_digest: Option<String>,
    retry_failures: Option<i32>,
    retry_at: Option<OffsetDateTime>,
    retry_why: Option<String>,
    undeclared_at: Option<OffsetDateTime>,
    desired: Option<String>,
    hot: Option<String>,
    desired_summary: Option<Value>,
    actual_summary: Option<Value>,
    plan: Option<Value>,
    config: Option<Value>,
}

impl View<'_> {
    /// One pod with everything known about it.
    pub async fn pod(&self, id: &PodId) -> Result<Option<PodDetail>> {
        let sql = format!(
            "{LINES}, p.subdomain, p.node, s.since, p.digest, p.rejected_digest, p.rejected_why, p.uploaded_container, p.uploaded_digest, \
               p.retry_failures, p.retry_at, p.retry_why, p.undeclared_at, desired.container AS desired, desired.hot, desired.summary AS desired_summary, \
               (SELECT summary FROM container_summaries c WHERE c.pod_id = p.id AND c.container = s.container) AS actual_summary, \
               (SELECT plan FROM pod_plans WHERE pod_id = p.id) AS plan, \
               (SELECT config FROM pod_configs WHERE pod_id = p.id) AS config {FROM} AND p.id = $2"
        );
        let sql = sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(self.only()).bind(id.key());
        let row: Option<PodDetailRow> = self.store.query("pod", sql.fetch_optional(&self.store.pool)).await?;
        let Some(row) = row else { return Ok(None) };
        let sql = sqlx::query_as!(ConditionRow, "SELECT * FROM pod_conditions WHERE pod_id = $1", id.key());
        let rows = self.store.query("pod", sql.fetch_all(&self.store.pool)).await?;
        let mut detail =
            detail(row, rows.into_iter().filter_map(ConditionRow::read).map(ConditionLine::from).collect())?;
        if detail.line.phase.needs_attention() {
            let exit = self.last_exit(id).await?;
            detail.diagnosis = diagnose(&detail, exit.as_ref());
        }
        Ok(Some(detail))
    }

    /// How a pod's container last exited.
    async fn last_exit(&self, id: &PodId) -> Result<Option<LastExit>> {
        let query = sqlx::query!(
            "SELECT e.message, e.details, EXISTS (SELECT FROM pod_events m WHERE m.pod_id = $1 AND m.event_type = $3 \
             AND m.last_at > e.last_at - interval '30 seconds') AS \"out_of_memory!\" FROM pod_events e \
             WHERE e.pod_id = $1 AND e.event_type = $2 ORDER BY e.last_at DESC, e.id DESC LIMIT 1",
            id.key(),
            EventKind::Exited.as_str(),
            EventKind::OutOfMemory.as_str()
        );
        let row = self.store.query("view_last_exit", query.fetch_optional(&self.store.pool)).await?;
        Ok(row.map(|row| {
            let lines = row.details.as_ref().and_then(|details| details["log"].as_array());
            let lines = lines.into_iter().flatten().filter_map(|line| line.as_str().map(str::to_owned));
            LastExit { out_of_memory: row.out_of_memory, log: lines.collect(), message: row.message }
        }))
    }
}

fn diagnose(detail: &PodDetail, exit: Option<&LastExit>) -> Option<Diagnosis> {
    let line = &detail.line;
    let retry = detail.retry.as_ref().map(|retry| FailedAttempt { failures: retry.failures, why: &retry.why });
    diagnosis::diagnose(Symptoms {
        id: &line.id,
        phase: line.phase,
        reason: line.reason,
        message: &line.message,
        plan: detail.plan.as_ref(),
        retry,
        exit,
    })
}

fn detail(row: PodDetailRow, watched: Vec<ConditionLine>) -> Result<PodDetail> {
    let applied = applied(&row);
    let desired_container: Option<ContainerSummary> =
        row.desired_summary.and_then(|summary| serde_json::from_value(summary).ok());
    let mut actual_container: Option<ContainerSummary> =
        row.actual_summary.and_then(|summary| serde_json::from_value(summary).ok());
    // A container keeps its name when only files change that its agent reloads; its content is then unknown.
    if row.hot.is_some()
        && row.uploaded_digest != row.hot
        && let Some(summary) = &mut actual_container
    {
        summary.config = Map::new();
    }
    let comparison = match (&desired_container, &actual_container) {
        (Some(_), _) | (_, Some(_)) => side_by_side(desired_container.as_ref(), actual_container.as_ref()),
        (None, None) => Vec::new(),
    };
    let config = match (&desired_container, row.config) {
        // Already without secrets, by the adapter's schema too.
        (Some(summary), _) => summary.config.clone(),
        (None, Some(Value::Object(config))) => conceal(&config, &Value::Null),
        (None, _) => Map::new(),
    };
    let line = PodLine::try_from(row.line)?;
    let ready = ConditionLine {
        kind: ConditionKind::Ready,
        is_true: (line.phase != Phase::Unknown).then_some(line.ready),
        reason: line.reason,
        message: line.message.clone(),
        since: row.since,
    };
    let is_ready = line.ready;
    Ok(PodDetail {
        conditions: [ready, applied]
            .into_iter()
            .chain([ConditionKind::Hardened, ConditionKind::Routed].map(|kind| of_kind(&watched, kind)))
            .collect(),
        node: line.container.is_some().then_some(row.node),
        line,
        subdomain: row.subdomain,
        plan: row.plan.and_then(|plan| serde_json::from_value::<PlanLine>(plan).ok()),
        digest: row.digest,
        desired_container,
        actual_container,
        comparison,
        config,
        rejected: row.rejected_digest.zip(row.rejected_why).map(|(digest, why)| RejectedLine { digest, why }),
        retry: match (row.retry_failures, row.retry_at, row.retry_why) {
            (Some(failures), Some(at), Some(why)) => Some(RetryLine { failures, at, why }),
            _ => None,
        },
        diagnosis: None,
        not_ready_since: row.since.filter(|_| !is_ready),
        undeclared_at: row.undeclared_at,
    })
}

impl From<(condition::Condition, OffsetDateTime)> for ConditionLine {
    fn from((condition, since): (condition::Condition, OffsetDateTime)) -> Self {
        let condition::Condition { kind, is_true, reason, message } = condition;
        Self { kind, is_true, reason, message, since: Some(since) }
    }
}

/// A stored condition.
fn of_kind(watched: &[ConditionLine], kind: ConditionKind) -> ConditionLine {
    watched.iter().find(|one| one.kind == kind).cloned().unwrap_or_else(|| {
        let condition::Condition { kind, is_true, reason, message } =
            condition::Condition::unknown(kind, "it has not been evaluated yet");
        ConditionLine { kind, is_true, reason, message, since: None }
    })
}

/// Whether the current container is the desired one, with the desired files in it.
fn applied(row: &PodDetailRow) -> ConditionLine {
    let say = |is_true, reason: Reason, message: &str| ConditionLine {
        kind: ConditionKind::ConfigApplied,
        is_true,
        reason,
        message: message.into(),
        since: None,
    };
    let uploaded = || row.uploaded_container == row.line.container && row.uploaded_digest == row.hot;
    match (&row.desired, &row.line.container) {
        _ if row.line.desired_status == DesiredStatus::Deleted.as_str() => {
            say(None, Reason::Undeclared, "it is no longer declared")
        }
        (None, _) => say(None, Reason::NotKnown, "its desired state has not been stored yet"),
        (_, None) => say(Some(false), Reason::NoContainer, "it has no container"),
        (Some(desired), Some(stands)) if desired != stands => {
            say(Some(false), Reason::OtherContainer, "its container was created for another declaration")
        }
        _ if row.hot.is_some() && !uploaded() => {
            say(Some(false), Reason::FilesPending, "files that its agent reloads while running are not uploaded yet")
        }
        _ => say(Some(true), Reason::AsDeclared, "its container was created for this declaration"),
    }
}
