//! The body of a delivery: which references were pushed, in each forge's own form.

use std::borrow::Cow;

use serde::Deserialize;

use super::Delivery;

/// What a delivery's body says about a push.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Push {
    /// The kind of event, if the body says it.
    pub(super) kind: Option<String>,
    /// The references, like `refs/heads/main`; Bitbucket and Azure push several at once.
    pub(super) references: Vec<String>,
}

/// GitHub's, Gitea's, Forgejo's, GitLab's, Bitbucket's and Azure's bodies in one: their fields have different names.
#[derive(Deserialize)]
struct Body {
    #[serde(rename = "ref")]
    reference: Option<String>,
    object_kind: Option<String>,
    event_name: Option<String>,
    /// Bitbucket Cloud.
    push: Option<CloudPush>,
    /// Bitbucket Data Center; GitLab's events of other kinds have an object of this name.
    changes: Option<Changes>,
    #[serde(rename = "eventType")]
    event_type: Option<String>,
    /// Azure DevOps.
    resource: Option<AzureResource>,
}

#[derive(Deserialize)]
struct CloudPush {
    changes: Vec<CloudChange>,
}

#[derive(Deserialize)]
struct CloudChange {
    new: Option<CloudReference>,
    old: Option<CloudReference>,
}

#[derive(Deserialize)]
struct CloudReference {
    #[serde(rename = "type")]
    kind: String,
    name: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Changes {
    DataCenter(Vec<DataCenterChange>),
    Other(serde::de::IgnoredAny),
}

#[derive(Deserialize)]
struct DataCenterChange {
    #[serde(rename = "refId")]
    reference: String,
}

#[derive(Deserialize)]
struct AzureResource {
    #[serde(rename = "refUpdates", default)]
    updates: Vec<AzureUpdate>,
}

#[derive(Deserialize)]
struct AzureUpdate {
    name: String,
}

/// Parses a body; `None` if it is neither JSON nor a form with JSON in it, or not an object.
pub(super) fn parse(delivery: &Delivery<'_>) -> Option<Push> {
    let kind = delivery.headers.get("content-type").copied().unwrap_or_default();
    let is_form = kind.trim_start().to_ascii_lowercase().starts_with("application/x-www-form-urlencoded");
    let json = if is_form {
        let field = form_urlencoded::parse(delivery.body).find(|(name, _)| name == "payload");
        Cow::Owned(field?.1.into_owned().into_bytes())
    } else {
        Cow::Borrowed(delivery.body)
    };
    let body: Body = serde_json::from_slice(&json).ok()?;
    let cloud = body.push.into_iter().flat_map(|push| push.changes).filter_map(|change| change.new.or(change.old));
    let cloud = cloud.map(|CloudReference { kind, name }| match kind.as_str() {
        "tag" | "annotated_tag" => format!("refs/tags/{name}"),
        _ => format!("refs/heads/{name}"),
    });
    let data_center = match body.changes {
        Some(Changes::DataCenter(changes)) => changes,
        Some(Changes::Other(_)) | None => Vec::new(),
    };
    let azure = body.resource.into_iter().flat_map(|resource| resource.updates).map(|update| update.name);
    Some(Push {
        kind: body.object_kind.or(body.event_name).or(body.event_type),
        references: body
            .reference
            .into_iter()
            .chain(cloud)
            .chain(data_center.into_iter().map(|change| change.reference))
            .chain(azure)
            .collect(),
    })
}
