//! `/dashboard/pods/new`: the form, its manifest, and the problems with it. It is checked together with everything that is
//! in force, as the next revision would be; nothing is stored.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use warp::{
    Reply,
    http::{HeaderValue, header},
    reply::Response,
};

use super::{Handlers, PageRequest, RequestBody, lines};
use crate::{
    core::{
        declare::{
            adapter::{self, Adapters},
            desired, manifest,
        },
        names::AdapterName,
        problem::Problem,
        site::Site,
    },
    dashboard::{
        pages::{
            adapters::KnownSecret,
            fields::Filled,
            new::{AdapterChoice, Form, NewPodPage, documents, file_name, text},
        },
        refusal::Refusal,
    },
    store::Revision,
};

/// The most problems that are shown.
pub(crate) const SHOWN: usize = 50;

/// What a new manifest is checked with.
pub(crate) struct CurrentRevision {
    pub(crate) adapters: Adapters,
    pub(crate) revision: Revision,
}

impl Handlers {
    /// The adapters to choose from, or the empty form of one.
    pub(crate) async fn new_pod(&self, page_request: &PageRequest) -> Result<NewPodPage, Refusal> {
        let in_force = self.in_force(page_request).await?;
        let Some(name) = page_request.query.get("adapter") else {
            let choice = |adapter: &Arc<adapter::Adapter>| AdapterChoice {
                name: adapter.metadata.name.to_string(),
                title: adapter.metadata.title.clone(),
                description: adapter.metadata.description.clone(),
                image: adapter.spec.image.clone(),
            };
            let all = in_force.iter().flat_map(|in_force| in_force.adapters.all.values());
            return Ok(NewPodPage { adapters: all.map(choice).collect(), ..NewPodPage::default() });
        };
        let in_force = in_force.ok_or_else(|| unknown(name))?;
        let tenant = page_request.query.get("tenant").map(|tenant| ("tenant".to_owned(), tenant.to_owned()));
        let filled = Filled(tenant.into_iter().collect());
        Ok(NewPodPage { form: Some(self.form(&in_force, name, &filled)?), ..NewPodPage::default() })
    }

    /// The form as filled in, with the problems of its manifest.
    pub(crate) async fn try_form(&self, page_request: &PageRequest, sent: &RequestBody) -> Result<Response, Refusal> {
        let filled = Filled(sent.fields());
        let name = filled.text("adapter").to_owned();
        let in_force = self.in_force(page_request).await?.ok_or_else(|| unknown(&name))?;
        let form = self.form(&in_force, &name, &filled)?;
        let (file, site) = (file_name(&filled), self.api.settings.site.clone().ok_or_else(Refusal::internal)?);
        let (name, manifest) = (file.clone(), form.manifest.clone());
        let checked = tokio::task::spawn_blocking(move || check_manifest(in_force, &site, &name, &manifest)).await;
        let mut problems = checked.map_err(|_| Refusal::internal())?;
        problems.truncate(SHOWN);
        let commits_to = self.commits_to(page_request).filter(|_| problems.is_empty());
        let form = Form { commits_to, ..form.checked(lines::problems(&problems), &file) };
        self.write(page_request, &NewPodPage { form: Some(form), ..NewPodPage::default() })
    }

    /// The manifest as a file.
    pub(crate) async fn download(&self, page_request: &PageRequest, sent: &RequestBody) -> Result<Response, Refusal> {
        let filled = Filled(sent.fields());
        let in_force = self.in_force(page_request).await?.ok_or_else(|| unknown(filled.text("adapter")))?;
        let adapter = find(&in_force.adapters, filled.text("adapter"))?;
        let manifest = text(&documents(adapter.metadata.name.as_str(), &adapter.config_schema, &filled));
        let mut answer = manifest.into_response();
        let headers = answer.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/yaml; charset=utf-8"));
        let name = format!("attachment; filename=\"{}\"", file_name(&filled));
        headers.insert(header::CONTENT_DISPOSITION, name.parse().map_err(|_| Refusal::internal())?);
        Ok(answer)
    }

    pub(crate) fn form(&self, in_force: &CurrentRevision, name: &str, filled: &Filled) -> Result<Form, Refusal> {
        let adapter = find(&in_force.adapters, name)?;
        let files = in_force.revision.files.iter();
        let (manifests, _) = manifest::read(files.map(|(path, bytes)| (path.as_str(), bytes.as_slice())));
        let resources = adapter.spec.resources;
        let form = Form::of(adapter.metadata.name.as_str(), &adapter.metadata.title, &adapter.config_schema, filled);
        Ok(Form {
            tenants: manifests.tenants.keys().take(1000).map(ToString::to_string).collect(),
            domain: self.api.settings.domain.clone(),
            known_secrets: adapter
                .spec
                .secrets
                .iter()
                .map(|(name, text)| KnownSecret { name: name.clone(), text: text.clone() })
                .collect(),
            default_memory: resources.memory.map(|memory| memory.to_string()).unwrap_or_default(),
            default_cpus: resources.cpus.map(|cpus| cpus.to_string()).unwrap_or_default(),
            ..form
        })
    }

    /// The revision in force; `None` for a tenant's person, since problems can name other tenants' files.
    async fn in_force(&self, page_request: &PageRequest) -> Result<Option<CurrentRevision>, Refusal> {
        page_request.visitor.needs(page_request.visitor.person.sees_all())?;
        self.current_revision().await
    }

    /// The same for a person who adds a pod; their problems are filtered to what they may see.
    pub(crate) async fn last_accepted(&self, adapter: &str) -> Result<CurrentRevision, Refusal> {
        self.current_revision().await?.ok_or_else(|| unknown(adapter))
    }

    async fn current_revision(&self) -> Result<Option<CurrentRevision>, Refusal> {
        let Some(revision) = self.api.store.last_accepted().await? else { return Ok(None) };
        let files = revision.adapters.clone().unwrap_or_default();
        let adapters = tokio::task::spawn_blocking(move || adapter::read(&files).0).await;
        Ok(Some(CurrentRevision { adapters: adapters.map_err(|_| Refusal::internal())?, revision }))
    }
}

pub(crate) fn find<'a>(adapters: &'a Adapters, text: &str) -> Result<&'a Arc<adapter::Adapter>, Refusal> {
    let name: AdapterName = text.parse().map_err(|_| unknown(text))?;
    adapters.all.get(&name).ok_or_else(|| unknown(text))
}

fn unknown(name: &str) -> Refusal {
    let shown: String = name.chars().take(60).collect();
    Refusal::not_found(format!("There is no adapter {shown:?}."))
}

/// Every problem of a manifest together with the revision in force: the same as `agentpod validate` with the file saved.
/// Problems of other files are left out.
fn check_manifest(in_force: CurrentRevision, site: &Site, name: &str, text: &str) -> Vec<Problem> {
    let CurrentRevision { adapters, revision } = in_force;
    let mut files = revision.files;
    let read = |files: &BTreeMap<String, Vec<u8>>| {
        manifest::read(files.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice())))
    };
    let build = |files: &BTreeMap<String, Vec<u8>>| {
        let (manifests, mut problems) = read(files);
        if problems.is_empty()
            && let Err(found) = desired::build(&manifests, &adapters, site, &BTreeMap::new(), &BTreeMap::new())
        {
            problems = found;
        }
        problems
    };
    let before: BTreeSet<Problem> = build(&files).into_iter().collect();
    // A file of that name would be replaced; the form does not report it, because the same pod declared twice does.
    let name = if files.contains_key(name) { format!("new-{name}") } else { name.to_owned() };
    files.insert(name, text.as_bytes().to_vec());
    let mut problems = build(&files);
    problems.retain(|problem| !before.contains(problem));
    problems
}
