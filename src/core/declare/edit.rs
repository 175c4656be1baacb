//! Adds a pod to a source: what a new manifest may declare, who may add it, and which file it goes to. The source with the
//! new file is validated as a round would, so that an addition cannot break the revision. The source writes the file.

use std::collections::BTreeMap;

use super::{
    adapter::AdapterFiles,
    manifest::{self, Declared, Pod},
    revision,
};
use crate::core::{
    access::{Person, Role},
    names::{PodId, TenantName},
    problem::Problem,
    site::Site,
};

/// The file name in problems of a manifest that has no file yet.
const UNNAMED: &str = "pod.yaml";
/// How many files may share a stem, as those of the pod `b-c` of `a` and the pod `c` of `a-b` do.
const MAX_SAME_STEM: usize = 100;

/// The files of a source by their path below its root.
pub type SourceFiles = BTreeMap<String, Vec<u8>>;

/// A change of one file of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileChange {
    /// The file's path below the source's root.
    pub path: String,
    /// Its content before; `None`: it is a new file.
    pub before: Option<Vec<u8>>,
    /// Its text afterwards; `None`: the file is removed.
    pub after: Option<String>,
}

/// A manifest that declares one pod, and perhaps its tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPod {
    /// The declared pod.
    pub(crate) id: PodId,
    /// Whether it declares the tenant too.
    pub(crate) with_tenant: bool,
    /// Whether it refers to secrets.
    pub(crate) with_secrets: bool,
    /// The manifest's text.
    pub(crate) text: String,
}

/// Why a person may not change the source.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditDenied {
    /// Viewers change nothing.
    #[error("{0} is a viewer and may not change the source; ask an operator")]
    Viewer(String),
    /// The pod belongs to another tenant.
    #[error("{person} may not change pods of the tenant {tenant}")]
    OtherTenant {
        /// The account's name.
        person: String,
        /// The pod's tenant.
        tenant: TenantName,
    },
    /// Only operators of all tenants refer to secrets.
    #[error("only an operator of all tenants may refer to secrets")]
    Secrets,
    /// Only operators of all tenants declare tenants.
    #[error("only an operator of all tenants may add a manifest that declares a tenant")]
    Tenant,
}

impl NewPod {
    /// Parses a manifest by itself.
    pub fn parse(text: &str) -> Result<Self, Vec<Problem>> {
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
                            .hint("make all other changes in the source itself"),
                    );
                }
                Err(problems)
            }
        }
    }

    /// Checks that a person may add it. An operator of one tenant may not refer to secrets, which could be another tenant's,
    /// nor declare the tenant, which sets its quota.
    pub fn authorize(&self, person: &Person) -> Result<(), EditDenied> {
        let tenant = &self.id.tenant;
        if person.role != Role::Operator {
            return Err(EditDenied::Viewer(person.name.clone()));
        }
        if !person.sees(tenant) {
            return Err(EditDenied::OtherTenant { person: person.name.clone(), tenant: tenant.clone() });
        }
        match person.sees_all() {
            false if self.with_secrets => Err(EditDenied::Secrets),
            false if self.with_tenant => Err(EditDenied::Tenant),
            _ => Ok(()),
        }
    }

    /// The new file with it, if the source with that file is a valid revision.
    pub fn file_in(
        &self,
        origin: &str,
        files: &SourceFiles,
        adapters: &AdapterFiles,
        site: &Site,
    ) -> Result<FileChange, Vec<Problem>> {
        let texts = || files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice()));
        let file = self.free_name(files)?;
        if let Some(existing) = manifest::read(texts()).0.pods.get(&self.id) {
            let at = existing.document.root.at;
            let problem = Problem::of_file(&file, format!("pod {} is declared already", self.id));
            return Err(vec![problem.hint(format!(
                "it is declared in {}:{}; change it there, or choose another name",
                existing.document.file, at.line
            ))]);
        }
        let together = texts().chain([(file.as_str(), self.text.as_bytes())]);
        revision::validate(origin, together, adapters, site)?;
        Ok(FileChange { path: file, before: None, after: Some(self.text.clone()) })
    }

    fn free_name(&self, files: &SourceFiles) -> Result<String, Vec<Problem>> {
        let stem = format!("{}-{}", self.id.tenant, self.id.pod);
        let numbered = (2..=MAX_SAME_STEM).map(|number| format!("{stem}-{number}.yaml"));
        let name = [format!("{stem}.yaml")].into_iter().chain(numbered).find(|name| !files.contains_key(name));
        name.ok_or_else(|| {
            let what = format!("there are {MAX_SAME_STEM} files whose names start with {stem}");
            vec![Problem::of_file(format!("{stem}.yaml"), what).hint("remove or rename some of them")]
        })
    }
}
