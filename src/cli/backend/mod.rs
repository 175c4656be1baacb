//! Where a command's question goes: to the database of this machine, or to the API of an AgentPod that `--server` names.
//! Both answer with the same types of the read model, so that everything is shown by the same code. Nothing is guessed:
//! without `--server` it is the database, whoever may listen on whichever port.

mod client;
mod refusal;
mod watch;

use anyhow::{Context, Result, bail};
use serde::de::DeserializeOwned;
use time::OffsetDateTime;

pub use self::{
    client::ApiClient,
    refusal::BackendError,
    watch::{Update, UpdateStream},
};
use super::{ask, connect::Database};
use crate::{
    config::{ServerAddress, Settings},
    core::{
        access::{Person, Role},
        decide::request::{Request, RequestSpec},
        names::PodId,
    },
    dashboard::api::{Ask, RequestLine},
    store::{
        Store,
        view::{
            AdapterLine, EventLine, EventQuery, Overview, Page, PodDetail, PodLine, PodQuery, RevisionLine, SourceLine,
            TenantLine, UsagePoint,
        },
    },
};

/// The most lines of a page.
const PAGE: usize = 1000;

/// Where questions go.
pub enum Target {
    /// To this machine's database and engine.
    Local(Box<Settings>),
    /// To another AgentPod's API.
    Remote(ServerAddress),
}

/// What answers questions.
pub enum Backend {
    /// This machine's database.
    Local(Box<LocalBackend>),
    /// Another AgentPod's API.
    Remote(Box<ApiClient>),
}

/// An open database, and who reads it.
pub struct LocalBackend {
    /// What it was opened with.
    pub settings: Settings,
    /// The database.
    pub database: Database,
    person: Person,
}

impl Backend {
    /// Opens the database, or gets ready to ask. A server is not asked yet.
    pub async fn open(place: Target) -> Result<Self> {
        Ok(match place {
            Target::Local(settings) => {
                let database = Database::open(&settings).await?;
                Self::Local(Box::new(LocalBackend { settings: *settings, database, person: everybody() }))
            }
            Target::Remote(server) => Self::Remote(Box::new(ApiClient::new(server)?)),
        })
    }

    /// Closes what was opened.
    pub async fn close(self) -> Result<()> {
        match self {
            Self::Local(here) => here.database.close().await,
            Self::Remote(_) => Ok(()),
        }
    }

    /// The fleet at a glance.
    pub async fn glance(&self) -> Result<Overview> {
        match self {
            Self::Local(here) => Ok(here.view().overview().await?),
            Self::Remote(client) => client.get("/overview", &[]).await,
        }
    }

    /// All pods.
    pub async fn pods(&self) -> Result<Vec<PodLine>> {
        match self {
            Self::Local(here) => pods(here.store(), &here.person).await,
            Self::Remote(client) => pages(usize::MAX, |limit, after| client.page("/pods", limit, after)).await,
        }
    }

    /// One pod.
    pub async fn pod(&self, id: &PodId) -> Result<PodDetail> {
        let found = match self {
            Self::Local(here) => here.view().pod(id).await?,
            Self::Remote(client) => client.find(&format!("/pods/{id}")).await?,
        };
        found.with_context(|| missing(id))
    }

    /// What a pod used over the last day, oldest first.
    pub async fn usage(&self, id: &PodId) -> Result<Vec<UsagePoint>> {
        let found = match self {
            Self::Local(here) => here.view().usage(id).await?,
            Self::Remote(client) => client.find(&format!("/pods/{id}/usage")).await?,
        };
        found.with_context(|| missing(id))
    }

    /// The newest events, oldest first: all, or those of a pod.
    pub async fn events(&self, pod: Option<&PodId>, most: usize) -> Result<Vec<EventLine>> {
        let mut events = match self {
            Self::Local(here) => {
                let view = here.view();
                let page = |limit, after| async move {
                    let query = EventQuery { pod: pod.cloned(), limit, after, ..EventQuery::default() };
                    Ok(view.events(&query).await?)
                };
                let events = pages(most, page).await?;
                if let Some(id) = pod
                    && events.is_empty()
                    && view.lines(std::slice::from_ref(id)).await?.is_empty()
                {
                    bail!(missing(id));
                }
                events
            }
            Self::Remote(client) => {
                let path = pod.map_or_else(|| "/events".into(), |id| format!("/pods/{id}/events"));
                let events = pages(most, |limit, after| client.page(&path, limit, after)).await;
                refusal::or_missing(events)?.with_context(|| pod.map_or_else(String::new, missing))?
            }
        };
        events.reverse();
        Ok(events)
    }

    /// What became of the source.
    pub async fn source(&self) -> Result<SourceLine> {
        match self {
            Self::Local(here) => all_of_it(here.view().source().await?),
            Self::Remote(client) => client.get("/source", &[]).await,
        }
    }

    /// The newest revisions, oldest first.
    pub async fn revisions(&self, most: usize) -> Result<Vec<RevisionLine>> {
        let mut revisions = match self {
            Self::Local(here) => {
                let view = here.view();
                let page = |limit, after: Option<String>| async move {
                    all_of_it(view.revisions(limit, after.as_deref()).await?)
                };
                pages(most, page).await?
            }
            Self::Remote(client) => pages(most, |limit, after| client.page("/revisions", limit, after)).await?,
        };
        revisions.reverse();
        Ok(revisions)
    }

    /// One revision.
    pub async fn revision(&self, id: i64) -> Result<Option<RevisionLine>> {
        match self {
            Self::Local(here) => Ok(here.view().revision(id).await?),
            Self::Remote(client) => client.find(&format!("/revisions/{id}")).await,
        }
    }

    /// Tenants, and what their pods take.
    pub async fn tenants(&self) -> Result<Vec<TenantLine>> {
        match self {
            Self::Local(here) => Ok(here.view().tenants().await?),
            Self::Remote(client) => client.get("/tenants", &[]).await,
        }
    }

    /// Adapters in force.
    pub async fn adapters(&self) -> Result<Vec<AdapterLine>> {
        match self {
            Self::Local(here) => all_of_it(here.view().adapters().await?),
            Self::Remote(client) => client.get("/adapters", &[]).await,
        }
    }

    /// Asks for something; `name` says who does, where that is not the token's account.
    pub async fn ask(&self, what: RequestSpec, name: Option<String>, now: OffsetDateTime) -> Result<RequestLine> {
        match self {
            Self::Local(here) => {
                let request = Request { what, actor: name.unwrap_or_else(ask::actor_at_host) };
                let id = match here.store().ask(&request, now).await? {
                    Ok(id) => id,
                    Err(refusal) => bail!("{refusal}"),
                };
                self.request(id).await
            }
            Self::Remote(_) if name.is_some() => {
                bail!("over --server it is the token's account that asks; leave out --as")
            }
            Self::Remote(client) => client.post("/requests", &Ask::of(what, now)).await,
        }
    }

    /// What became of a request.
    pub async fn request(&self, id: i64) -> Result<RequestLine> {
        let found = match self {
            Self::Local(here) => here.store().request(id).await?.map(RequestLine::from),
            Self::Remote(client) => client.find(&format!("/requests/{id}")).await?,
        };
        found.context("the request is gone: its pod was purged")
    }

    /// Begins to hear of events.
    pub async fn watch(&self) -> Result<UpdateStream> {
        match self {
            Self::Local(here) => UpdateStream::of_database(here.database.store.clone(), here.person.clone()).await,
            Self::Remote(client) => UpdateStream::of_server(client).await,
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

/// All pods in this database.
pub async fn pods_in(store: &Store) -> Result<Vec<PodLine>> {
    pods(store, &everybody()).await
}

async fn pods(store: &Store, person: &Person) -> Result<Vec<PodLine>> {
    let view = store.view(person);
    let page = |limit, after| async move { Ok(view.pods(&PodQuery { limit, after, ..PodQuery::default() }).await?) };
    pages(usize::MAX, page).await
}

/// Page after page, until there is no more or enough.
async fn pages<T: DeserializeOwned, F>(most: usize, page: impl Fn(u32, Option<String>) -> F) -> Result<Vec<T>>
where
    F: Future<Output = Result<Page<T>>>,
{
    let (mut all, mut after) = (Vec::new(), None);
    while all.len() < most {
        let part = page((most - all.len()).min(PAGE) as u32, after).await?;
        all.extend(part.items);
        after = part.next;
        if after.is_none() {
            break;
        }
    }
    Ok(all)
}

/// Who may open the database may see all that is in it.
fn everybody() -> Person {
    Person { name: ask::actor(), role: Role::Operator, tenant: None }
}

fn all_of_it<T>(answer: Option<T>) -> Result<T> {
    answer.context("this is not for somebody of one tenant")
}

fn missing(id: &PodId) -> String {
    format!("there is no pod {id}; agentpod status lists the pods")
}
