//! `/dashboard/settings`: the settings this AgentPod was started with, and findings about them.

use std::{net::IpAddr, time::Duration};

use tokio::net::TcpStream;

use super::{Handlers, PageRequest};
use crate::{
    core::decide::engine_commands::PRUNE_IMAGES,
    dashboard::{
        pages::{
            settings::{Finding, Group, ProxyConfig, SettingsPage},
            words::{Fact, Moment, Tone, count, mebibytes},
        },
        refusal::Refusal,
    },
    reconcile::DaemonRole,
    store::{Account, view::HostLine},
};

/// How long the proxy may take to answer.
const PROXY_TIMEOUT: Duration = Duration::from_millis(700);
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
        let (accounts, tokens) = (self.api.store.accounts().await?, self.api.store.api_tokens(None).await?);
        let or = |value: &Option<String>, otherwise: &str| value.clone().unwrap_or_else(|| otherwise.to_owned());
        let yes = |is: bool| if is { "yes" } else { "no" };
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
                "Source",
                vec![
                    Fact::code("From", settings.source.clone()),
                    Fact::words(
                        "Changes on the dashboard",
                        if settings.edits { "are committed" } else { "off (--edits off)" },
                    ),
                    Fact::words("Webhook", yes(settings.webhook)),
                ],
            ),
            group(
                "Access",
                vec![
                    Fact::code("Listens on", settings.listen.clone()),
                    Fact::code("Dashboard", or(&settings.dashboard_url, "where it listens")),
                    Fact::words("Accounts", sign_ins(&accounts)),
                    Fact::words("API tokens", tokens.len().to_string()),
                    Fact::words(
                        "Trusted proxies",
                        if settings.trusted_proxies.is_empty() {
                            "none".into()
                        } else {
                            settings.trusted_proxies.join(", ")
                        },
                    ),
                    Fact::words("Proxy signs people in", or(&settings.forward_auth_header, "no")),
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
                "Limits",
                vec![
                    Fact::words(
                        "Removals at once",
                        format!("{} pods, or {} % of all", settings.max_removals, settings.max_removals_percent),
                    ),
                    Fact::words("A removed pod's container", span(settings.removal_grace_seconds)),
                    Fact::words("Events", count(settings.events_kept_days, "day")),
                    Fact::words("Usage", count(settings.usage_kept_hours, "hour")),
                    Fact::words("Volumes", "until somebody purges them"),
                    Fact::words("Database", if settings.private_database { "private" } else { "external" }),
                ],
            ),
            group("Versions", versions),
        ];
        let mut findings = self.findings(overview.host.as_ref(), overview.written_at.is_some());
        findings.extend(proxy_finding(&settings.proxy_address).await);
        Ok(SettingsPage {
            groups,
            proxy: ProxyConfig::of(&settings.instance, &settings.network, &settings.proxy_address),
            findings,
        })
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

/// Who can sign in, as text.
fn sign_ins(accounts: &[Account]) -> String {
    let enabled = accounts.iter().filter(|account| account.is_enabled()).count();
    match accounts.len() {
        0 => "none: whoever is on this machine is in".into(),
        all if all == enabled => all.to_string(),
        all => format!("{all}, {} of them disabled", all - enabled),
    }
}

/// What is wrong with the proxy, as far as it can be seen from here: whether anything listens at its address.
async fn proxy_finding(address: &str) -> Option<Finding> {
    let address: IpAddr = address.parse().ok()?;
    let answers = async |port: u16| {
        let connected = tokio::time::timeout(PROXY_TIMEOUT, TcpStream::connect((address, port))).await;
        connected.is_ok_and(|connected| connected.is_ok())
    };
    let (http, https) = tokio::join!(answers(80), answers(443));
    (!(http || https)).then(|| Finding {
        tone: Tone::Warn,
        what: format!("Nothing answers at {address}, where pods expect their proxy: no pod can be reached by its URL."),
        help: Some("Start the proxy with the configuration below; it needs exactly this address.".into()),
    })
}

fn span(seconds: i64) -> String {
    match seconds {
        seconds if seconds % 3600 == 0 && seconds > 0 => format!("{} h", seconds / 3600),
        seconds if seconds % 60 == 0 => format!("{} min", seconds / 60),
        seconds => format!("{seconds} s"),
    }
}
