//! `agentpod tenants` and `agentpod adapters`: the tenants with what their pods use, and the kinds of agents.

use std::process::ExitCode;

use anyhow::Result;

use super::{
    Output,
    backend::{Backend, Target},
    output::{self, sanitize},
};
use crate::store::view::{AdapterLine, QuotaLine, TenantLine};

/// `agentpod tenants`.
pub(crate) async fn tenants(target: Target, format: Output) -> Result<ExitCode> {
    let tenants = Backend::with(target, async |backend| backend.tenants().await).await?;
    if format != Output::Text {
        output::data(format, &tenants)?;
        return Ok(ExitCode::SUCCESS);
    }
    let line = |tenant: &TenantLine| {
        vec![
            tenant.name.to_string(),
            sanitize(&tenant.display_name),
            quota(tenant.pods, |pods| pods.to_string()),
            tenant.ready.to_string(),
            quota(tenant.memory_mb, |memory| format!("{memory} MiB")),
            quota(tenant.milli_cpus, |milli| (milli as f64 / 1000.0).to_string()),
            format!("{} MiB, {:.0} %", tenant.memory_used_mb, tenant.cpu_percent),
        ]
    };
    let head = ["TENANT", "NAME", "PODS", "READY", "MEMORY", "CPUS", "IN USE"];
    output::table(&head, tenants.iter().map(line).collect(), "no tenant is declared yet")?;
    Ok(ExitCode::SUCCESS)
}

/// `2 of 3`, or `2` where there is no limit.
fn quota(quota: QuotaLine, format: impl Fn(i64) -> String) -> String {
    match quota.most {
        Some(most) => format!("{} of {}", format(quota.taken), format(most)),
        None => format(quota.taken),
    }
}

/// `agentpod adapters`.
pub(crate) async fn adapters(target: Target, format: Output) -> Result<ExitCode> {
    let adapters = Backend::with(target, async |backend| backend.adapters().await).await?;
    if format != Output::Text {
        output::data(format, &adapters)?;
        return Ok(ExitCode::SUCCESS);
    }
    let line = |adapter: &AdapterLine| {
        vec![
            adapter.name.to_string(),
            sanitize(&adapter.title),
            sanitize(&adapter.image),
            adapter.port.to_string(),
            adapter.pods.len().to_string(),
            sanitize(&adapter.description),
        ]
    };
    let head = ["ADAPTER", "AGENT", "IMAGE", "PORT", "PODS", ""];
    output::table(&head, adapters.iter().map(line).collect(), "no adapter is in force yet")?;
    Ok(ExitCode::SUCCESS)
}
