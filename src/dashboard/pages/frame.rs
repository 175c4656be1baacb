//! The frame around every page: the tabs, the visitor, a message after a request.

use std::collections::BTreeMap;

use serde::Serialize;

use super::words::{Moment, Tone, sample_time};
use crate::core::report::phase::Phase;

/// The tabs: the last part of the URL, the title, and whether only people who see all tenants have it.
const TABS: [(&str, &str, bool); 7] = [
    ("", "Overview", false),
    ("pods", "Pods", false),
    ("tenants", "Tenants", false),
    ("events", "Events", false),
    ("adapters", "Adapters", true),
    ("source", "Source", true),
    ("settings", "Settings", true),
];

/// The frame of a page.
#[derive(Debug, Clone, Serialize)]
pub struct Frame {
    /// The window's title.
    pub(crate) title: String,
    /// The instance.
    pub(crate) instance: String,
    pub(crate) version: &'static str,
    /// `light` or `dark`, if the visitor chose; otherwise the system's.
    pub(crate) theme: Option<&'static str>,
    /// The tabs that the visitor may see.
    pub(crate) tabs: Vec<Tab>,
    pub(crate) person: Option<PageViewer>,
    /// The CSRF token for every form; empty if none is needed.
    pub(crate) csrf: String,
    /// Whether the visitor sees all tenants.
    pub(crate) sees_all: bool,
    /// Whether the visitor may make requests for the whole fleet.
    pub(crate) may_ask_for_all: bool,
    /// A message after a request.
    pub(crate) notice: Option<Notice>,
    /// When the page was rendered.
    pub(crate) now: Moment,
    /// The tone of each phase, for live changes.
    pub(crate) tones: BTreeMap<&'static str, Tone>,
}

/// The tone of each phase, by its name.
pub(crate) fn tones() -> BTreeMap<&'static str, Tone> {
    Phase::BY_URGENCY.map(|phase| (phase.as_str(), Tone::of_phase(phase))).into()
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct Tab {
    pub(crate) title: &'static str,
    pub(crate) href: String,
    /// Whether the page belongs to it.
    pub(crate) here: bool,
}

/// The visitor, as the frame shows them.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct PageViewer {
    pub(crate) name: String,
    pub(crate) role: &'static str,
    /// The only tenant that they see.
    pub(crate) tenant: Option<String>,
    /// Whether there is a session to end.
    pub(crate) can_sign_out: bool,
}

/// A message at the top of a page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Notice {
    /// Its tone.
    pub(crate) tone: Tone,
    /// Its text.
    pub(crate) text: String,
}

/// The tabs, with the page's own marked. A tenant's person has no tabs that cover all tenants.
pub(crate) fn tabs(here: &str, sees_all: bool) -> Vec<Tab> {
    let seen = TABS.iter().filter(|(_, _, is_everybodys)| sees_all || !is_everybodys);
    let href = |part: &str| if part.is_empty() { "/dashboard".to_owned() } else { format!("/dashboard/{part}") };
    seen.map(|(part, title, _)| Tab { title, href: href(part), here: *part == here }).collect()
}

impl Frame {
    /// A frame for samples, around a page of that tab.
    pub fn sample(title: &str, tab: &str) -> Self {
        Self {
            title: title.into(),
            instance: "agentpod".into(),
            version: env!("CARGO_PKG_VERSION"),
            theme: None,
            tabs: tabs(tab, true),
            person: Some(PageViewer { name: "alma".into(), role: "operator", tenant: None, can_sign_out: true }),
            csrf: "sample".into(),
            sees_all: true,
            may_ask_for_all: true,
            notice: None,
            now: sample_time(0),
            tones: tones(),
        }
    }
}
