//! Templates and assets, embedded in the program. Everything put into a page is escaped, an undefined name is an error, and
//! nothing is read from disk.

use std::{collections::BTreeMap, sync::LazyLock};

use minijinja::{
    AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior, Value, context, syntax::SyntaxConfig, value::Serde,
};
use serde::Serialize;

use super::{Frame, PageContent};
use crate::core::decide::request_kind::RequestKind;

macro_rules! templates {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_str!(concat!("../../../templates/dashboard/", $name)))),*]
    };
}

/// Every template by its name.
const TEMPLATES: [(&str, &str); 22] = templates![
    "account.html",
    "adapters.html",
    "base.html",
    "events.html",
    "field.html",
    "logs.html",
    "macros.html",
    "manifest.html",
    "new.html",
    "open.html",
    "overview.html",
    "plain.html",
    "pod.html",
    "pods.html",
    "problem.html",
    "refusal.html",
    "revision.html",
    "settings.html",
    "sign-in.html",
    "source.html",
    "tenant.html",
    "tenants.html",
];

static ENVIRONMENT: LazyLock<Environment<'static>> =
    LazyLock::new(|| environment(TEMPLATES.into_iter().map(|(name, text)| (name.to_owned(), text.to_owned()))));

/// An environment with these templates. One that does not compile is left out; a test renders every one.
pub(crate) fn environment(templates: impl IntoIterator<Item = (String, String)>) -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    if let Ok(syntax) = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build() {
        environment.set_syntax(syntax);
    }
    let assets: BTreeMap<&str, String> =
        crate::dashboard::assets::all().map(|asset| (asset.file, asset.path())).collect();
    environment.add_function("asset", move |file: &str| -> Result<Value, Error> {
        let missing = || Error::new(ErrorKind::InvalidOperation, format!("there is no asset {file}"));
        // Our own URLs need no escaping, and a page has many.
        assets.get(file).cloned().map(Value::from_safe_string).ok_or_else(missing)
    });
    let requests: BTreeMap<&str, Value> =
        RequestKind::ALL.iter().map(|kind| (kind.as_str(), Value::from(Serde(kind.info())))).collect();
    environment.add_global("requests", Value::from(requests));
    for (name, text) in templates {
        if let Err(error) = environment.add_template_owned(name.clone(), text) {
            tracing::error!("the template {name} does not compile: {error:#}");
        }
    }
    environment
}

/// A page in its frame.
pub fn document<P: PageContent>(frame: &Frame, page: &P) -> Result<String, Error> {
    ENVIRONMENT.get_template(P::TEMPLATE)?.render(context! { frame => Serde(frame), page => Serde(page) })
}

/// A page without a frame, like the sign-in.
pub fn fragment(template: &str, values: &impl Serialize) -> Result<String, Error> {
    ENVIRONMENT.get_template(template)?.render(Serde(values))
}
