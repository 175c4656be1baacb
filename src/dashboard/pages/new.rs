//! `/dashboard/pods/new`: from an adapter's schema to a form, and from the form to a manifest. It changes nothing by itself:
//! the visitor saves the manifest below the source, or commits it if that is enabled.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{
    PageContent,
    adapters::KnownSecret,
    fields::{Field, Filled, config, fields, sample_schema},
    problems::ProblemLine,
};
use crate::core::declare::manifest::API_VERSION;

/// The page for a new pod.
#[derive(Debug, Clone, Default, Serialize)]
pub struct NewPodPage {
    /// The adapters to choose from, while none is chosen.
    pub adapters: Vec<AdapterChoice>,
    /// The form, once one is chosen.
    pub form: Option<Form>,
    /// What was committed, afterwards.
    pub committed: Option<Committed>,
}

/// A committed manifest.
#[derive(Debug, Clone, Serialize)]
pub struct Committed {
    /// The pod, `TENANT/POD`.
    pub pod: String,
    /// The file, and the commit if there are commits.
    pub place: String,
    /// The source.
    pub origin: String,
}

/// An adapter to choose.
#[derive(Debug, Clone, Serialize)]
pub struct AdapterChoice {
    pub(crate) name: String,
    /// The agent's own name.
    pub(crate) title: String,
    /// One sentence about the agent.
    pub(crate) description: String,
    pub(crate) image: String,
}

/// The form, as filled in so far.
#[derive(Debug, Clone, Serialize)]
pub struct Form {
    pub(crate) adapter: String,
    /// The agent's own name.
    pub(crate) title: String,
    /// The existing tenants.
    pub(crate) tenants: Vec<String>,
    /// The domain of pods' host names.
    pub(crate) domain: String,
    pub(crate) tenant: String,
    /// The pod's name.
    pub(crate) name: String,
    /// The first label of its host name.
    pub(crate) subdomain: String,
    /// Whether to declare the tenant too.
    pub(crate) with_tenant: bool,
    /// `running` or `stopped`.
    pub(crate) state: String,
    /// The memory limit.
    pub(crate) memory: String,
    /// Its default.
    pub(crate) default_memory: String,
    /// The CPU limit.
    pub(crate) cpus: String,
    /// Its default.
    pub(crate) default_cpus: String,
    /// References to secrets, one per line.
    pub(crate) secrets: String,
    /// The secrets that the agent understands.
    pub(crate) known_secrets: Vec<KnownSecret>,
    /// The adapter's own settings.
    pub(crate) fields: Vec<Field>,
    /// The manifest so far.
    pub(crate) manifest: String,
    /// The result of the check, in a few words.
    pub(crate) verdict: String,
    /// What to do with it.
    pub(crate) advice: String,
    /// Its problems.
    pub(crate) problems: Vec<ProblemLine>,
    /// Where the visitor can commit it to, once it has no problems.
    pub(crate) commits_to: Option<String>,
}

/// The documents of the manifest.
pub(crate) fn documents(adapter: &str, schema: &Value, filled: &Filled) -> Vec<Value> {
    let mut documents = Vec::new();
    let (tenant, name) = (filled.text("tenant"), filled.text("name"));
    if filled.get("with-tenant").is_some() {
        documents.push(json!({"apiVersion": API_VERSION, "kind": "Tenant", "metadata": {"name": tenant}}));
    }
    let mut spec = Map::new();
    spec.insert("adapter".into(), adapter.into());
    spec.insert("subdomain".into(), filled.text("subdomain").into());
    if filled.get("state") == Some("stopped") {
        spec.insert("state".into(), "stopped".into());
    }
    let resources: Map<String, Value> = ["memory", "cpus"]
        .into_iter()
        .filter(|name| !filled.text(name).is_empty())
        .map(|name| (name.to_owned(), number_or_text(filled.text(name))))
        .collect();
    let parts =
        [("resources", resources), ("config", config(schema, filled)), ("secrets", secrets(filled.text("secrets")))];
    for (name, part) in parts {
        if !part.is_empty() {
            spec.insert(name.into(), part.into());
        }
    }
    documents.push(
        json!({"apiVersion": API_VERSION, "kind": "Pod", "metadata": {"name": name, "tenant": tenant}, "spec": spec}),
    );
    documents
}

pub(crate) fn number_or_text(text: &str) -> Value {
    text.parse::<i64>()
        .map(Value::from)
        .or_else(|_| text.parse::<f64>().map(Value::from))
        .unwrap_or_else(|_| text.into())
}

/// `NAME env VARIABLE` and `NAME file /PATH`, one per line. Anything else is taken as it is, so that the check reports it.
fn secrets(text: &str) -> Map<String, Value> {
    let line = |line: &str| {
        let (name, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let rest = rest.trim();
        let reference = match rest.split_once(char::is_whitespace) {
            Some((kind @ ("env" | "file"), place)) => json!({kind: place.trim()}),
            _ => rest.into(),
        };
        (name.trim_end_matches(':').to_owned(), reference)
    };
    text.lines().map(str::trim).filter(|line| !line.is_empty()).map(line).collect()
}

/// The manifest as text.
pub(crate) fn text(documents: &[Value]) -> String {
    let each: Vec<String> = documents.iter().map(crate::core::declare::document::write).collect();
    each.join("---\n")
}

/// The suggested file name.
pub(crate) fn file_name(filled: &Filled) -> String {
    let safe = |text: &str| {
        text.chars().filter(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || *c == '-').collect::<String>()
    };
    match (safe(filled.text("tenant")), safe(filled.text("name"))) {
        (tenant, name) if tenant.is_empty() || name.is_empty() => "pod.yaml".into(),
        (tenant, name) => format!("{tenant}-{name}.yaml"),
    }
}

impl Form {
    /// The form as filled in, not checked yet.
    pub(crate) fn of(adapter: &str, title: &str, schema: &Value, filled: &Filled) -> Self {
        let text = |name: &str| filled.text(name).to_owned();
        Self {
            adapter: adapter.into(),
            title: title.into(),
            tenants: Vec::new(),
            domain: String::new(),
            tenant: text("tenant"),
            name: text("name"),
            subdomain: text("subdomain"),
            with_tenant: filled.get("with-tenant").is_some(),
            state: text("state"),
            memory: text("memory"),
            default_memory: String::new(),
            cpus: text("cpus"),
            default_cpus: String::new(),
            secrets: text("secrets"),
            known_secrets: Vec::new(),
            fields: fields(schema, filled),
            manifest: self::text(&documents(adapter, schema, filled)),
            verdict: "Not checked yet".into(),
            advice: "Fill in tenant, pod and subdomain; problems with the manifest are shown here.".into(),
            problems: Vec::new(),
            commits_to: None,
        }
    }

    /// The form with the problems of its manifest.
    #[must_use]
    pub(crate) fn checked(mut self, problems: Vec<ProblemLine>, file: &str) -> Self {
        self.verdict = match problems.len() {
            0 => "No problems".into(),
            1 => "1 problem".into(),
            many => format!("{many} problems"),
        };
        self.advice = format!("Save it as {file} below the source; AgentPod picks it up by itself.");
        self.problems = problems;
        self
    }
}

impl PageContent for NewPodPage {
    const TEMPLATE: &'static str = "new.html";
    const TAB: &'static str = "pods";

    fn title(&self) -> String {
        "New pod".into()
    }

    fn sample() -> Self {
        let filled = [
            ("tenant", "alice"),
            ("name", "assistant"),
            ("subdomain", "alice"),
            ("memory", "2Gi"),
            ("secrets", "ANTHROPIC_API_KEY file /etc/agentpod/alice.key"),
            ("config.maxTurns", "40"),
            ("config.telegram.allowFrom", "12345678"),
        ];
        let filled = Filled(filled.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
        let problem = "alice-assistant.yaml:8:14: the subdomain \"alice\" is used twice\n  8 |   subdomain: alice\n    |              ^^^^^\n  help: alice.yaml:12 uses it too; choose another";
        let form = Form::of("openclaw", "OpenClaw", &sample_schema(), &filled)
            .checked(vec![ProblemLine::from_text(problem)], &file_name(&filled));
        Self {
            form: Some(Form {
                tenants: vec!["alice".into(), "bob".into()],
                domain: "agents.example.com".into(),
                default_memory: "2Gi".into(),
                default_cpus: "2".into(),
                known_secrets: vec![KnownSecret {
                    name: "ANTHROPIC_API_KEY".into(),
                    text: "The key of the models.".into(),
                }],
                ..form
            }),
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_says_what_was_chosen_and_nothing_else() {
        let NewPodPage { form: Some(form), .. } = NewPodPage::sample() else { panic!("the sample has a form") };
        assert_eq!(
            form.manifest,
            "apiVersion: agentpod.dev/v1\nkind: Pod\nmetadata:\n  name: assistant\n  tenant: alice\nspec:\n  adapter: openclaw\n  \
             subdomain: alice\n  resources:\n    memory: 2Gi\n  config:\n    maxTurns: 40\n    telegram:\n      allowFrom:\n      - \"12345678\"\n  \
             secrets:\n    ANTHROPIC_API_KEY:\n      file: /etc/agentpod/alice.key\n"
        );
    }

    #[test]
    fn a_files_name_holds_nothing_that_could_lead_elsewhere() {
        let name = |tenant: &str, name: &str| {
            file_name(&Filled(vec![("tenant".into(), tenant.into()), ("name".into(), name.into())]))
        };
        assert_eq!(
            [name("alice", "chat"), name("../a", "b/c\r\n"), name("", "x")],
            ["alice-chat.yaml", "a-bc.yaml", "pod.yaml"]
        );
    }
}
