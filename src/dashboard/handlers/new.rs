//! `/dashboard/pods/new`: the form, its manifest, and what is wrong with it. It is judged together with everything that is
//! in force, as the next revision would be; nothing of it is kept.

use std::{collections::BTreeMap, sync::Arc};

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
            fields::Filled,
            new::{AdapterChoice, Form, NewPodPage, documents, file_name, text},
        },
        refusal::Refusal,
    },
    store::Revision,
};

/// The most problems that are shown.
pub(crate) const SHOWN: usize = 50;

/// What a new manifest is judged with.
pub(crate) struct CurrentRevision {
    pub adapters: Adapters,
    pub revision: Revision,
}

impl Handlers {
    /// The adapters to choose from, or the empty form of one.
    pub(crate) async fn new_pod(&self, guest: &PageRequest) -> Result<NewPodPage, Refusal> {
        let in_force = self.in_force(guest).await?;
        let Some(asked) = guest.query.get("adapter") else {
            let choice = |adapter: &Arc<adapter::Adapter>| AdapterChoice {
                name: adapter.metadata.name.to_string(),
                title: adapter.metadata.title.clone(),
                description: adapter.metadata.description.clone(),
                image: adapter.spec.image.clone(),
            };
            let all = in_force.iter().flat_map(|in_force| in_force.adapters.all.values());
            return Ok(NewPodPage { adapters: all.map(choice).collect(), ..NewPodPage::default() });
        };
        let in_force = in_force.ok_or_else(|| unknown(asked))?;
        let tenant = guest.query.get("tenant").map(|tenant| ("tenant".to_owned(), tenant.to_owned()));
        let filled = Filled(tenant.into_iter().collect());
        Ok(NewPodPage { form: Some(self.form(&in_force, asked, &filled)?), ..NewPodPage::default() })
    }

    /// The form as it was filled in, with the verdict on its manifest.
    pub(crate) async fn try_form(&self, guest: &PageRequest, sent: &RequestBody) -> Result<Response, Refusal> {
        let filled = Filled(sent.fields());
        let asked = filled.text("adapter").to_owned();
        let in_force = self.in_force(guest).await?.ok_or_else(|| unknown(&asked))?;
        let form = self.form(&in_force, &asked, &filled)?;
        let (file, site) = (file_name(&filled), self.api.settings.site.clone().ok_or_else(Refusal::internal)?);
        let (name, manifest) = (file.clone(), form.manifest.clone());
        let judged = tokio::task::spawn_blocking(move || judge(in_force, &site, &name, &manifest)).await;
        let mut problems = judged.map_err(|_| Refusal::internal())?;
        problems.truncate(SHOWN);
        let commits_to = self.commits_to(guest).filter(|_| problems.is_empty());
        let form = Form { commits_to, ..form.judged(lines::problems(&problems), &file) };
        self.write(guest, &NewPodPage { form: Some(form), ..NewPodPage::default() })
    }

    /// The manifest as a file.
    pub(crate) async fn download(&self, guest: &PageRequest, sent: &RequestBody) -> Result<Response, Refusal> {
        let filled = Filled(sent.fields());
        let in_force = self.in_force(guest).await?.ok_or_else(|| unknown(filled.text("adapter")))?;
        let adapter = find(&in_force.adapters, filled.text("adapter"))?;
        let manifest = text(&documents(adapter.metadata.name.as_str(), &adapter.config_schema, &filled));
        let mut answer = manifest.into_response();
        let headers = answer.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/yaml; charset=utf-8"));
        let name = format!("attachment; filename=\"{}\"", file_name(&filled));
        headers.insert(header::CONTENT_DISPOSITION, name.parse().map_err(|_| Refusal::internal())?);
        Ok(answer)
    }

    pub(crate) fn form(&self, in_force: &CurrentRevision, asked: &str, filled: &Filled) -> Result<Form, Refusal> {
        let adapter = find(&in_force.adapters, asked)?;
        let files = in_force.revision.files.iter();
        let (manifests, _) = manifest::read(files.map(|(path, bytes)| (path.as_str(), bytes.as_slice())));
        let resources = adapter.spec.resources;
        let form = Form::of(adapter.metadata.name.as_str(), &adapter.metadata.title, &adapter.config_schema, filled);
        Ok(Form {
            tenants: manifests.tenants.keys().take(1000).map(ToString::to_string).collect(),
            domain: self.api.settings.domain.clone(),
            default_memory: resources.memory.map(|memory| memory.to_string()).unwrap_or_default(),
            default_cpus: resources.cpus.map(|cpus| cpus.to_string()).unwrap_or_default(),
            ..form
        })
    }

    /// What is in force; not for who sees one tenant only, since a verdict names other tenants' things.
    async fn in_force(&self, guest: &PageRequest) -> Result<Option<CurrentRevision>, Refusal> {
        guest.visitor.needs(guest.visitor.person.sees_all())?;
        self.kept().await
    }

    /// The same for who adds a pod, whose verdict is cut to what they may see.
    pub(crate) async fn last_accepted(&self, adapter: &str) -> Result<CurrentRevision, Refusal> {
        self.kept().await?.ok_or_else(|| unknown(adapter))
    }

    async fn kept(&self) -> Result<Option<CurrentRevision>, Refusal> {
        let Some(revision) = self.api.store.last_accepted().await? else { return Ok(None) };
        let files = revision.adapters.clone().unwrap_or_default();
        let adapters = tokio::task::spawn_blocking(move || adapter::read(&files).0).await;
        Ok(Some(CurrentRevision { adapters: adapters.map_err(|_| Refusal::internal())?, revision }))
    }
}

pub(crate) fn find<'a>(adapters: &'a Adapters, asked: &str) -> Result<&'a Arc<adapter::Adapter>, Refusal> {
    let name: AdapterName = asked.parse().map_err(|_| unknown(asked))?;
    adapters.all.get(&name).ok_or_else(|| unknown(asked))
}

fn unknown(asked: &str) -> Refusal {
    let shown: String = asked.chars().take(60).collect();
    Refusal::not_found(format!("No adapter called {shown:?} is in force."))
}

/// Everything that is wrong with a manifest beside what is in force: the same as `agentpod validate` would say with the file
/// saved. What is wrong elsewhere is not this manifest's fault, and not told.
fn judge(in_force: CurrentRevision, site: &Site, name: &str, text: &str) -> Vec<Problem> {
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
    let before = build(&files);
    // A file of that name would be replaced; it is not for a form to say so, the same pod declared twice says it.
    let name = if files.contains_key(name) { format!("new-{name}") } else { name.to_owned() };
    files.insert(name, text.as_bytes().to_vec());
    let mut problems = build(&files);
    problems.retain(|problem| !before.contains(problem));
    problems
}
