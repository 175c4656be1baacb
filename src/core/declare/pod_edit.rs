//! Changes or removes a declared pod: what the change makes of its file's own text, who may make it, and whether the source
//! with it is a valid revision. Everything else in the file stays as it is written. The source writes the file.

use serde_json::Value;

use super::{
    adapter::AdapterFiles,
    document,
    edit::{EditDenied, FileChange, SourceFiles},
    revision,
};
use crate::core::{
    access::{Person, Role},
    digest::Digest,
    names::PodId,
    problem::Problem,
    site::Site,
};

/// A change of a declared pod.
#[derive(Debug, Clone, PartialEq)]
pub struct PodEdit {
    /// The pod.
    pub(crate) id: PodId,
    /// What becomes of its manifest.
    pub(crate) change: ManifestChange,
    /// The mark of the file that the author has seen; `None`: whatever it is.
    pub(crate) seen: Option<String>,
}

/// What becomes of a pod's manifest.
#[derive(Debug, Clone, PartialEq)]
pub enum ManifestChange {
    /// A JSON merge patch (RFC 7396): values to set, and `null` for keys to remove.
    Merge(Value),
    /// Other lines in place of its own.
    Text(String),
    /// It is removed, and its file with it if that declares nothing else.
    Remove,
}

/// Where a pod is declared, and how.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PodManifest {
    /// The file, below the source's root.
    pub(crate) file: String,
    /// The line of the file on which it begins.
    pub(crate) line: usize,
    /// Its own lines, with the comments above it.
    pub(crate) text: String,
    /// Its content.
    pub(crate) value: Value,
    /// A mark that changes with the file.
    pub(crate) mark: String,
    index: usize,
    whole: String,
}

/// What an edit would do.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PreparedEdit {
    /// The change of the file.
    pub(crate) change: FileChange,
    /// The pod's own lines before.
    pub(crate) own_before: String,
    /// The pod's own lines afterwards; empty if it is removed.
    pub(crate) own_after: String,
    /// The mark of the file before.
    pub(crate) mark: String,
}

/// Finds the manifest of a pod.
pub(crate) fn find(files: &SourceFiles, id: &PodId) -> Option<PodManifest> {
    files.iter().find_map(|(file, bytes)| {
        let text = std::str::from_utf8(bytes).ok()?;
        // Most files are about other pods, and need not be parsed.
        if !(text.contains(id.tenant.as_str()) && text.contains(id.pod.as_str())) {
            return None;
        }
        let (documents, _) = document::read(file, bytes);
        let index = documents.iter().position(|document| is_of(&document.root, id))?;
        Some(PodManifest {
            file: file.clone(),
            line: documents[index].root.at.line,
            text: document::part(text, index).ok()?.to_owned(),
            value: documents[index].root.to_json(),
            mark: Digest::of_bytes(bytes).as_str().to_owned(),
            index,
            whole: text.to_owned(),
        })
    })
}

fn is_of(root: &document::Node, id: &PodId) -> bool {
    root.text(&["kind"]) == Some("Pod")
        && root.text(&["metadata", "tenant"]) == Some(id.tenant.as_str())
        && root.text(&["metadata", "name"]) == Some(id.pod.as_str())
}

impl PodEdit {
    /// Checks that a person may change this pod. What the change does is checked in [`PodEdit::prepare`].
    pub(crate) fn authorize(&self, person: &Person) -> Result<(), EditDenied> {
        let tenant = &self.id.tenant;
        match person.role {
            Role::Operator if person.sees(tenant) => Ok(()),
            Role::Operator => Err(EditDenied::OtherTenant { person: person.name.clone(), tenant: tenant.clone() }),
            Role::Viewer => Err(EditDenied::Viewer(person.name.clone())),
        }
    }

    /// What it does to the source, if that is a valid revision with it.
    pub(crate) fn prepare(
        &self,
        person: &Person,
        origin: &str,
        files: &SourceFiles,
        adapters: &AdapterFiles,
        site: &Site,
    ) -> Result<PreparedEdit, Vec<Problem>> {
        let id = &self.id;
        let found = find(files, id).ok_or_else(|| {
            vec![
                Problem::of_file(origin, format!("pod {id} is not declared there"))
                    .hint("somebody may have removed it"),
            ]
        })?;
        let problem = |what: String, hint: &str| vec![Problem::of_file(&found.file, what).hint(hint)];
        if self.seen.as_ref().is_some_and(|seen| *seen != found.mark) {
            return Err(problem("the file has changed since you looked at it".into(), "look at it again"));
        }
        let unchangeable =
            |error: document::Unchangeable| problem(error.to_string(), "change it in the source yourself");
        let whole = found.whole.as_str();
        let after = match &self.change {
            ManifestChange::Merge(patch) => {
                let mut value = found.value.clone();
                merge(&mut value, patch);
                Some(document::change(whole, found.index, &value).map_err(unchangeable)?)
            }
            ManifestChange::Text(lines) => Some(document::replace(whole, found.index, lines).map_err(unchangeable)?),
            ManifestChange::Remove => document::remove(whole, found.index).map_err(unchangeable)?,
        };
        let mut own_after = String::new();
        if let (Some(after), ManifestChange::Merge(_) | ManifestChange::Text(_)) = (&after, &self.change) {
            if after == whole {
                return Err(problem("this changes nothing".into(), "change something first"));
            }
            let (documents, broken) = document::read(&found.file, after.as_bytes());
            if !broken.is_empty() {
                return Err(broken);
            }
            let root = documents.get(found.index).map(|document| &document.root);
            if !root.is_some_and(|root| is_of(root, id)) {
                let hint = "a pod under another name is another pod: add it, and remove this one";
                return Err(problem(format!("it has to stay the pod {id}"), hint));
            }
            let secrets = |value: &Value| value["spec"]["secrets"].clone();
            let is_same = root.is_some_and(|root| secrets(&root.to_json()) == secrets(&found.value));
            if !is_same && !person.sees_all() {
                return Err(problem(EditDenied::Secrets.to_string(), "leave spec.secrets as it is"));
            }
            document::part(after, found.index).map_err(unchangeable)?.clone_into(&mut own_after);
        }
        let change =
            FileChange { path: found.file.clone(), before: Some(whole.as_bytes().to_vec()), after: after.clone() };
        let others = files.iter().filter(|(name, _)| **name != found.file);
        let others = others.map(|(name, bytes)| (name.as_str(), bytes.as_slice()));
        let changed = after.as_ref().map(|text| (found.file.as_str(), text.as_bytes()));
        revision::validate(origin, others.chain(changed), adapters, site)?;
        Ok(PreparedEdit { change, own_before: found.text, own_after, mark: found.mark })
    }
}

/// Merges a patch into a value, as RFC 7396 says; a mapping that becomes empty by it goes too.
fn merge(value: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *value = patch.clone();
        return;
    };
    if !value.is_object() {
        *value = Value::Object(serde_json::Map::new());
    }
    let Value::Object(entries) = value else { return };
    for (key, change) in patch {
        if change.is_null() {
            entries.remove(key);
            continue;
        }
        let was_filled = entries.get(key).and_then(Value::as_object).is_some_and(|inner| !inner.is_empty());
        let inner = entries.entry(key.clone()).or_insert(Value::Null);
        merge(inner, change);
        if was_filled && inner.as_object().is_some_and(serde_json::Map::is_empty) {
            entries.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_patch_sets_and_removes_and_leaves_no_empty_mapping_behind() {
        let mut value = json!({"spec": {"adapter": "echo", "config": {"a": 1}, "resources": {"cpus": 1, "pids": 99}}});
        merge(&mut value, &json!({"spec": {"config": {"a": null}, "resources": {"cpus": 2}, "state": "stopped"}}));
        assert_eq!(
            value,
            json!({"spec": {"adapter": "echo", "resources": {"cpus": 2, "pids": 99}, "state": "stopped"}})
        );
        merge(&mut value, &json!({"spec": {"config": {"b": {}, "c": [1]}}}));
        assert_eq!(value["spec"]["config"], json!({"b": {}, "c": [1]}));
    }

    #[test]
    fn a_pods_manifest_is_found_in_whatever_file_and_place_it_has() {
        let one = "# first\nkind: Pod\nmetadata: {name: one, tenant: alice}\n";
        let two = "# second\nkind: Pod\nmetadata: {name: two, tenant: alice}\n";
        let files = SourceFiles::from([("deep/alice.yaml".into(), format!("{one}---\n{two}").into_bytes())]);
        let found = find(&files, &"alice/two".parse().unwrap()).unwrap();
        assert_eq!((found.file.as_str(), found.line, found.text.as_str()), ("deep/alice.yaml", 6, two));
        assert!(find(&files, &"alice/three".parse().unwrap()).is_none());
    }
}
