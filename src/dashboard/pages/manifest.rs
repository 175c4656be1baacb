//! `/dashboard/pods/T/P/manifest`: how a pod is declared, and the forms that change or remove it. A change is shown as a
//! diff first, and committed only from there.

use serde::Serialize;

use super::{
    PageContent,
    diff::DiffPage,
    fields::{Field, Filled, fields, sample_schema},
    problems::ProblemLine,
    words::PodName,
};

/// The page of a pod's manifest.
#[derive(Debug, Clone, Serialize)]
pub struct ManifestPage {
    pub(crate) pod: PodName,
    /// The file and the line on which it begins.
    pub(crate) place: String,
    /// Its own lines.
    pub(crate) text: String,
    /// A mark that changes with the file.
    pub(crate) mark: String,
    /// The form to change it; absent for an adapter that is unknown.
    pub(crate) form: Option<EditForm>,
    /// Where changes can be committed to; absent: they are made by hand.
    pub(crate) commits_to: Option<String>,
    /// A change that was requested and is not committed.
    pub(crate) preview: Option<EditPreview>,
    /// A change that was committed.
    pub(crate) committed: Option<CommittedEdit>,
}

/// The form to change a manifest.
#[derive(Debug, Clone, Serialize)]
pub struct EditForm {
    /// `running` or `stopped`.
    pub(crate) state: String,
    pub(crate) memory: String,
    pub(crate) default_memory: String,
    pub(crate) cpus: String,
    pub(crate) default_cpus: String,
    /// The adapter's own settings.
    pub(crate) fields: Vec<Field>,
}

/// What a change would do.
#[derive(Debug, Clone, Serialize)]
pub struct EditPreview {
    pub(crate) title: String,
    /// The difference, if it can be made.
    pub(crate) diff: Option<DiffPage>,
    /// The same as a patch, to be applied by hand.
    pub(crate) patch: String,
    /// Why it cannot be made.
    pub(crate) problems: Vec<ProblemLine>,
    /// The form's fields, to be sent again with the commit.
    pub(crate) sent: Vec<(String, String)>,
    /// Whether it removes the pod.
    pub(crate) removes: bool,
}

/// A committed change.
#[derive(Debug, Clone, Serialize)]
pub struct CommittedEdit {
    pub(crate) title: String,
    /// The file, and the commit if there are commits.
    pub(crate) place: String,
}

impl PageContent for ManifestPage {
    const TEMPLATE: &'static str = "manifest.html";
    const TAB: &'static str = "pods";

    fn title(&self) -> String {
        format!("Manifest of {}", self.pod.id)
    }

    fn sample() -> Self {
        let before = "# Alice's assistant\napiVersion: agentpod.dev/v1\nkind: Pod\nmetadata: {name: assistant, tenant: alice}\nspec:\n  adapter: openclaw\n  subdomain: alice\n  config:\n    model: anthropic/claude-sonnet-4-6  # the usual one\n";
        let after = before.replace("claude-sonnet-4-6 ", "claude-opus-4-8 ");
        Self {
            pod: PodName::new("alice", "assistant"),
            place: "alice.yaml, line 2".into(),
            text: before.into(),
            mark: "sample".into(),
            form: Some(EditForm {
                state: "running".into(),
                memory: "2Gi".into(),
                default_memory: "2Gi".into(),
                cpus: String::new(),
                default_cpus: "2".into(),
                fields: fields(&sample_schema(), &Filled::default()),
            }),
            commits_to: Some("https://forge.example/agents.git@main".into()),
            preview: Some(EditPreview {
                title: "This would change alice.yaml".into(),
                diff: Some(DiffPage::of(before, &after)),
                patch: String::new(),
                problems: Vec::new(),
                sent: vec![("what".into(), "form".into())],
                removes: false,
            }),
            committed: None,
        }
    }
}
