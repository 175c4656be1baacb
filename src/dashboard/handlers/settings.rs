//! `/dashboard/settings`: the settings this AgentPod was started with, and findings about them.

use super::{Handlers, PageRequest};
use crate::{
    core::decide::engine_commands::PRUNE_IMAGES,
    dashboard::{
        pages::{
            settings::{Finding, Group, SettingsPage},
            words::{Fact, Moment, Tone, count, mebibytes},
        },
        refusal::Refusal,
    },
    reconcile::DaemonRole,
    store::view::HostLine,
};

/// How full a disk may be before it is reported, in percent.
const FULL: i64 = 85;

impl Handlers {
    pub(crate) async fn settings(&self, page_request: &PageRequest) -> Result<SettingsPage, Refusal> {
        page_request.visitor.needs(page_request.visitor.person.sees_all())?;
        let overview = self.api.store.view(&page_request.visitor.person).overview().await?;
        let settings = &self.api.settings;
        let group = |name: &str, facts| Group { name: name.into(), facts };
        let role = self.api.view.borrow().role;
        let mut versions = vec![
            Fact::words("AgentPod", env!("CARGO_PKG_VERSION")),
            Fact::words("Role", if role == DaemonRole::Active { "active" } else { "standby" }),
        ];
        if let Some(host) = &overview.host {
            versions.push(Fact::words("Container engine", host.engine.clone()));
            versions.push(Fact::words(
                "Machine",
                format!("{}, {} processors, {}", host.node, host.cpus, mebibytes(host.memory_mb as f64)),
            ));
            versions.push(Fact::at("Measured", Moment::new(host.measured_at, page_request.now)));
        }
        let wildcard = || "a wildcard certificate of the proxy".to_owned();
        let groups = vec![
            group(
                "Site",
                vec![
                    Fact::code("Instance", settings.instance.clone()),
                    Fact::code("Domain", settings.domain.clone()),
                    Fact::code("A pod answers at", settings.example_url.clone()),
                    Fact::code("Entry point", settings.entry_point.clone()),
                    Fact::words("Certificates", settings.cert_resolver.clone().unwrap_or_else(wildcard)),
                ],
            ),
            group(
                "Network",
                vec![
                    Fact::code("Name", settings.network.clone()),
                    Fact::code("Addresses", settings.network_subnet.clone()),
                    Fact::code("Proxy", settings.proxy_address.clone()),
                ],
            ),
            group(
                "Retention",
                vec![
                    Fact::words("A removed pod's container", span(settings.removal_grace_seconds)),
                    Fact::words("Events", count(settings.events_kept_days, "day")),
                    Fact::words("Usage", count(settings.usage_kept_hours, "hour")),
                    Fact::words("Volumes", "until somebody purges them"),
                    Fact::words("Database", if settings.private_database { "private" } else { "external" }),
                ],
            ),
            group("Versions", versions),
        ];
        Ok(SettingsPage { groups, findings: self.findings(overview.host.as_ref(), overview.written_at.is_some()) })
    }

    /// What keeps AgentPod from working, and what soon may.
    fn findings(&self, host: Option<&HostLine>, has_written: bool) -> Vec<Finding> {
        let finding = |tone, what: String, help: Option<&str>| Finding { tone, what, help: help.map(str::to_owned) };
        let overview = self.api.view.borrow();
        let mut findings: Vec<Finding> =
            overview.unready_reasons().into_iter().map(|why| finding(Tone::Bad, why, None)).collect();
        if overview.role == DaemonRole::Standby {
            findings.push(finding(
                Tone::Idle,
                "It is a standby: another AgentPod is active, or the database has not answered yet.".into(),
                None,
            ));
        }
        if !has_written {
            findings.push(finding(Tone::Idle, "Nothing has been stored in this database yet.".into(), None));
        }
        let disk = host.and_then(|host| host.disk_mb.zip(host.disk_free_mb)).filter(|(all, _)| *all > 0);
        if let Some((all, free)) = disk.filter(|(all, free)| (all - free) * 100 / all >= FULL) {
            let what = format!(
                "The disk with the engine's data has {} of {} left.",
                mebibytes(free as f64),
                mebibytes(all as f64)
            );
            let help = format!("{PRUNE_IMAGES} removes images that no container uses");
            findings.push(finding(Tone::Warn, what, Some(&help)));
        }
        if let Some(host) = host.filter(|host| host.pods_memory_limit_mb > host.memory_mb) {
            let (promised, all) = (mebibytes(host.pods_memory_limit_mb as f64), mebibytes(host.memory_mb as f64));
            let help = "if all pods use it at once, the machine kills some of them; lower the limits or add memory";
            findings.push(finding(
                Tone::Warn,
                format!("Pods may use {promised} of memory in total, and the machine has {all}."),
                Some(help),
            ));
        }
        findings
    }
}

fn span(seconds: i64) -> String {
    match seconds {
        seconds if seconds % 3600 == 0 && seconds > 0 => format!("{} h", seconds / 3600),
        seconds if seconds % 60 == 0 => format!("{} min", seconds / 60),
        seconds => format!("{seconds} s"),
    }
}
