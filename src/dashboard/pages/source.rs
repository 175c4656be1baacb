//! `/dashboard/source`: revisions, problems of a rejected one, and plans that wait for approval.

use serde::Serialize;

use super::{
    PageContent,
    problems::ProblemLine,
    words::{Badge, Moment, RevisionMark, Tone, sample_time},
};

/// The page of the source.
#[derive(Debug, Clone, Serialize)]
pub struct SourcePage {
    pub(crate) source: SourceCard,
    /// A plan that waits for approval.
    pub(crate) held: Option<HeldPlan>,
    /// Problems of the newest revision.
    pub(crate) problems: Vec<ProblemLine>,
    /// Revisions, newest first.
    pub(crate) revisions: Vec<RevisionEntry>,
    /// The URL of older ones.
    pub(crate) older: Option<String>,
}

/// The source and how far its revisions came.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct SourceCard {
    /// The folder or repository.
    pub(crate) origin: String,
    /// Its state, in a word.
    pub(crate) look: Badge,
    /// Fetched, accepted, synced.
    pub(crate) steps: Vec<SourceStep>,
    /// How the pods are, in a word; whether a revision is synced says nothing about that.
    pub(crate) health: Badge,
    /// How many pods need attention, as text.
    pub(crate) unhealthy: Option<String>,
}

/// How far a revision came.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct SourceStep {
    /// `Fetched`, `Accepted` or `Synced`.
    pub(crate) name: &'static str,
    pub(crate) mark: Option<RevisionMark>,
    pub(crate) at: Option<Moment>,
}

/// A plan that waits for approval.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct HeldPlan {
    pub(crate) hash: String,
    /// What waits, as a title.
    pub(crate) title: String,
    /// Since when.
    pub(crate) since: Moment,
    /// The pods it would remove.
    pub(crate) pods: Vec<String>,
    /// How many more there are.
    pub(crate) more: i64,
    /// Who has approved it.
    pub(crate) approved: Option<Approval>,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct Approval {
    pub(crate) by: String,
    pub(crate) at: Moment,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct RevisionEntry {
    pub(crate) id: i64,
    /// Its number and hash.
    pub(crate) mark: RevisionMark,
    /// Whether it was accepted.
    pub(crate) look: Badge,
    /// Where it came from.
    pub(crate) origin: String,
    pub(crate) fetched: Moment,
    pub(crate) accepted: Option<Moment>,
    /// When nothing was left to do for it, for the first time.
    pub(crate) synced: Option<Moment>,
    pub(crate) problems: Vec<ProblemLine>,
}

impl HeldPlan {
    /// A sample.
    pub(crate) fn sample() -> Self {
        Self {
            hash: "5d0c41aa90f3".into(),
            title: "The removal of 9 pods waits for approval".into(),
            since: sample_time(300),
            pods: ["hana/one", "hana/two", "ivan/desk", "ivan/chat"].map(str::to_owned).into(),
            more: 5,
            approved: None,
        }
    }
}

impl SourceCard {
    /// Samples.
    pub(crate) fn sample() -> Self {
        let step = |name, id, hash: &str, seconds| SourceStep {
            name,
            mark: Some(RevisionMark::of(id, hash)),
            at: Some(sample_time(seconds)),
        };
        Self {
            origin: "/srv/fleet/manifests".into(),
            look: Badge::new("refused", Tone::Warn),
            steps: vec![
                step("Fetched", 13, "c41f09d2aa71b3", 95),
                step("Accepted", 12, "8e02b7713fd5c0", 690),
                step("Synced", 12, "8e02b7713fd5c0", 680),
            ],
            health: Badge::new("degraded", Tone::Bad),
            unhealthy: Some("3 pods".into()),
        }
    }
}

impl PageContent for SourcePage {
    const TEMPLATE: &'static str = "source.html";
    const TAB: &'static str = "source";

    fn title(&self) -> String {
        "Source".into()
    }

    fn sample() -> Self {
        let problem = ProblemLine::from_text(
            "bob.yaml:9:14: the subdomain \"alice\" is used twice\n  9 |   subdomain: alice\n    |              ^^^^^\n  help: alice.yaml:12 uses it too; choose another",
        );
        let problems = vec![ProblemLine::sample(), problem];
        let row = |id, hash: &str, seconds: i64, accepted: bool| RevisionEntry {
            id,
            mark: RevisionMark::of(id, hash),
            look: if accepted { Badge::new("accepted", Tone::Good) } else { Badge::new("rejected", Tone::Bad) },
            origin: "/srv/fleet/manifests".into(),
            fetched: sample_time(seconds),
            accepted: accepted.then(|| sample_time(seconds)),
            synced: accepted.then(|| sample_time(seconds - 10)),
            problems: if accepted { Vec::new() } else { problems.clone() },
        };
        Self {
            source: SourceCard::sample(),
            held: Some(HeldPlan::sample()),
            problems: problems.clone(),
            revisions: vec![
                row(13, "c41f09d2aa71b3", 95, false),
                row(12, "8e02b7713fd5c0", 690, true),
                row(11, "77a1e0d3b94411", 86_000, true),
                row(10, "09bc3d1f77e2aa", 172_900, true),
            ],
            older: Some("/dashboard/source?after=sample".into()),
        }
    }
}
