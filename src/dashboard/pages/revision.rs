//! `/dashboard/revisions/ID`: what a revision changed, file by file and pod by pod.

use serde::Serialize;

use super::{
    PageContent,
    diff::DiffPage,
    problems::ProblemLine,
    words::{Badge, Fact, RevisionMark, Tone, sample_time},
};

/// The page of a revision.
#[derive(Debug, Clone, Serialize)]
pub struct RevisionPage {
    pub(crate) mark: RevisionMark,
    /// Whether it was accepted.
    pub(crate) look: Badge,
    pub(crate) facts: Vec<Fact>,
    /// What is wrong with it, if it was rejected.
    pub(crate) problems: Vec<ProblemLine>,
    /// What it is compared with, if it is.
    pub(crate) against: Option<RevisionMark>,
    /// Why it is not compared.
    pub(crate) note: String,
    /// Which pods differ.
    pub(crate) pods: Vec<ChangedPod>,
    /// Why the pods are not compared.
    pub(crate) pods_note: String,
    /// Which files differ.
    pub(crate) files: Vec<FileDiff>,
    /// How many more differ than are shown.
    pub(crate) more: usize,
}

/// A pod that a revision changed.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ChangedPod {
    pub(crate) id: String,
    /// What becomes of it, like `gets a new container`.
    pub(crate) change: String,
}

/// A file that a revision changed.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct FileDiff {
    pub(crate) path: String,
    /// `added`, `removed` or `changed`.
    pub(crate) change: &'static str,
    /// The difference; absent for files that are not text, and for viewers.
    pub(crate) diff: Option<DiffPage>,
}

impl PageContent for RevisionPage {
    const TEMPLATE: &'static str = "revision.html";
    const TAB: &'static str = "source";

    fn title(&self) -> String {
        format!("Revision {}", self.mark.short)
    }

    fn sample() -> Self {
        let before = "apiVersion: agentpod.dev/v1\nkind: Pod\nmetadata: {name: assistant, tenant: alice}\nspec:\n  adapter: openclaw\n  subdomain: alice\n";
        Self {
            mark: RevisionMark::of(12, "8e02b7713fd5c0"),
            look: Badge::new("accepted", Tone::Good),
            facts: vec![
                Fact::code("From", "/srv/fleet/manifests"),
                Fact::at("Accepted", sample_time(690)),
                Fact::at("Synced", sample_time(680)),
            ],
            problems: Vec::new(),
            against: Some(RevisionMark::of(11, "77a1e0d3b94411")),
            note: String::new(),
            pods: vec![
                ChangedPod { id: "alice/assistant".into(), change: "gets a new container".into() },
                ChangedPod { id: "bob/chat".into(), change: "is added".into() },
            ],
            pods_note: String::new(),
            files: vec![
                FileDiff {
                    path: "alice.yaml".into(),
                    change: "changed",
                    diff: Some(DiffPage::of(before, &format!("{before}  resources: {{memory: 3Gi}}\n"))),
                },
                FileDiff { path: "bob.yaml".into(), change: "added", diff: Some(DiffPage::of("", before)) },
            ],
            more: 0,
        }
    }
}
