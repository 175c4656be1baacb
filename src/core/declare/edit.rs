//! Adding a pod to a source: what a new manifest may declare, who may add it, and which file it goes to. An addition is
//! judged together with everything that is there, exactly as a round would judge it afterwards: one that would make a bad
//! revision is refused. Pure: who writes the file, and where, is the source's business.

use std::collections::BTreeMap;

use super::{
    adapter::AdapterFiles,
    manifest::{self, Declared, Pod},
    revision,
};
use crate::core::{
    access::{Person, Role},
    names::PodId,
    problem::Problem,
    site::Site,
};

/// What a manifest is called in its problems while no file is found for it.
const UNNAMED: &str = "pod.yaml";
/// So many files may be called alike: the pod `b-c` of `a` and the pod `c` of `a-b` are.
const MOST_ALIKE: usize = 100;

/// The files of a source by their path below its root.
pub type SourceFiles = BTreeMap<String, Vec<u8>>;

/// A manifest that declares one pod, and its tenant if need be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPod {
    /// The pod.
    pub id: PodId,
    /// Whether its tenant is declared with it.
    pub with_tenant: bool,
    /// Whether it names places of secrets.
    pub with_secrets: bool,
    /// The manifest.
    pub text: String,
}

impl NewPod {
    /// Reads a manifest by itself, or says what is wrong with it.
    pub fn read(text: &str) -> Result<Self, Vec<Problem>> {
        let (manifests, mut problems) = manifest::read([(UNNAMED, text.as_bytes())]);
        let mut pods = manifests.pods.into_iter();
        let (first, more) = (pods.next(), pods.next().is_some());
        let is_alone = manifests.defaults.is_none()
            && !more
            && first.as_ref().is_none_or(|(id, _)| manifests.tenants.keys().all(|tenant| *tenant == id.tenant));
        match first {
            Some((id, Declared { value: Pod { spec, .. }, .. })) if problems.is_empty() && is_alone => Ok(Self {
                id,
                with_tenant: !manifests.tenants.is_empty(),
                with_secrets: !spec.secrets.is_empty(),
                text: text.to_owned(),
            }),
            _ => {
                if problems.is_empty() {
                    problems.push(
                        Problem::of_file(UNNAMED, "this is not one new pod, alone or with its tenant")
                            .hint("change everything else where the source's files are kept"),
                    );
                }
                Err(problems)
            }
        }
    }

    /// Refuses who may not add it, with a sentence. A tenant's own operator adds only what can take nothing from others:
    /// the place of a secret may be another tenant's, and a tenant's quota is not for itself to say.
    pub fn permit(&self, person: &Person) -> Result<(), String> {
        let tenant = &self.id.tenant;
        if person.role != Role::Operator {
            return Err(format!("{} may look, and add nothing; ask an operator", person.name));
        }
        if !person.sees(tenant) {
            return Err(format!("{} may not add a pod of the tenant {tenant}", person.name));
        }
        let only = [(self.with_secrets, "names secrets"), (self.with_tenant, "declares a tenant")];
        match only.into_iter().find(|(does, _)| *does && !person.sees_all()) {
            Some((_, what)) => Err(format!("a manifest that {what} is added by an operator of all tenants only")),
            None => Ok(()),
        }
    }

    /// The file it goes to, a new one, if what is there together with it makes a good revision.
    pub fn place(
        &self,
        origin: &str,
        files: &SourceFiles,
        adapters: &AdapterFiles,
        site: &Site,
    ) -> Result<String, Vec<Problem>> {
        let texts = || files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice()));
        let file = self.free_name(files)?;
        if let Some(there) = manifest::read(texts()).0.pods.get(&self.id) {
            let at = there.document.root.at;
            let problem = Problem::of_file(&file, format!("pod {} is declared already", self.id));
            return Err(vec![problem.hint(format!(
                "it stands in {}:{}; change it there, or choose another name",
                there.document.file, at.line
            ))]);
        }
        let together = texts().chain([(file.as_str(), self.text.as_bytes())]);
        revision::judge(origin, together, adapters, site).map(|_| file.clone())
    }

    fn free_name(&self, files: &SourceFiles) -> Result<String, Vec<Problem>> {
        let stem = format!("{}-{}", self.id.tenant, self.id.pod);
        let alike = (2..=MOST_ALIKE).map(|number| format!("{stem}-{number}.yaml"));
        let name = [format!("{stem}.yaml")].into_iter().chain(alike).find(|name| !files.contains_key(name));
        name.ok_or_else(|| {
            let what = format!("there are {MOST_ALIKE} files whose names begin with {stem}");
            vec![Problem::of_file(format!("{stem}.yaml"), what).hint("remove or rename some of them")]
        })
    }
}
