//! Where commands read from: the database of this machine, or the API of the AgentPod that `--server` names. Both return
//! the same types of the read model, so that the same code prints them. Without `--server` it is always the database,
//! whatever listens on this machine.

mod client;
mod refusal;
mod watch;

use anyhow::{Context, Result, anyhow, bail};
use serde::de::DeserializeOwned;
use time::OffsetDateTime;

pub(crate) use self::{
    client::ApiClient,
    refusal::BackendError,
    watch::{Update, UpdateStream},
};
use super::{
    ask,
    connect::{Access, Database, until_interrupted},
    event_filter::EventFilter,
    similar::no_such_pod,
};
use crate::{
    config::{ServerAddress, Settings},
    core::{
        access::{Person, Role},
        decide::request::{Request, RequestRefusal, RequestSpec},
        names::PodId,
    },
    dashboard::api::{NewRequest, RequestLine},
    store::{
        AddRequestError, Store,
        view::{
            AdapterLine, EventLine, EventQuery, Overview, Page, PodDetail, PodLine, PodQuery, RevisionLine, SourceLine,
            TenantLine, UsagePoint,
        },
    },
};

/// The most entries of a page.
const PAGE_SIZE: usize = 1000;

/// Which backend to open.
pub(crate) enum Target {
    /// This machine's database and engine.
    Local(Box<Settings>),
    /// Another AgentPod's API.
    Remote(ServerAddress),
}

/// What commands read from.
pub(crate) enum Backend {
    /// This machine's database.
    Local(Box<LocalBackend>),
    /// Another AgentPod's API.
    Remote(Box<ApiClient>),
}

/// An open database, and the person whose view of it is read.
pub(crate) struct LocalBackend {
    /// The settings that name it.
    pub(crate) settings: Settings,
    /// The open database.
    pub(crate) database: Database,
    person: Person,
}

impl Backend {
    /// Opens the database, or creates a client, which sends nothing yet.
    async fn open(target: Target) -> Result<Self> {
        Ok(match target {
            Target::Local(settings) => {
                let database = Database::open(&settings, Access::Existing).await?;
                Self::Local(Box::new(LocalBackend { settings: *settings, database, person: local_operator() }))
            }
            Target::Remote(server) => Self::Remote(Box::new(ApiClient::new(server)?)),
        })
    }

    /// Opens it, works with it, and closes it however the work ends.
    pub(crate) async fn with<T>(target: Target, work: impl AsyncFnOnce(&Self) -> Result<T>) -> Result<T> {
        let backend = Self::open(target).await?;
        let outcome = until_interrupted(work(&backend)).await;
        let closed = backend.close().await;
        let done = outcome?;
        closed.map(|()| done)
    }

    /// Closes the database.
    async fn close(self) -> Result<()> {
        match self {
            Self::Local(local) => local.database.close().await,
            Self::Remote(_) => Ok(()),
        }
    }

    /// The fleet's counts, and which daemon acts.
    pub(crate) async fn overview(&self) -> Result<Overview> {
        match self {
            Self::Local(local) => Ok(local.view().overview().await?),
            Self::Remote(client) => client.get("/overview", &[]).await,
        }
    }

    /// All pods.
    pub(crate) async fn pods(&self) -> Result<Vec<PodLine>> {
        match self {
            Self::Local(local) => pods(local.store(), &local.person).await,
            Self::Remote(client) => pages(usize::MAX, |limit, after| client.page("/pods", limit, after)).await,
        }
    }

    /// One pod.
    pub(crate) async fn pod(&self, id: &PodId) -> Result<PodDetail> {
        let found = match self {
            Self::Local(local) => local.view().pod(id).await?,
            Self::Remote(client) => client.find(&format!("/pods/{id}")).await?,
        };
        match found {
            Some(found) => Ok(found),
            None => Err(self.missing(id).await),
        }
    }

    /// The error for a pod that does not exist.
    async fn missing(&self, id: &PodId) -> anyhow::Error {
        // Without a list there is no hint.
        let known = self.pods().await.unwrap_or_default();
        anyhow!(no_such_pod(id, known.iter().map(|line| &line.id)))
    }

    /// What a pod used over the last day, oldest first.
    pub(crate) async fn usage(&self, id: &PodId) -> Result<Vec<UsagePoint>> {
        let found = match self {
            Self::Local(local) => local.view().usage(id).await?,
            Self::Remote(client) => client.find(&format!("/pods/{id}/usage")).await?,
        };
        match found {
            Some(found) => Ok(found),
            None => Err(self.missing(id).await),
        }
    }

    /// The newest events that a filter shows, oldest first.
    pub(crate) async fn events(&self, filter: &EventFilter, most: usize) -> Result<Vec<EventLine>> {
        let now = crate::clock::now();
        let (mut events, mut after) = (Vec::new(), None);
        // The filter may leave little of a page, so pages are read until there is enough.
        while events.len() < most {
            let page = self.events_page(filter, after).await?;
            let is_over = page.items.iter().any(|event| filter.is_over(event, now));
            events.extend(page.items.into_iter().filter(|event| filter.shows(event, now)));
            after = page.next;
            if after.is_none() || is_over {
                break;
            }
        }
        events.truncate(most);
        events.reverse();
        Ok(events)
    }

    /// A page of a pod's, a tenant's or all events, newest first.
    async fn events_page(&self, filter: &EventFilter, after: Option<String>) -> Result<Page<EventLine>> {
        let is_first = after.is_none();
        let found = match self {
            Self::Local(local) => {
                let (pod, tenant) = (filter.pod.clone(), filter.tenant.clone());
                let query = EventQuery { pod, tenant, limit: PAGE_SIZE as u32, after, ..EventQuery::default() };
                let page = local.view().events(&query).await?;
                match &filter.pod {
                    // A removed pod may still have a history.
                    Some(id) if is_first && page.items.is_empty() => {
                        let is_known = !local.view().lines(std::slice::from_ref(id)).await?.is_empty();
                        is_known.then_some(page)
                    }
                    _ => Some(page),
                }
            }
            Self::Remote(client) => {
                let path = filter.pod.as_ref().map_or_else(|| "/events".into(), |id| format!("/pods/{id}/events"));
                let limit = PAGE_SIZE.to_string();
                let tenant = filter.tenant.as_ref().map(|tenant| ("tenant", tenant.as_str()));
                let after = after.as_deref().map(|after| ("after", after));
                let query: Vec<_> = [("limit", limit.as_str())].into_iter().chain(tenant).chain(after).collect();
                refusal::or_missing(client.get(&path, &query).await)?
            }
        };
        match (found, &filter.pod) {
            (Some(page), _) => Ok(page),
            (None, Some(id)) => Err(self.missing(id).await),
            (None, None) => bail!("the server does not list events"),
        }
    }

    /// The state of the source.
    pub(crate) async fn source(&self) -> Result<SourceLine> {
        match self {
            Self::Local(local) => of_all_tenants(local.view().source().await?),
            Self::Remote(client) => client.get("/source", &[]).await,
        }
    }

    /// The newest revisions, oldest first.
    pub(crate) async fn revisions(&self, most: usize) -> Result<Vec<RevisionLine>> {
        let mut revisions = match self {
            Self::Local(local) => {
                let view = local.view();
                let page = |limit, after: Option<String>| async move {
                    of_all_tenants(view.revisions(limit, after.as_deref()).await?)
                };
                pages(most, page).await?
            }
            Self::Remote(client) => pages(most, |limit, after| client.page("/revisions", limit, after)).await?,
        };
        revisions.reverse();
        Ok(revisions)
    }

    /// One revision.
    pub(crate) async fn revision(&self, id: i64) -> Result<Option<RevisionLine>> {
        match self {
            Self::Local(local) => Ok(local.view().revision(id).await?),
            Self::Remote(client) => client.find(&format!("/revisions/{id}")).await,
        }
    }

    /// The tenants, and what their pods use.
    pub(crate) async fn tenants(&self) -> Result<Vec<TenantLine>> {
        match self {
            Self::Local(local) => Ok(local.view().tenants().await?),
            Self::Remote(client) => client.get("/tenants", &[]).await,
        }
    }

    /// The adapters in force.
    pub(crate) async fn adapters(&self) -> Result<Vec<AdapterLine>> {
        match self {
            Self::Local(local) => of_all_tenants(local.view().adapters().await?),
            Self::Remote(client) => client.get("/adapters", &[]).await,
        }
    }

    /// Submits a request. `name` overrides the actor, which is only possible on this machine.
    pub(crate) async fn submit(
        &self,
        what: RequestSpec,
        name: Option<String>,
        now: OffsetDateTime,
    ) -> Result<RequestLine> {
        match self {
            Self::Local(local) => {
                let request = Request { what, actor: name.unwrap_or_else(ask::actor_at_host) };
                match local.store().add_request(&request, now).await {
                    Ok(id) => self.request(id).await,
                    Err(AddRequestError::Refused(RequestRefusal::Unknown(id))) => Err(self.missing(&id).await),
                    Err(error) => Err(error.into()),
                }
            }
            Self::Remote(_) if name.is_some() => {
                bail!("over --server, requests are made by the token's account; omit --as")
            }
            Self::Remote(client) => {
                let pod = what.pod().cloned();
                match (refusal::or_missing(client.post("/requests", &NewRequest::of(what, now)).await)?, pod) {
                    (Some(line), _) => Ok(line),
                    (None, Some(id)) => Err(self.missing(&id).await),
                    (None, None) => bail!("the server takes no such request"),
                }
            }
        }
    }

    /// The state of a request.
    pub(crate) async fn request(&self, id: i64) -> Result<RequestLine> {
        let found = match self {
            Self::Local(local) => local.store().request(id).await?.map(RequestLine::from),
            Self::Remote(client) => client.find(&format!("/requests/{id}")).await?,
        };
        found.context("the request no longer exists: its pod was purged")
    }

    /// Subscribes to events.
    pub(crate) async fn watch(&self) -> Result<UpdateStream> {
        match self {
            Self::Local(local) => UpdateStream::from_database(local.database.store.clone(), local.person.clone()).await,
            Self::Remote(client) => UpdateStream::from_server(client).await,
        }
    }
}

impl LocalBackend {
    fn store(&self) -> &Store {
        &self.database.store
    }

    fn view(&self) -> crate::store::view::View<'_> {
        self.store().view(&self.person)
    }
}

/// All pods in a database.
pub(crate) async fn pods_in(store: &Store) -> Result<Vec<PodLine>> {
    pods(store, &local_operator()).await
}

async fn pods(store: &Store, person: &Person) -> Result<Vec<PodLine>> {
    let view = store.view(person);
    let page = |limit, after| async move { Ok(view.pods(&PodQuery { limit, after, ..PodQuery::default() }).await?) };
    pages(usize::MAX, page).await
}

/// Reads page after page, until the end or `most` entries.
async fn pages<T: DeserializeOwned, F>(most: usize, page: impl Fn(u32, Option<String>) -> F) -> Result<Vec<T>>
where
    F: Future<Output = Result<Page<T>>>,
{
    let (mut all, mut after) = (Vec::new(), None);
    while all.len() < most {
        let part = page((most - all.len()).min(PAGE_SIZE) as u32, after).await?;
        all.extend(part.items);
        after = part.next;
        if after.is_none() {
            break;
        }
    }
    Ok(all)
}

/// Whoever can open the database may see everything in it.
fn local_operator() -> Person {
    Person { name: ask::actor(), role: Role::Operator, tenant: None }
}

fn of_all_tenants<T>(answer: Option<T>) -> Result<T> {
    answer.context("only accounts that see all tenants may read this")
}
