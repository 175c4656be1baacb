//! A login link from a running agent: which command gives the ticket, and what the link is made of. The edges run the
//! command; its answer is a credential, and no error repeats it.

use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::{AdapterFiles, Adapters, Login, read};
use crate::core::{
    declare::{desired::pod_values, edit::SourceFiles, manifest, resolve},
    names::PodId,
    site::Site,
};

/// Why an agent's answer gives no link.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoTicket {
    #[error("its answer has no JSON in it")]
    NoJson,
    #[error("its answer is not valid JSON")]
    InvalidJson,
    #[error("its answer has nothing at {0}")]
    NothingThere(String),
    #[error("its answer has no {0}")]
    NoParameter(String),
    #[error("the login link cannot be rendered")]
    Link,
}

/// How to get into a pod.
pub(crate) struct PodLogin {
    /// Its URL.
    pub(crate) url: String,
    /// How its agent gives a login link, if it does.
    pub(crate) login: Option<Login>,
    values: Value,
    adapters: Adapters,
}

impl PodLogin {
    /// How to get into a declared pod; `None` if it is not declared.
    pub(crate) fn of(files: &SourceFiles, adapters: &AdapterFiles, site: &Site, id: &PodId) -> Option<Self> {
        let (adapters, _) = read(adapters);
        let (manifests, _) = manifest::read(files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())));
        let (mut resolved, _) = resolve::resolve(&manifests, &adapters);
        let pod = resolved.pods.remove(id)?;
        let values = pod_values(site, &pod);
        let url = values["url"].as_str().unwrap_or_default().to_owned();
        Some(Self { url, login: pod.adapter.spec.login.clone(), values, adapters })
    }

    /// The link, from what the agent's command printed.
    pub(crate) fn link(&self, login: &Login, answer: &str) -> Result<String, NoTicket> {
        let ticket = login.ticket(answer)?;
        let values = json!({"pod": self.values, "ticket": ticket});
        self.adapters.templates.render_text(&login.link, &values).map_err(|_| NoTicket::Link)
    }
}

impl Login {
    /// The ticket in what the agent's command printed.
    pub(crate) fn ticket(&self, answer: &str) -> Result<String, NoTicket> {
        let start = answer.find('{').ok_or(NoTicket::NoJson)?;
        let answer: Value = serde_json::Deserializer::from_str(&answer[start..])
            .into_iter()
            .next()
            .and_then(Result::ok)
            .ok_or(NoTicket::InvalidJson)?;
        let text = answer.pointer(&self.pointer).and_then(Value::as_str);
        let text = text.ok_or_else(|| NoTicket::NothingThere(self.pointer.clone()))?;
        let Some(parameter) = &self.parameter else { return Ok(text.to_owned()) };
        text.split(['?', '#', '&'])
            .skip(1)
            .find_map(|pair| pair.strip_prefix(parameter.as_str())?.strip_prefix('='))
            .map(|value| percent_decode_str(value).decode_utf8_lossy().into_owned())
            .ok_or_else(|| NoTicket::NoParameter(parameter.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(parameter: Option<&str>) -> Login {
        Login {
            exec: vec![],
            pointer: "/url".into(),
            parameter: parameter.map(Into::into),
            link: String::new(),
            valid_for: None,
        }
    }

    #[test]
    fn the_ticket_is_found_in_query_or_fragment_even_after_other_output() {
        let answer = "starting…\n{\"url\": \"http://x/#a=1&bootstrapToken=q%2Bz&b=2\"}\n";
        assert_eq!(login(Some("bootstrapToken")).ticket(answer).unwrap(), "q+z");
        assert_eq!(login(None).ticket("{\"url\": \"t\"}").unwrap(), "t");
    }

    #[test]
    fn an_answer_without_a_ticket_is_an_error_that_does_not_repeat_it() {
        for answer in ["", "nothing", "{\"url\": 1}", "{\"url\": \"http://x/?secret=1\"}"] {
            let error = login(Some("ticket")).ticket(answer).unwrap_err().to_string();
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
