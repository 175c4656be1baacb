//! Pages without a frame, as responses: the sign-in, and refusals.

use serde::Serialize;
use warp::{Reply, http::StatusCode, reply::Response};

use super::pages;

/// A page.
pub(crate) fn page(name: &str, values: impl Serialize) -> Response {
    match pages::fragment(name, &values) {
        Ok(text) => warp::reply::html(text).into_response(),
        Err(error) => {
            tracing::error!("the page {name} could not be rendered: {error:#}");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
