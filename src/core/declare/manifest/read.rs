//! Parses files into [`Manifests`], with every problem of every file. It does not know adapters; `resolve` combines both.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    sync::{Arc, OnceLock},
};

use jsonschema::Validator;
use schemars::{JsonSchema, generate::SchemaSettings};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{API_VERSION, Declared, Defaults, Manifests, Pod, Tenant};
use crate::core::{
    declare::{
        document::{self, Document, Node, NodeValue},
        schema,
    },
    names::PodId,
    problem::{Position, Problem, nearest},
    secret::{self, NotAge, SecretRef},
};

const KINDS: [&str; 3] = ["Tenant", "Pod", "Defaults"];

/// Parses all files of a source. Valid manifests are returned along with the problems of the others.
pub fn read<'a>(files: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> (Manifests, Vec<Problem>) {
    let mut manifests = Manifests::default();
    let mut problems = Vec::new();
    for (file, bytes) in files {
        let (documents, unreadable) = document::read(file, bytes);
        if documents.is_empty() && unreadable.is_empty() {
            // Only comments: more often an interrupted write than an intention.
            problems.push(
                Problem::of_file(file, "this file declares nothing")
                    .hint("an interrupted write leaves such a file; to remove its declarations, delete the file"),
            );
        }
        problems.extend(unreadable);
        for document in documents {
            add(Arc::new(document), &mut manifests, &mut problems);
        }
    }
    (manifests, problems)
}

/// The JSON Schema of one document of a manifest file.
pub fn schema() -> Value {
    let mut definitions = serde_json::Map::new();
    for (kind, schema) in [("Tenant", &tenant_schema().0), ("Pod", &pod_schema().0), ("Defaults", &defaults_schema().0)]
    {
        let mut schema = schema.clone();
        if let Some(inner) = schema.as_object_mut().and_then(|object| object.remove("$defs")) {
            definitions
                .extend(inner.as_object().into_iter().flatten().map(|(name, value)| (name.clone(), value.clone())));
        }
        definitions.insert(kind.into(), schema);
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "AgentPod manifest",
        "oneOf": KINDS.map(|kind| json!({"$ref": format!("#/$defs/{kind}")})),
        "$defs": definitions,
    })
}

type CompiledSchema = (Value, Validator);

fn compiled<T: JsonSchema>() -> CompiledSchema {
    let schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<T>().to_value();
    let validator = schema::compile(&schema).expect("our own schema is valid, as a test shows");
    (schema, validator)
}

fn tenant_schema() -> &'static CompiledSchema {
    static SCHEMA: OnceLock<CompiledSchema> = OnceLock::new();
    SCHEMA.get_or_init(compiled::<Tenant>)
}

fn pod_schema() -> &'static CompiledSchema {
    static SCHEMA: OnceLock<CompiledSchema> = OnceLock::new();
    SCHEMA.get_or_init(compiled::<Pod>)
}

fn defaults_schema() -> &'static CompiledSchema {
    static SCHEMA: OnceLock<CompiledSchema> = OnceLock::new();
    SCHEMA.get_or_init(compiled::<Defaults>)
}

fn add(document: Arc<Document>, manifests: &mut Manifests, problems: &mut Vec<Problem>) {
    let root = &document.root;
    if let Some(problem) = wrong_header(&document) {
        problems.push(problem);
        return;
    }
    match root.text(&["kind"]) {
        Some("Tenant") => {
            let Some(tenant) = typed::<Tenant>(&document, tenant_schema(), problems) else { return };
            let name = tenant.value.metadata.name.clone();
            declare(
                manifests.tenants.entry(name.clone()),
                tenant,
                &format!("tenant {name:?}", name = name.as_str()),
                problems,
            );
        }
        Some("Pod") => {
            let Some(pod) = typed::<Pod>(&document, pod_schema(), problems) else { return };
            check_age(&document, &["spec", "secrets"], &pod.value.spec.secrets, problems);
            let id = PodId::new(pod.value.metadata.tenant.clone(), pod.value.metadata.name.clone());
            declare(manifests.pods.entry(id.clone()), pod, &format!("pod {id}"), problems);
        }
        _ => {
            let Some(defaults) = typed::<Defaults>(&document, defaults_schema(), problems) else { return };
            for (adapter, secrets) in &defaults.value.spec.secrets {
                check_age(&document, &["spec", "secrets", adapter.as_str()], secrets, problems);
            }
            match &manifests.defaults {
                Some(first) => problems.push(duplicate("Defaults", &document, first)),
                None => manifests.defaults = Some(defaults),
            }
        }
    }
}

/// The problem of a document that is not a manifest of any kind.
fn wrong_header(document: &Document) -> Option<Problem> {
    let root = &document.root;
    let problem = |at: Position, what: String, hint: String| Some(document.problem(at, what).hint(hint));
    let begin = || format!("start a manifest with apiVersion: {API_VERSION} and kind: Pod, Tenant or Defaults");
    let found = match &root.value {
        NodeValue::Map(_) => None,
        NodeValue::List(_) => Some("a list; separate several manifests with lines ---"),
        NodeValue::Scalar(_) => Some("a single value"),
    };
    if let Some(found) = found {
        return problem(root.at, format!("this is not a manifest but {found}"), begin());
    }
    match header(root, "apiVersion") {
        Some(Ok(API_VERSION)) => {}
        Some(Ok(other)) => {
            return problem(
                root.locate(["apiVersion"]),
                format!("unknown apiVersion {other:?}"),
                format!("write apiVersion: {API_VERSION}"),
            );
        }
        Some(Err(other)) => {
            return problem(
                root.locate(["apiVersion"]),
                format!("unknown apiVersion {other}"),
                format!("write apiVersion: {API_VERSION}"),
            );
        }
        None => return problem(root.at, "this is not a manifest: \"apiVersion\" is missing".into(), begin()),
    }
    let kinds = || format!("one of: {}", KINDS.join(", "));
    match header(root, "kind") {
        Some(Ok(kind)) if KINDS.contains(&kind) => None,
        Some(Ok(kind)) => {
            let hint = nearest(kind, KINDS).map_or_else(kinds, |near| format!("did you mean {near:?}?"));
            problem(root.locate(["kind"]), format!("unknown kind {kind:?}"), hint)
        }
        Some(Err(other)) => problem(root.locate(["kind"]), format!("unknown kind {other}"), kinds()),
        None => problem(root.at, "\"kind\" is missing".into(), kinds()),
    }
}

/// The text of a top-level key, or the value that is there instead.
fn header<'a>(root: &'a Node, key: &str) -> Option<Result<&'a str, Value>> {
    let (_, node) = root.entry(key)?;
    Some(root.text(&[key]).ok_or_else(|| node.to_json()))
}

fn typed<T: DeserializeOwned>(
    document: &Arc<Document>,
    schema: &CompiledSchema,
    problems: &mut Vec<Problem>,
) -> Option<Declared<T>> {
    let mut found = schema::check(document, &document.root, &schema.0, &schema.1);
    if !found.is_empty() {
        hide_secrets(&document.root, &mut found);
        problems.extend(found);
        return None;
    }
    match serde_json::from_value(document.root.to_json()) {
        Ok(value) => Some(Declared { value, document: document.clone() }),
        Err(error) => {
            let at = document.root.locate_key(["spec"]);
            problems.push(
                document.problem(at, error.to_string()).hint("correct this value; see the schema with agentpod schema"),
            );
            None
        }
    }
}

/// Adds problems of encrypted values that cannot be decrypted. Without the line, which may contain the plain value by mistake.
fn check_age(document: &Document, path: &[&str], secrets: &BTreeMap<String, SecretRef>, problems: &mut Vec<Problem>) {
    let texts = secrets.iter().filter_map(|(name, reference)| Some((name, reference.age.as_ref()?)));
    let problem = |(name, text): (&String, &String)| {
        let NotAge { what, hint } = secret::age_file(text).err()?;
        let at = document.root.locate_key(path.iter().copied().chain([name.as_str(), "age"]));
        let problem = document.problem(at, format!("the age-encrypted value of {name:?} {what}")).hint(hint);
        Some(Problem { excerpt: None, ..problem })
    };
    let mut found: Vec<Problem> = texts.filter_map(problem).collect();
    found.sort_by_key(|problem| problem.at);
    problems.extend(found);
}

/// Removes the excerpt from problems whose line may contain a secret, written in place of a reference.
fn hide_secrets(root: &Node, problems: &mut [Problem]) {
    let mut lines = BTreeSet::new();
    if let Some((_, secrets)) = root.entry("spec").and_then(|(_, spec)| spec.entry("secrets")) {
        suspicious_lines(secrets, "", &mut lines);
    }
    for problem in problems.iter_mut().filter(|problem| problem.at.is_some_and(|at| lines.contains(&at.line))) {
        problem.excerpt = None;
    }
}

fn suspicious_lines(node: &Node, key: &str, lines: &mut BTreeSet<usize>) {
    match &node.value {
        NodeValue::Map(entries) => entries.iter().for_each(|(_, key, node)| suspicious_lines(node, key, lines)),
        NodeValue::List(items) => items.iter().for_each(|node| suspicious_lines(node, "", lines)),
        NodeValue::Scalar(Value::String(text)) if key == "file" && text.starts_with('/') => {}
        NodeValue::Scalar(_) => {
            lines.insert(node.at.line);
        }
    }
}

fn declare<K: Ord, T>(
    entry: Entry<'_, K, Declared<T>>,
    declared: Declared<T>,
    name: &str,
    problems: &mut Vec<Problem>,
) {
    match entry {
        Entry::Occupied(first) => problems.push(duplicate(name, &declared.document, first.get())),
        Entry::Vacant(free) => {
            free.insert(declared);
        }
    }
}

fn duplicate<T>(name: &str, second: &Document, first: &Declared<T>) -> Problem {
    let at = second.root.locate(["metadata", "name"]);
    let first_at = first.locate(["metadata", "name"]);
    second.problem(at, format!("{name} is declared twice")).hint(format!(
        "it is first declared at {}:{}:{}; remove one",
        first.document.file, first_at.line, first_at.column
    ))
}
