//! Parses files into [`Manifests`], with every problem of every file. It does not know adapters; `resolve` combines both.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    sync::{Arc, OnceLock},
};

use jsonschema::Validator;
use schemars::{JsonSchema, generate::SchemaSettings};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{API_VERSION, Broken, Declared, Defaults, Manifests, Pod, Tenant, copies};
use crate::core::{
    declare::{
        bounds,
        document::{self, Document, Node, NodeValue},
        schema,
    },
    names::PodId,
    printable,
    problem::{Position, Problem, Problems, nearest},
    report::view::is_named_secret,
    secret::{self, NotAge, SecretRef},
};

const KINDS: [&str; 3] = ["Tenant", "Pod", "Defaults"];

/// The most characters of a header's value in a message.
const MAX_QUOTED: usize = 60;

/// Parses all files of a source. Valid manifests are returned along with the problems of the others.
pub fn read<'a>(files: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> (Manifests, Vec<Problem>) {
    let mut problems = Problems::default();
    let manifests = read_into(files, &mut problems);
    (manifests, problems.finish())
}

/// Like [`read`], adding to problems found elsewhere.
pub(crate) fn read_into<'a>(
    files: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    problems: &mut Problems,
) -> Manifests {
    let mut manifests = Manifests::default();
    let files: Vec<(&str, &[u8])> = files.into_iter().collect();
    let names: BTreeSet<&str> = files.iter().map(|(name, _)| *name).collect();
    for (file, bytes) in files {
        if let Some(problem) = copies::problem(file, &names) {
            problems.push(problem);
            continue;
        }
        let before = problems.len();
        let documents = document::read_into(file, bytes, problems);
        let is_readable = problems.len() == before;
        if documents.is_empty() && is_readable {
            // Only comments: more often an interrupted write than an intention.
            problems.push(
                Problem::of_file(file, "this file declares nothing")
                    .hint("an interrupted write leaves such a file; to remove its declarations, delete the file"),
            );
        }
        // A file that cannot be read at all could declare anything.
        manifests.broken.anything |= !is_readable && documents.is_empty();
        for document in documents {
            add(Arc::new(document), &mut manifests, problems);
        }
    }
    manifests
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

fn add(document: Arc<Document>, manifests: &mut Manifests, problems: &mut Problems) {
    let root = &document.root;
    if !document.is_whole && document.unread_values.is_empty() {
        manifests.broken.add(root);
        return;
    }
    if let Some(problem) = wrong_header(&document) {
        problems.push(problem);
        manifests.broken.add(root);
        return;
    }
    match root.text(&["kind"]) {
        Some("Tenant") => {
            let Some(tenant) = typed::<Tenant>(&document, tenant_schema(), problems) else {
                manifests.broken.add(root);
                return;
            };
            let name = tenant.value.metadata.name.clone();
            problems.extend(invisible_name(&document, tenant.value.spec.display_name.as_deref()));
            declare(
                manifests.tenants.entry(name.clone()),
                tenant,
                &format!("tenant {name:?}", name = name.as_str()),
                problems,
            );
        }
        Some("Pod") => {
            let Some(pod) = typed::<Pod>(&document, pod_schema(), problems) else {
                manifests.broken.add(root);
                return;
            };
            bounds::resources(&document, &["spec", "resources"], &pod.value.spec.resources, problems);
            check_age(&document, &["spec", "secrets"], &pod.value.spec.secrets, problems);
            let id = PodId::new(pod.value.metadata.tenant.clone(), pod.value.metadata.name.clone());
            declare(manifests.pods.entry(id.clone()), pod, &format!("pod {id}"), problems);
        }
        _ => {
            let Some(defaults) = typed::<Defaults>(&document, defaults_schema(), problems) else {
                manifests.broken.add(root);
                return;
            };
            bounds::resources(&document, &["spec", "resources"], &defaults.value.spec.resources, problems);
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

impl Broken {
    /// Records what a broken document declares, as far as it says so.
    fn add(&mut self, root: &Node) {
        match root.text(&["kind"]) {
            Some("Tenant") => match root.text(&["metadata", "name"]).map(str::parse) {
                Some(Ok(name)) => _ = self.tenants.insert(name),
                _ => self.anything = true,
            },
            // Nothing else depends on a pod.
            Some("Pod") => {}
            Some("Defaults") => self.defaults = true,
            _ => self.anything = true,
        }
    }
}

/// The problem of a display name with characters that nobody sees, which could pass for another one.
fn invisible_name(document: &Document, name: Option<&str>) -> Option<Problem> {
    let found = name?.chars().find(|c| printable::is_invisible(*c))?;
    let at = document.root.locate(["spec", "displayName"]);
    let what = format!("\"displayName\" contains the invisible character U+{:04X}", u32::from(found));
    Some(document.problem(at, what).hint("remove it"))
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
                format!("unknown apiVersion {:?}", printable::line(other, MAX_QUOTED)),
                format!("write apiVersion: {API_VERSION}"),
            );
        }
        Some(Err(())) => {
            return problem(
                root.locate(["apiVersion"]),
                "\"apiVersion\" must be a text".into(),
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
            problem(root.locate(["kind"]), format!("unknown kind {:?}", printable::line(kind, MAX_QUOTED)), hint)
        }
        Some(Err(())) => problem(root.locate(["kind"]), "\"kind\" must be a text".into(), kinds()),
        None => problem(root.at, "\"kind\" is missing".into(), kinds()),
    }
}

/// The text of a top-level key, or an error if something else is there.
fn header<'a>(root: &'a Node, key: &str) -> Option<Result<&'a str, ()>> {
    root.entry(key)?;
    Some(root.text(&[key]).ok_or(()))
}

fn typed<T: DeserializeOwned>(
    document: &Arc<Document>,
    schema: &CompiledSchema,
    problems: &mut Problems,
) -> Option<Declared<T>> {
    let room = problems.room(&document.file);
    let (mut found, more) = schema::check(document, &document.root, &schema.0, &schema.1, room);
    found.retain(|problem| !problem.at.is_some_and(|at| document.unread_values.contains(&at)));
    if !found.is_empty() || more > 0 || !document.is_whole {
        hide_secrets(&document.root, &mut found);
        problems.extend(found);
        problems.count(&document.file, more);
        return None;
    }
    match serde_json::from_value(document.root.to_json()) {
        Ok(value) => Some(Declared { value, document: document.clone() }),
        // The schema says all that the types do; should it miss something, a library's words would help nobody.
        Err(_) => {
            let at = document.root.locate_key(["spec"]);
            let what = "a value in this document is not in the form its field needs";
            problems.push(document.problem(at, what).hint("compare it with the schema: agentpod schema"));
            None
        }
    }
}

/// Adds problems of encrypted values that cannot be decrypted. Without the line, which may contain the plain value by mistake.
fn check_age(document: &Document, path: &[&str], secrets: &BTreeMap<String, SecretRef>, problems: &mut Problems) {
    let texts = secrets.iter().filter_map(|(name, reference)| Some((name, reference.age.as_ref()?)));
    let problem = |(name, text): (&String, &String)| {
        let NotAge { what, hint } = secret::age_file(text).err()?;
        let at = document.root.locate_key(path.iter().copied().chain([name.as_str(), "age"]));
        let problem = document.problem(at, format!("the age-encrypted value of {name:?} {what}")).hint(hint);
        Some(Problem { excerpt: None, ..problem })
    };
    problems.extend(texts.filter_map(problem));
}

/// Removes the excerpt from problems whose line may contain a secret, written in place of a reference.
fn hide_secrets(root: &Node, problems: &mut [Problem]) {
    let mut lines = BTreeSet::new();
    if let Some((_, secrets)) = root.entry("spec").and_then(|(_, spec)| spec.entry("secrets")) {
        suspicious_lines(secrets, "", &mut lines);
    }
    secret_looking_lines(root, &mut lines);
    for problem in problems.iter_mut().filter(|problem| problem.at.is_some_and(|at| lines.contains(&at.line))) {
        problem.excerpt = None;
    }
}

/// The lines of values whose key says that they are secrets, wherever they stand.
fn secret_looking_lines(node: &Node, lines: &mut BTreeSet<usize>) {
    match &node.value {
        NodeValue::Map(entries) => entries.iter().for_each(|(_, key, node)| match &node.value {
            NodeValue::Scalar(Value::String(_)) if is_named_secret(key) => _ = lines.insert(node.at.line),
            _ => secret_looking_lines(node, lines),
        }),
        NodeValue::List(items) => items.iter().for_each(|node| secret_looking_lines(node, lines)),
        NodeValue::Scalar(_) => {}
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

fn declare<K: Ord, T>(entry: Entry<'_, K, Declared<T>>, declared: Declared<T>, name: &str, problems: &mut Problems) {
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
