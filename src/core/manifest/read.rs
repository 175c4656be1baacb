//! Files into [`Manifests`], with every problem of every file. May not know adapters: what a manifest means together
//! with others is `resolve`'s business.

use std::{
    collections::btree_map::Entry,
    sync::{Arc, OnceLock},
};

use jsonschema::Validator;
use schemars::{JsonSchema, generate::SchemaSettings};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{API_VERSION, Declared, Defaults, Manifests, Pod, Tenant};
use crate::core::{
    document::{self, Document},
    names::PodId,
    problem::{Problem, nearest},
    shape,
};

const KINDS: [&str; 3] = ["Tenant", "Pod", "Defaults"];

/// Reads all files of a source. Whatever is wrong is in the problems; what is right is still returned.
pub fn read<'a>(files: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> (Manifests, Vec<Problem>) {
    let mut manifests = Manifests::default();
    let mut problems = Vec::new();
    for (file, bytes) in files {
        let (documents, unreadable) = document::read(file, bytes);
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
    for (kind, schema) in [("Tenant", &tenant_schema().0), ("Pod", &pod_schema().0), ("Defaults", &defaults_schema().0)] {
        let mut schema = schema.clone();
        if let Some(inner) = schema.as_object_mut().and_then(|object| object.remove("$defs")) {
            definitions.extend(inner.as_object().into_iter().flatten().map(|(name, value)| (name.clone(), value.clone())));
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

type Checked = (Value, Validator);

fn compiled<T: JsonSchema>() -> Checked {
    let schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<T>().to_value();
    let validator = shape::compile(&schema).expect("our own schema is valid: a test compiles it");
    (schema, validator)
}

fn tenant_schema() -> &'static Checked {
    static SCHEMA: OnceLock<Checked> = OnceLock::new();
    SCHEMA.get_or_init(compiled::<Tenant>)
}

fn pod_schema() -> &'static Checked {
    static SCHEMA: OnceLock<Checked> = OnceLock::new();
    SCHEMA.get_or_init(compiled::<Pod>)
}

fn defaults_schema() -> &'static Checked {
    static SCHEMA: OnceLock<Checked> = OnceLock::new();
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
            declare(manifests.tenants.entry(name.clone()), tenant, &format!("tenant {name:?}", name = name.as_str()), problems);
        }
        Some("Pod") => {
            let Some(pod) = typed::<Pod>(&document, pod_schema(), problems) else { return };
            let id = PodId::new(pod.value.metadata.tenant.clone(), pod.value.metadata.name.clone());
            declare(manifests.pods.entry(id.clone()), pod, &format!("pod {id}"), problems);
        }
        _ => {
            let Some(defaults) = typed::<Defaults>(&document, defaults_schema(), problems) else { return };
            match &manifests.defaults {
                Some(first) => problems.push(twice("Defaults", &document, first)),
                None => manifests.defaults = Some(defaults),
            }
        }
    }
}

fn wrong_header(document: &Document) -> Option<Problem> {
    let root = &document.root;
    match root.text(&["apiVersion"]) {
        Some(API_VERSION) => {}
        Some(other) => {
            let what = format!("unknown apiVersion {other:?}");
            return Some(document.problem(root.locate(["apiVersion"]), what).hint(format!("write apiVersion: {API_VERSION}")));
        }
        None => {
            let what = "this is no manifest: \"apiVersion\" is missing";
            return Some(document.problem(root.at, what).hint(format!("begin with apiVersion: {API_VERSION} and kind: Pod")));
        }
    }
    match root.text(&["kind"]) {
        Some(kind) if KINDS.contains(&kind) => None,
        Some(kind) => {
            let hint = nearest(kind, KINDS).map_or_else(|| format!("one of: {}", KINDS.join(", ")), |k| format!("did you mean {k:?}?"));
            Some(document.problem(root.locate(["kind"]), format!("unknown kind {kind:?}")).hint(hint))
        }
        None => Some(document.problem(root.at, "\"kind\" is missing").hint(format!("one of: {}", KINDS.join(", ")))),
    }
}

fn typed<T: DeserializeOwned>(document: &Arc<Document>, schema: &Checked, problems: &mut Vec<Problem>) -> Option<Declared<T>> {
    let found = shape::check(document, &document.root, &schema.0, &schema.1);
    if !found.is_empty() {
        problems.extend(found);
        return None;
    }
    match serde_json::from_value(document.root.to_json()) {
        Ok(value) => Some(Declared { value, document: document.clone() }),
        Err(error) => {
            problems.push(document.problem(document.root.at, error.to_string()));
            None
        }
    }
}

fn declare<K: Ord, T>(entry: Entry<'_, K, Declared<T>>, declared: Declared<T>, name: &str, problems: &mut Vec<Problem>) {
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
