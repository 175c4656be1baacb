//! `POST /dashboard/pods/T/P/open`: asks a running agent for a login link, which works once, and leads there. A pod whose
//! agent gives none is opened at its URL.

use std::time::Duration;

use warp::{
    http::{HeaderValue, header},
    reply::Response,
};

use super::{
    Handlers, PageRequest,
    lines::is_web,
    pod::{id, missing},
};
use crate::{
    core::declare::adapter::PodLogin,
    dashboard::{pages::open::OpenPage, refusal::Refusal},
};

/// How long an agent may take to create a link.
const LINK_TIMEOUT: Duration = Duration::from_secs(60);

impl Handlers {
    pub(crate) async fn open(&self, page_request: &PageRequest, tenant: &str, name: &str) -> Result<Response, Refusal> {
        let id = id(tenant, name)?;
        let person = &page_request.visitor.person;
        if !person.sees(&id.tenant) {
            return Err(missing(&id));
        }
        page_request.visitor.needs(person.may_request(&id.tenant))?;
        let site = self.api.settings.site.clone().ok_or_else(Refusal::internal)?;
        let revision = self.api.store.last_accepted().await?.ok_or_else(|| missing(&id))?;
        let pod = id.clone();
        let login = tokio::task::spawn_blocking(move || {
            PodLogin::of(&revision.files, &revision.adapters.unwrap_or_default(), &site, &pod)
        });
        let login = login.await.map_err(|_| Refusal::internal())?.ok_or_else(|| missing(&id))?;
        let (link, valid_for) = match &login.login {
            None => (login.url.clone(), None),
            Some(asked) => {
                let logs = self.api.logs.borrow().clone();
                let agents = logs.ok_or_else(|| {
                    Refusal::unavailable("this AgentPod is a standby and does not reach agents; ask the active one")
                })?;
                let answer = agents.exec(&id, &asked.exec, LINK_TIMEOUT).await;
                let answer = answer.map_err(|why| Refusal::unavailable(format!("{id} gives no login link: {why}")))?;
                if answer.code != 0 {
                    // What it printed may have a credential in it.
                    let why = format!("{} ended with code {}", asked.exec.join(" "), answer.code);
                    return Err(Refusal::unavailable(format!("{id} gives no login link: {why}; its log may say more")));
                }
                let link = login.link(asked, &answer.stdout);
                let link = link.map_err(|why| Refusal::unavailable(format!("{id} gives no login link: {why}")))?;
                (link, asked.valid_for)
            }
        };
        if !is_web(&link) {
            return Err(Refusal::unavailable(format!("the login link of {id} is not an address for a browser")));
        }
        let refresh = HeaderValue::try_from(format!("0; url={link}")).ok();
        let page = OpenPage::new(super::lines::name(&id), link, valid_for.map(|span| span.to_string()));
        let mut answer = self.write(page_request, &page)?;
        if let Some(mut refresh) = refresh {
            refresh.set_sensitive(true);
            answer.headers_mut().insert(header::REFRESH, refresh);
        }
        Ok(answer)
    }
}
