//! Files into [`Manifests`], with every problem of every file. May not know adapters: what a manifest means together
//! with others is `resolve`'s business.

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

/// Reads all files of a source. Whatever is wrong is in the problems; what is right is still returned.
pub fn read<'a>(files: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> (Manifests, Vec<Problem>) {
    let mut manifests = Manifests::default();
    let mut problems = Vec::new();
    for (file, bytes) in files {
        let (documents, unreadable) = document::read(file, bytes);
        if documents.is_empty() && unreadable.is_empty() {
            // Nothing but comments: more often the beginning of a file than a wish.
            problems.push(
                Problem::of_file(file, "nothing is declared in this file").hint(
                    "an interrupted write leaves such a file; to remove what was declared in it, delete the file",
                ),
            );
        }
        problems.extend(unreadable);
        for document in documents {
            take(Arc::new(document), &mut manifests, &mut problems);
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
    let validator = schema::compile(&schema).expect("our own schema is valid: a test compiles it");
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

fn take(document: Arc<Document>, manifests: &mut Manifests, problems: &mut Vec<Problem>) {
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
            not_age(&document, &["spec", "secrets"], &pod.value.spec.secrets, problems);
            let id = PodId::new(pod.value.metadata.tenant.clone(), pod.value.metadata.name.clone());
            declare(manifests.pods.entry(id.clone()), pod, &format!("pod {id}"), problems);
        }
        _ => {
            let Some(defaults) = typed::<Defaults>(&document, defaults_schema(), problems) else { return };
            for (adapter, secrets) in &defaults.value.spec.secrets {
                not_age(&document, &["spec", "secrets", adapter.as_str()], secrets, problems);
            }
            match &manifests.defaults {
                Some(first) => problems.push(twice("Defaults", &document, first)),
                None => manifests.defaults = Some(defaults),
            }
        }
    }
}

/// What keeps a document from being looked at as any kind of manifest.
fn wrong_header(document: &Document) -> Option<Problem> {
    let root = &document.root;
    let problem = |at: Position, what: String, hint: String| Some(document.problem(at, what).hint(hint));
    let begin = || format!("a manifest begins with apiVersion: {API_VERSION} and kind: Pod, Tenant or Defaults");
    let what_it_is = match &root.value {
        NodeValue::Map(_) => None,
        NodeValue::List(_) => Some("a list; separate several manifests by lines ---"),
        NodeValue::Scalar(_) => Some("a single value"),
    };
    if let Some(what_it_is) = what_it_is {
        return problem(root.at, format!("this is no manifest but {what_it_is}"), begin());
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
        None => return problem(root.at, "this is no manifest: \"apiVersion\" is missing".into(), begin()),
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

/// A text at the top of a document, or what stands in its place.
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
                document
                    .problem(at, error.to_string())
                    .hint("correct that value; the schema of manifests: agentpod schema"),
            );
            None
        }
    }
}

/// Encrypted values that nobody could open. Without the line: it may hold the value itself, written there by mistake.
fn not_age(document: &Document, path: &[&str], secrets: &BTreeMap<String, SecretRef>, problems: &mut Vec<Problem>) {
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

/// Takes the excerpt from problems whose line holds what may be a secret: a value written where its place belongs.
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
        Entry::Occupied(first) => problems.push(twice(name, &declared.document, first.get())),
        Entry::Vacant(free) => {
            free.insert(declared);
        }
    }
}

fn twice<T>(name: &str, second: &Document, first: &Declared<T>) -> Problem {
    let place = second.root.locate(["metadata", "name"]);
    let there = first.locate(["metadata", "name"]);
    second
        .problem(place, format!("{name} is declared twice"))
        .hint(format!("it is declared first at {}:{}:{}; remove one", first.document.file, there.line, there.column))
}
