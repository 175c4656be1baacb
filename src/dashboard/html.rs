//! Pages out of templates that are part of the program. Everything put into them is escaped; nothing is read from disk.

use std::sync::LazyLock;

use minijinja::{AutoEscape, Environment, UndefinedBehavior, value::Serde};
use serde::Serialize;
use warp::{Reply, http::StatusCode, reply::Response};

/// Every template by its name.
const TEMPLATES: [(&str, &str); 3] = [
    ("plain.html", include_str!("../../templates/dashboard/plain.html")),
    ("sign-in.html", include_str!("../../templates/dashboard/sign-in.html")),
    ("refusal.html", include_str!("../../templates/dashboard/refusal.html")),
];

static PAGES: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut pages = Environment::new();
    pages.set_undefined_behavior(UndefinedBehavior::Strict);
    pages.set_auto_escape_callback(|_| AutoEscape::Html);
    for (name, text) in TEMPLATES {
        if let Err(error) = pages.add_template(name, text) {
            tracing::error!("the page {name} is broken: {error}");
        }
    }
    pages
});

/// A page.
pub fn page(name: &str, values: impl Serialize) -> Response {
    match PAGES.get_template(name).and_then(|page| page.render(Serde(&values))) {
        Ok(text) => warp::reply::html(text).into_response(),
        Err(error) => {
            tracing::error!("the page {name} cannot be shown: {error:#}");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
