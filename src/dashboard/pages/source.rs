//! `/dashboard/source`: revisions, what is wrong with a rejected one, and plans that wait for approval.

use serde::Serialize;

use super::{
    Page,
    problems::ProblemLine,
    words::{Badge, Moment, RevisionMark, Tone, sample_time},
};

/// The source.
#[derive(Debug, Clone, Serialize)]
pub struct SourcePage {
    /// How it is.
    pub source: SourceCard,
    /// Plans that wait for approval.
    pub held: Vec<HeldPlan>,
    /// What is wrong with the newest revision.
    pub problems: Vec<ProblemLine>,
    /// Revisions, newest first.
    pub revisions: Vec<RevisionRow>,
    /// Where the older ones are.
    pub older: Option<String>,
}

/// Where manifests come from and how far they got.
#[derive(Debug, Clone, Serialize)]
pub struct SourceCard {
    /// The folder or repository.
    pub origin: String,
    /// How it is, in a word.
    pub look: Badge,
    /// Fetched, accepted, applied.
    pub steps: Vec<SourceStep>,
}

/// How far a revision got.
#[derive(Debug, Clone, Serialize)]
pub struct SourceStep {
    /// `Fetched`, `Accepted`, `Applied`.
    pub name: &'static str,
    /// Which revision.
    pub mark: Option<RevisionMark>,
    /// When.
    pub at: Option<Moment>,
}

/// A plan that waits for approval.
#[derive(Debug, Clone, Serialize)]
pub struct HeldPlan {
    /// Its hash.
    pub hash: String,
    /// Why it waits.
    pub why: String,
    /// Since when.
    pub since: Moment,
    /// The pods it would remove.
    pub pods: Vec<String>,
    /// Who approved it already.
    pub approved: Option<Approval>,
}

/// Who approved a plan.
#[derive(Debug, Clone, Serialize)]
pub struct Approval {
    /// Who.
    pub by: String,
    /// When.
    pub at: Moment,
}

/// A revision.
#[derive(Debug, Clone, Serialize)]
pub struct RevisionRow {
    /// Its number.
    pub id: i64,
    /// Its number and hash.
    pub mark: RevisionMark,
    /// The verdict on it.
    pub look: Badge,
    /// Where it came from.
    pub origin: String,
    /// When it was fetched.
    pub fetched: Moment,
    /// When it was accepted.
    pub accepted: Option<Moment>,
    /// When everything was first as it says.
    pub applied: Option<Moment>,
    /// What is wrong with it.
    pub problems: Vec<ProblemLine>,
}

impl SourceCard {
    /// One for samples.
    pub fn sample() -> Self {
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
                step("Applied", 12, "8e02b7713fd5c0", 680),
            ],
        }
    }
}

impl Page for SourcePage {
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
        let row = |id, hash: &str, seconds: i64, accepted: bool| RevisionRow {
            id,
            mark: RevisionMark::of(id, hash),
            look: if accepted { Badge::new("accepted", Tone::Good) } else { Badge::new("rejected", Tone::Bad) },
            origin: "/srv/fleet/manifests".into(),
            fetched: sample_time(seconds),
            accepted: accepted.then(|| sample_time(seconds)),
            applied: accepted.then(|| sample_time(seconds - 10)),
            problems: if accepted { Vec::new() } else { problems.clone() },
        };
        Self {
            source: SourceCard::sample(),
            held: vec![HeldPlan {
                hash: "5d0c41aa90f3".into(),
                why: "It would remove 9 of 48 pods at once, more than is done without asking.".into(),
                since: sample_time(300),
                pods: ["hana/one", "hana/two", "ivan/desk", "ivan/chat"].map(str::to_owned).into(),
                approved: None,
            }],
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
