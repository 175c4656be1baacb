//! `/dashboard/tenants` and `/dashboard/tenants/T`.

use super::{
    Handlers, PageRequest, lines, nothing,
    pod::{Limits, hours, plots},
};
use crate::{
    core::names::TenantName,
    dashboard::{
        pages::{
            plot::Usage,
            pods::{Pager, columns},
            tenant::TenantPage,
            tenants::{TenantRow, TenantsPage, quota},
            words::{UsageBar, count, thousands},
        },
        refusal::Refusal,
    },
    store::view::{EventQuery, PodQuery, TenantLine},
};

/// Tenants per page.
const PER_PAGE: usize = 50;
/// Pods on a tenant's page.
const PODS: u32 = 200;
/// Events on a tenant's page.
const EVENTS: u32 = 15;
const PATH: &str = "/dashboard/tenants";

impl Handlers {
    pub(crate) async fn tenants(&self, page_request: &PageRequest) -> Result<TenantsPage, Refusal> {
        let all = self.api.store.view(&page_request.visitor.person).tenants().await?;
        let (query, q) = (&page_request.query, page_request.query.get("q").unwrap_or_default().to_lowercase());
        let fits =
            |tenant: &TenantLine| tenant.name.as_str().contains(&q) || tenant.display_name.to_lowercase().contains(&q);
        let found: Vec<TenantLine> = all.into_iter().filter(fits).collect();
        let number = found.len();
        let after = query.get("after").unwrap_or_default();
        let rows: Vec<TenantRow> =
            found.iter().filter(|tenant| tenant.name.as_str() > after).take(PER_PAGE).map(row).collect();
        let last = rows.last().map(|row| row.name.clone()).unwrap_or_default();
        let goes_on = found.last().is_some_and(|tenant| tenant.name.as_str() > last.as_str());
        Ok(TenantsPage {
            q: query.get("q").unwrap_or_default().into(),
            shown: match rows.len() == number {
                true => count(number as i64, "tenant"),
                false => format!("{} of {}", thousands(rows.len() as i64), count(number as i64, "tenant")),
            },
            rows,
            pager: Pager {
                first: (!after.is_empty()).then(|| query.with(PATH, "after", None)),
                next: goes_on.then(|| query.with(PATH, "after", Some(&last))),
            },
        })
    }

    pub(crate) async fn tenant(&self, page_request: &PageRequest, name: &str) -> Result<TenantPage, Refusal> {
        let name: TenantName = name.parse().map_err(|_| nothing())?;
        let view = self.api.store.view(&page_request.visitor.person);
        let tenant =
            view.tenant(&name).await?.ok_or_else(|| Refusal::not_found(format!("There is no tenant {name}.")))?;
        let pods = view.pods(&PodQuery { tenant: Some(name.clone()), limit: PODS, ..PodQuery::default() }).await?.items;
        let events = view
            .events(&EventQuery { tenant: Some(name.clone()), limit: EVENTS, ..EventQuery::default() })
            .await?
            .items;
        let (hours, path) = (hours(page_request), format!("{PATH}/{name}"));
        let href = |hours: i64| page_request.query.with(&path, "hours", Some(&hours.to_string()));
        let limits = Limits {
            memory: tenant.memory_mb.most.map(|most| most as f64),
            cpu: tenant.milli_cpus.most.map(|most| most as f64 / 10.0),
        };
        let usage = view.tenant_usage(&name).await?;
        Ok(TenantPage {
            quota: usage_bars(&tenant),
            usage: Usage::new(hours, &href, plots(&usage, limits, hours, page_request.now)),
            name: name.to_string(),
            title: tenant.display_name,
            email: tenant.email,
            columns: columns("name", None),
            rows: pods.iter().map(|line| lines::row(line, page_request.now)).collect(),
            events: events.iter().map(|event| lines::event(event, page_request.now)).collect(),
        })
    }
}

fn usage_bars(tenant: &TenantLine) -> [UsageBar; 3] {
    let TenantLine { pods, memory_mb, milli_cpus, .. } = tenant;
    quota((pods.taken, pods.most), (memory_mb.taken, memory_mb.most), (milli_cpus.taken, milli_cpus.most))
}

fn row(tenant: &TenantLine) -> TenantRow {
    TenantRow {
        name: tenant.name.to_string(),
        title: tenant.display_name.clone(),
        pods: tenant.pods.taken,
        ready: tenant.ready,
        tone: TenantRow::tone(tenant.ready, tenant.pods.taken),
        quota: usage_bars(tenant),
    }
}
