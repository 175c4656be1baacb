//! `agentpod tenants` and `agentpod adapters`: who there is and what they take, and which kinds of agents there are.

use std::process::ExitCode;

use anyhow::Result;

use super::{
    Output,
    backend::{Backend, Target},
    output::{self, plain},
};
use crate::store::view::{AdapterLine, QuotaLine, TenantLine};

/// `agentpod tenants`.
pub async fn tenants(place: Target, how: Output) -> Result<ExitCode> {
    let desk = Backend::open(place).await?;
    let tenants = desk.tenants().await;
    desk.close().await?;
    let tenants = tenants?;
    if how != Output::Text {
        output::data(how, &tenants)?;
        return Ok(ExitCode::SUCCESS);
    }
    let line = |tenant: &TenantLine| {
        vec![
            tenant.name.to_string(),
            plain(&tenant.display_name),
            of(tenant.pods, |pods| pods.to_string()),
            tenant.ready.to_string(),
            of(tenant.memory_mb, |memory| format!("{memory} MiB")),
            of(tenant.milli_cpus, |milli| (milli as f64 / 1000.0).to_string()),
            format!("{} MiB, {:.0} %", tenant.memory_used_mb, tenant.cpu_percent),
        ]
    };
    let head = ["TENANT", "NAME", "PODS", "READY", "MEMORY", "CPUS", "IN USE"];
    output::table(&head, tenants.iter().map(line).collect(), "no tenant is declared yet")?;
    Ok(ExitCode::SUCCESS)
}

/// `2 of 3`, or `2` where there is no limit.
fn of(quota: QuotaLine, written: impl Fn(i64) -> String) -> String {
    match quota.most {
        Some(most) => format!("{} of {}", written(quota.taken), written(most)),
        None => written(quota.taken),
    }
}

/// `agentpod adapters`.
pub async fn adapters(place: Target, how: Output) -> Result<ExitCode> {
    let desk = Backend::open(place).await?;
    let adapters = desk.adapters().await;
    desk.close().await?;
    let adapters = adapters?;
    if how != Output::Text {
        output::data(how, &adapters)?;
        return Ok(ExitCode::SUCCESS);
    }
    let line = |adapter: &AdapterLine| {
        vec![
            adapter.name.to_string(),
            plain(&adapter.title),
            plain(&adapter.image),
            adapter.port.to_string(),
            adapter.pods.len().to_string(),
            plain(&adapter.description),
        ]
    };
    let head = ["ADAPTER", "AGENT", "IMAGE", "PORT", "PODS", ""];
    output::table(&head, adapters.iter().map(line).collect(), "no adapter is in force yet")?;
    Ok(ExitCode::SUCCESS)
}
