//! Parses adapter files into [`Adapters`], with every problem of every file.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, OnceLock},
};

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::{Adapter, AdapterManifest, Adapters, check};
use crate::core::{
    declare::{
        document::{self, Document},
        schema,
        template::{self, Templates},
    },
    digest::Digest,
    names::AdapterName,
    problem::{Problem, Problems},
};

/// The files of all adapters, by path below each folder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AdapterFiles {
    /// Below `adapters/`: `NAME/adapter.yaml`, `NAME/samples/*.yaml`.
    pub adapters: BTreeMap<String, Vec<u8>>,
    /// Below `templates/`: `NAME/*`.
    pub templates: BTreeMap<String, Vec<u8>>,
}

impl AdapterFiles {
    /// The digest of the files; equal files have equal digests.
    pub(crate) fn digest(&self) -> Digest {
        Digest::of(&[Digest::of_files("adapters/", &self.adapters), Digest::of_files("templates/", &self.templates)])
    }
}

/// Parses all adapters. One with a problem is left out, so that pods with it have a problem too.
pub fn read(files: &AdapterFiles) -> (Adapters, Vec<Problem>) {
    let mut problems = Problems::default();
    let adapters = read_into(files, &mut problems);
    (adapters, problems.finish())
}

/// Like [`read`], adding to problems found elsewhere.
pub(crate) fn read_into(files: &AdapterFiles, problems: &mut Problems) -> Adapters {
    let mut templates = Templates::new(&files.templates, problems);
    let (mut all, mut broken) = (BTreeMap::new(), BTreeSet::new());
    for (path, bytes) in &files.adapters {
        let Some(folder) = path.strip_suffix("/adapter.yaml").filter(|folder| !folder.contains('/')) else { continue };
        let file = format!("adapters/{path}");
        let before = problems.len();
        let found = read_one(folder, &file, bytes, files, &mut templates, problems);
        match found {
            Some(adapter) if problems.len() == before && !templates.has_broken(folder) => {
                all.insert(adapter.metadata.name.clone(), Arc::new(adapter));
            }
            _ => _ = broken.insert(folder.to_owned()),
        }
    }
    for folder in folders_without_adapter(files) {
        let problem = Problem::of_file(format!("adapters/{folder}"), "there is no adapter.yaml in this folder");
        problems.push(problem.hint("write one, or move the folder away"));
        broken.insert(folder.to_owned());
    }
    Adapters { all, broken, templates }
}

fn folders_without_adapter(files: &AdapterFiles) -> BTreeSet<&str> {
    let folders = files.adapters.keys().filter_map(|path| Some(path.split_once('/')?.0));
    folders.filter(|folder| !files.adapters.contains_key(&format!("{folder}/adapter.yaml"))).collect()
}

fn manifest_schema() -> &'static (Value, jsonschema::Validator) {
    static SCHEMA: OnceLock<(Value, jsonschema::Validator)> = OnceLock::new();
    SCHEMA.get_or_init(|| {
        let mut schema =
            SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<AdapterManifest>().to_value();
        flatten_probe_kinds(&mut schema);
        let validator = schema::compile(&schema).expect("our own schema is valid, as a test shows");
        (schema, validator)
    })
}

/// Rewrites the schema of probes as one object with exactly one kind; the derived one of a flattened enum forbids the other
/// fields.
fn flatten_probe_kinds(schema: &mut Value) {
    let Some(probe) = schema.pointer_mut("/$defs/Probe") else { return };
    let kinds = probe.get("oneOf").cloned().unwrap_or_default();
    let mut properties = probe.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
    let mut one_of = Vec::new();
    for kind in kinds.as_array().into_iter().flatten() {
        for (name, value) in kind.get("properties").and_then(Value::as_object).into_iter().flatten() {
            one_of.push(json!({"required": [name]}));
            properties.insert(name.clone(), value.clone());
        }
    }
    *probe = json!({"type": "object", "properties": properties, "additionalProperties": false, "oneOf": one_of,
        "description": "How to check whether the agent is ready: one of http, tcp, exec or websocket, and its times."});
}

fn read_one(
    folder: &str,
    file: &str,
    bytes: &[u8],
    files: &AdapterFiles,
    templates: &mut Templates,
    problems: &mut Problems,
) -> Option<Adapter> {
    let before = problems.len();
    let mut documents = document::read_into(file, bytes, problems);
    if documents.is_empty() && problems.len() == before {
        let problem = Problem::of_file(file, "this file is empty, so it describes no adapter");
        problems.push(problem.hint("write an adapter as in adapters/echo/adapter.yaml, or remove the folder"));
    }
    if documents.len() > 1 {
        problems.push(
            documents[1]
                .problem(documents[1].root.at, "an adapter's file may contain only one document")
                .hint("remove everything after the line ---"),
        );
    }
    let document = (!documents.is_empty()).then(|| documents.remove(0)).filter(|document| document.is_whole)?;
    let (schema, validator) = manifest_schema();
    let (found, more) = schema::check(&document, &document.root, schema, validator, problems.room(file));
    if !found.is_empty() || more > 0 {
        problems.extend(found);
        problems.count(file, more);
        return None;
    }
    let manifest: AdapterManifest = match serde_json::from_value(document.root.to_json()) {
        Ok(manifest) => manifest,
        // The schema says all that the types do; should it miss something, a library's words would help nobody.
        Err(_) => {
            let what = "a value in this file is not in the form its field needs";
            let hint = "compare it with adapters/echo/adapter.yaml";
            problems.push(document.problem(document.root.at, what).hint(hint));
            return None;
        }
    };
    let AdapterManifest { metadata, spec, .. } = manifest;
    check::check(&document, &metadata.title, &spec, problems);
    if metadata.name.as_str() != folder {
        let at = document.root.locate(["metadata", "name"]);
        let what = format!("the adapter's name is {:?}, but its folder is {folder:?}", metadata.name.as_str());
        problems
            .push(document.problem(at, what).hint("use the same name for both, and for the folder below templates/"));
    }
    for (index, file) in spec.files.iter().enumerate() {
        let at = document.root.locate(["spec", "files", &index.to_string(), "template"]);
        if !templates.has(&metadata.name, &file.template) {
            let what = format!("there is no template {:?}", file.template);
            problems.push(document.problem(at, what).hint(format!("create templates/{folder}/{}", file.template)));
        }
        if file.path.parent() == "/" || file.path.is_below(&spec.data) {
            let at = document.root.locate(["spec", "files", &index.to_string(), "path"]);
            let what = "a rendered file needs its own folder, outside the data folder";
            problems.push(document.problem(at, what).hint("use a path like /config/agent.json"));
        }
    }
    for (name, template) in &spec.environment {
        if let Err(error) = templates.add_environment(&metadata.name, name, template) {
            problems.push(
                document
                    .problem(document.root.locate(["spec", "environment", name]), error.to_string())
                    .hint(template::HINT),
            );
        }
    }
    if let Some(login) = &spec.login {
        let pod = json!({"id": "t_p", "tenant": "t", "name": "p", "subdomain": "s", "host": "s.example", "url": "https://s.example"});
        if let Err(error) = templates.render_text(&login.link, &json!({"pod": pod, "ticket": "ticket"})) {
            let at = document.root.locate(["spec", "login", "link"]);
            problems.push(document.problem(at, error.to_string()).hint("a link can use pod and ticket"));
        }
    }
    let config_schema = with_strict_root(spec.config_schema.clone());
    let config_validator = match schema::compile(&config_schema) {
        Ok(validator) => Arc::new(validator),
        Err(error) => {
            problems.push(
                document
                    .problem(document.root.locate_key(["spec", "configSchema"]), error.to_string())
                    .hint("write configSchema as JSON Schema, draft 2020-12"),
            );
            return None;
        }
    };
    let samples = read_samples(&metadata.name, files, problems);
    Some(Adapter { metadata, spec, config_schema, config_validator, samples })
}

/// Makes unknown settings problems, unless the schema allows them.
fn with_strict_root(mut schema: Map<String, Value>) -> Value {
    schema.entry("type").or_insert_with(|| "object".into());
    schema.entry("additionalProperties").or_insert(false.into());
    Value::Object(schema)
}

fn read_samples(
    adapter: &AdapterName,
    files: &AdapterFiles,
    problems: &mut Problems,
) -> BTreeMap<String, Map<String, Value>> {
    let prefix = format!("{adapter}/samples/");
    let mut samples = BTreeMap::new();
    for (path, bytes) in files.adapters.range(prefix.clone()..).take_while(|(path, _)| path.starts_with(&prefix)) {
        let file = format!("adapters/{path}");
        let documents = document::read_into(&file, bytes, problems);
        for document in documents.into_iter().filter(|document| document.is_whole) {
            match document.root.to_json() {
                Value::Object(config) => {
                    samples.insert(file.clone(), config);
                }
                _ => problems.push(not_a_config(&document)),
            }
        }
    }
    samples
}

fn not_a_config(document: &Document) -> Problem {
    document
        .problem(document.root.at, "this is not a sample")
        .hint("write a sample as the `config` of a pod, with lines like key: value")
}
