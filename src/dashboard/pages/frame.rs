//! What stands around every page: the tabs, who looks at it, a message about what they just asked for.

use std::collections::BTreeMap;

use serde::Serialize;

use super::words::{Moment, Tone, sample_time};
use crate::core::report::phase::Phase;

/// The tabs: the last part of the address, the title, and whether it is about what belongs to no tenant alone.
const TABS: [(&str, &str, bool); 6] = [
    ("", "Overview", false),
    ("pods", "Pods", false),
    ("tenants", "Tenants", false),
    ("adapters", "Adapters", true),
    ("source", "Source", true),
    ("settings", "Settings", true),
];

/// What stands around a page.
#[derive(Debug, Clone, Serialize)]
pub struct Frame {
    /// What the window is called.
    pub title: String,
    /// Which AgentPod this is.
    pub instance: String,
    /// Its version.
    pub version: &'static str,
    /// `light` or `dark`, if somebody chose; else the system does.
    pub theme: Option<&'static str>,
    /// The tabs they may see.
    pub tabs: Vec<Tab>,
    /// Who looks at it.
    pub person: Option<PageViewer>,
    /// What every form must carry; empty where none is asked for.
    pub csrf: String,
    /// Whether they may see what belongs to no tenant alone.
    pub sees_all: bool,
    /// Whether they may ask for what concerns everybody.
    pub may_ask_for_all: bool,
    /// What became of what they just did.
    pub notice: Option<Notice>,
    /// When the page was made.
    pub now: Moment,
    /// The tone of each phase, for what changes while the page is open.
    pub tones: BTreeMap<&'static str, Tone>,
}

/// The tone of each phase, by its name.
pub fn tones() -> BTreeMap<&'static str, Tone> {
    Phase::BY_URGENCY.map(|phase| (phase.as_str(), Tone::of_phase(phase))).into()
}

/// A tab.
#[derive(Debug, Clone, Serialize)]
pub struct Tab {
    /// Its title.
    pub title: &'static str,
    /// Its address.
    pub href: String,
    /// Whether the page belongs to it.
    pub here: bool,
}

/// Who looks at a page.
#[derive(Debug, Clone, Serialize)]
pub struct PageViewer {
    /// Their name.
    pub name: String,
    /// Their role.
    pub role: &'static str,
    /// The one tenant they may see.
    pub tenant: Option<String>,
    /// Whether there is a session to end.
    pub can_leave: bool,
}

/// A message at the top of a page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Notice {
    /// How it is.
    pub tone: Tone,
    /// What it says.
    pub text: String,
}

/// The tabs, with the one a page belongs to marked. Who sees one tenant only has no tab for what belongs to all.
pub fn tabs(here: &str, sees_all: bool) -> Vec<Tab> {
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
            person: Some(PageViewer { name: "alma".into(), role: "operator", tenant: None, can_leave: true }),
            csrf: "sample".into(),
            sees_all: true,
            may_ask_for_all: true,
            notice: None,
            now: sample_time(0),
            tones: tones(),
        }
    }
}
