//! Pods in a list: filtered, sorted by any column, in pages that stay right while pods come and go.

use serde::{Deserialize, Serialize};
use sqlx::FromRow;
use time::OffsetDateTime;

use super::{
    Page, PodColumn, PodLine, PodQuery, View,
    cursor::{self, CursorPosition},
};
use crate::{
    core::{
        names::PodId,
        report::{phase::Phase, reason::Reason},
    },
    store::{
        StoreError,
        error::Result,
        pods::{desired_status, pod_id},
        status::read_phase,
    },
};

/// A pod's line, of pods that have not been removed and, if `$1` is given, of that tenant.
pub(super) const LINES: &str = "SELECT p.id, p.adapter_id, p.url, p.desired_status, s.phase, coalesce(s.phase_since, p.created_at) AS phase_since, \
     coalesce(s.ready, false) AS ready, coalesce(s.reason, 'Declared') AS reason, \
     coalesce(s.message, 'it is declared, and no round has reached it yet') AS message, s.container, desired.image, d.message AS deviation, \
     p.declared_revision AS revision, p.applied_revision, coalesce(s.restarts, 0) AS restarts, p.created_at, u.memory_mb, \
     desired.memory_mb AS memory_limit_mb, u.cpu_percent, u.storage_mb, u.at AS measured_at";
pub(super) const FROM: &str = "FROM pods p LEFT JOIN pod_phases s ON s.pod_id = p.id LEFT JOIN pod_desired desired ON desired.pod_id = p.id \
     LEFT JOIN pod_usage_now u ON u.pod_id = p.id \
     LEFT JOIN pod_conditions d ON d.pod_id = p.id AND d.kind = 'Hardened' AND d.is_true = false \
     WHERE ($1::text IS NULL OR p.tenant_id = $1) AND (p.desired_status <> 'deleted' OR s.container IS NOT NULL)";
/// The order of names, and a tie-breaker.
const NAME: &str = "(p.tenant_id || ' ' || p.name) COLLATE \"C\"";

/// The columns of a line.
#[derive(FromRow)]
pub(super) struct PodLineRow {
    id: String,
    adapter_id: String,
    url: String,
    pub(super) desired_status: String,
    phase: Option<String>,
    phase_since: OffsetDateTime,
    ready: bool,
    reason: String,
    message: String,
    pub(super) container: Option<String>,
    image: Option<String>,
    deviation: Option<String>,
    revision: Option<i64>,
    applied_revision: Option<i64>,
    restarts: i32,
    created_at: OffsetDateTime,
    memory_mb: Option<i32>,
    memory_limit_mb: Option<i32>,
    cpu_percent: Option<f32>,
    storage_mb: Option<i32>,
    measured_at: Option<OffsetDateTime>,
}

#[derive(FromRow)]
struct PositionedRow {
    #[sqlx(flatten)]
    row: PodLineRow,
    text: Option<String>,
    number: Option<f64>,
    name: String,
}

/// What a cursor also holds: a cursor of another order is ignored.
#[derive(Serialize, Deserialize)]
struct PodCursor {
    sort: PodColumn,
    descending: bool,
    place: CursorPosition,
}

impl View<'_> {
    /// Pods in a list. An invalid cursor, or one of another order, gives the first page.
    pub async fn pods(&self, query: &PodQuery) -> Result<Page<PodLine>> {
        let limit = cursor::limit(query.limit);
        let (text, number) = key(query.sort);
        let (than, order) = if query.descending { ("<", "DESC") } else { (">", "ASC") };
        let (key, place) = match text {
            Some(_) => ("text", "$8"),
            None => ("number", "$9"),
        };
        let sql = format!(
            "SELECT * FROM ({LINES}, {} AS text, {} AS number, {NAME} AS name {FROM} \
               AND ($2::text IS NULL OR p.tenant_id = $2) AND ($3::text IS NULL OR p.adapter_id = $3) \
               AND $10::text[] IS NOT NULL AND ($4::text[] IS NULL OR coalesce(s.phase, 'Pending') = ANY($4)) \
               AND ($5::text IS NULL OR strpos(lower(concat_ws(' ', p.tenant_id || '/' || p.name, p.adapter_id, desired.image, p.url, s.message)), \
                 lower($5)) > 0) AND ($11::text IS NULL OR s.reason = $11) \
               AND ($12::text IS NULL OR s.reason IS DISTINCT FROM $12)) AS lines \
             WHERE $7::text IS NULL OR ({key}, name) {than} ({place}, $7) ORDER BY {key} {order}, name {order} LIMIT $6",
            text.unwrap_or("NULL::text"),
            number.unwrap_or("NULL::float8"),
        );
        let after = query.after.as_deref().and_then(cursor::read::<PodCursor>);
        let after = after.filter(|after| after.sort == query.sort && after.descending == query.descending);
        let place = after.map(|after| after.place);
        let phases: Vec<String> = query.phases.iter().map(ToString::to_string).collect();
        let sql = sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(self.only())
            .bind(query.tenant.as_ref().map(|tenant| tenant.as_str()))
            .bind(query.adapter.as_ref().map(|adapter| adapter.as_str()))
            .bind((!phases.is_empty()).then_some(phases))
            .bind(query.text.as_deref().filter(|text| !text.is_empty() && !text.contains('\0')))
            .bind(limit + 1)
            .bind(place.as_ref().map(|place| place.name.replace('\0', "")))
            .bind(place.as_ref().map(|place| place.text.clone().unwrap_or_default().replace('\0', "")))
            .bind(
                place.as_ref().map(|place| place.number.as_ref().and_then(|number| number.parse().ok()).unwrap_or(0.0)),
            )
            .bind(Phase::BY_URGENCY.map(Phase::as_str))
            .bind(query.reason.map(Reason::as_str))
            .bind(query.not_reason.map(Reason::as_str));
        let mut rows: Vec<PositionedRow> = self.store.query("pods", sql.fetch_all(&self.store.pool)).await?;
        let more = rows.len() as i64 > limit;
        rows.truncate(limit as usize);
        let next = rows.last().filter(|_| more).map(|last| {
            let place = CursorPosition {
                text: last.text.clone(),
                number: last.number.map(|number| format!("{number:?}")),
                name: last.name.clone(),
            };
            cursor::written(&PodCursor { sort: query.sort, descending: query.descending, place })
        });
        let items = rows.into_iter().map(|placed| PodLine::try_from(placed.row)).collect::<Result<_>>()?;
        Ok(Page { items, next })
    }

    /// The lines of some pods, in any order; those that were removed or are not for this person are left out.
    pub async fn lines(&self, ids: &[PodId]) -> Result<Vec<PodLine>> {
        let sql = format!("{LINES} {FROM} AND p.id = ANY($2)");
        let sql = sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(self.only())
            .bind(ids.iter().map(PodId::key).collect::<Vec<_>>());
        let rows: Vec<PodLineRow> = self.store.query("lines", sql.fetch_all(&self.store.pool)).await?;
        rows.into_iter().map(PodLine::try_from).collect()
    }
}

/// What a column sorts by: a text, or a number. Unknown values come first.
fn key(column: PodColumn) -> (Option<&'static str>, Option<&'static str>) {
    let text = |sql| (Some(sql), None);
    let number = |sql| (None, Some(sql));
    match column {
        PodColumn::Name | PodColumn::Tenant => text(NAME),
        PodColumn::Adapter => text("p.adapter_id COLLATE \"C\""),
        PodColumn::Image => text("coalesce(desired.image, '') COLLATE \"C\""),
        PodColumn::Phase => number("coalesce(array_position($10::text[], coalesce(s.phase, 'Pending')), 0)::float8"),
        PodColumn::Since => number("extract(epoch FROM coalesce(s.phase_since, p.created_at))::float8"),
        PodColumn::Ready => number("coalesce(s.ready, false)::int::float8"),
        PodColumn::Revision => number("coalesce(p.declared_revision, -1)::float8"),
        // Oldest last: their number is small, their age great.
        PodColumn::Age => number("-extract(epoch FROM p.created_at)::float8"),
        PodColumn::Memory => number("coalesce(u.memory_mb, -1)::float8"),
        PodColumn::Cpu => number("coalesce(u.cpu_percent, -1)::float8"),
        PodColumn::Storage => number("coalesce(u.storage_mb, -1)::float8"),
        PodColumn::Restarts => number("coalesce(s.restarts, 0)::float8"),
    }
}

impl TryFrom<PodLineRow> for PodLine {
    type Error = StoreError;
    fn try_from(row: PodLineRow) -> Result<Self> {
        let id = pod_id(&row.id)?;
        Ok(Self {
            tenant: id.tenant.clone(),
            name: id.pod.to_string(),
            desired: desired_status(&row.id, &row.desired_status)?,
            phase: read_phase(&row.id, row.phase.as_deref())?,
            id,
            adapter: row.adapter_id,
            url: row.url,
            phase_since: row.phase_since,
            ready: row.ready,
            reason: row.reason.parse().unwrap_or_default(),
            message: row.message,
            deviation: row.deviation,
            container: row.container,
            image: row.image,
            revision: row.revision,
            applied_revision: row.applied_revision,
            restarts: row.restarts.unsigned_abs(),
            created_at: row.created_at,
            memory_mb: row.memory_mb,
            memory_limit_mb: row.memory_limit_mb,
            cpu_percent: row.cpu_percent,
            storage_mb: row.storage_mb,
            measured_at: row.measured_at,
        })
    }
}
