//! `/dashboard/pods/new`: from an adapter's schema to a form, and from the form to a manifest. It changes nothing by itself:
//! the manifest is for somebody to save where the source reads it, or to commit, where that is wished.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{
    Page,
    fields::{Field, Filled, config, fields, sample_schema},
    problems::ProblemLine,
};
use crate::core::declare::manifest::API_VERSION;

/// Making a manifest.
#[derive(Debug, Clone, Default, Serialize)]
pub struct NewPodPage {
    /// What can be chosen from, while nothing is chosen.
    pub adapters: Vec<AdapterChoice>,
    /// The form, once it is.
    pub form: Option<Form>,
    /// What was committed, when that is done.
    pub committed: Option<Committed>,
}

/// A manifest that is in the source now.
#[derive(Debug, Clone, Serialize)]
pub struct Committed {
    /// The pod, `TENANT/POD`.
    pub pod: String,
    /// The file, and the commit where there are commits.
    pub place: String,
    /// The source.
    pub origin: String,
}

/// A kind of agent to choose.
#[derive(Debug, Clone, Serialize)]
pub struct AdapterChoice {
    /// The adapter's name.
    pub name: String,
    /// The agent's own name.
    pub title: String,
    /// One sentence about the agent.
    pub description: String,
    /// Its image.
    pub image: String,
}

/// The form, as far as it is filled in.
#[derive(Debug, Clone, Serialize)]
pub struct Form {
    /// The adapter's name.
    pub adapter: String,
    /// The agent's own name.
    pub title: String,
    /// The tenants there are.
    pub tenants: Vec<String>,
    /// What pods' host names end with.
    pub domain: String,
    /// The tenant.
    pub tenant: String,
    /// The pod's name.
    pub name: String,
    /// The first label of its host name.
    pub subdomain: String,
    /// Whether the tenant is to be declared too.
    pub with_tenant: bool,
    /// `running` or `stopped`.
    pub state: String,
    /// Memory.
    pub memory: String,
    /// What it is when left empty.
    pub default_memory: String,
    /// Processors.
    pub cpus: String,
    /// What they are when left empty.
    pub default_cpus: String,
    /// References to secrets, one a line.
    pub secrets: String,
    /// The adapter's own settings.
    pub fields: Vec<Field>,
    /// The manifest so far.
    pub manifest: String,
    /// The verdict on it, in a few words.
    pub verdict: String,
    /// What to do with it.
    pub advice: String,
    /// What is wrong with it.
    pub problems: Vec<ProblemLine>,
    /// Where it can be committed to by who looks, once nothing is wrong with it.
    pub commits_to: Option<String>,
}

/// The manifest's documents, as they were filled in.
pub fn documents(adapter: &str, schema: &Value, filled: &Filled) -> Vec<Value> {
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

fn number_or_text(text: &str) -> Value {
    text.parse::<i64>()
        .map(Value::from)
        .or_else(|_| text.parse::<f64>().map(Value::from))
        .unwrap_or_else(|_| text.into())
}

/// `NAME env VARIABLE` and `NAME file /PATH`, one a line. What is written otherwise goes in as it is, so that the check says
/// what is wrong with it.
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
pub fn text(documents: &[Value]) -> String {
    let each: Vec<String> = documents.iter().map(crate::core::declare::document::write).collect();
    each.join("---\n")
}

/// What the file should be called.
pub fn file_name(filled: &Filled) -> String {
    let safe = |text: &str| {
        text.chars().filter(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || *c == '-').collect::<String>()
    };
    match (safe(filled.text("tenant")), safe(filled.text("name"))) {
        (tenant, name) if tenant.is_empty() || name.is_empty() => "pod.yaml".into(),
        (tenant, name) => format!("{tenant}-{name}.yaml"),
    }
}

impl Form {
    /// The form as far as it is filled in; the verdict is still to come.
    pub fn of(adapter: &str, title: &str, schema: &Value, filled: &Filled) -> Self {
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
            fields: fields(schema, filled),
            manifest: self::text(&documents(adapter, schema, filled)),
            verdict: "Not checked yet".into(),
            advice: "Fill in tenant, pod and subdomain; what is wrong with the manifest is then told here.".into(),
            problems: Vec::new(),
            commits_to: None,
        }
    }

    /// The form with the verdict on its manifest.
    #[must_use]
    pub fn judged(mut self, problems: Vec<ProblemLine>, file: &str) -> Self {
        self.verdict = match problems.len() {
            0 => "No problems".into(),
            1 => "1 problem".into(),
            many => format!("{many} problems"),
        };
        self.advice = format!("Save it as {file} below the source; AgentPod takes it up by itself.");
        self.problems = problems;
        self
    }
}

impl Page for NewPodPage {
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
            .judged(vec![ProblemLine::from_text(problem)], &file_name(&filled));
        Self {
            form: Some(Form {
                tenants: vec!["alice".into(), "bob".into()],
                domain: "agents.example.com".into(),
                default_memory: "2Gi".into(),
                default_cpus: "2".into(),
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
