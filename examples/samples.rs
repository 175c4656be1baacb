//! Serves every page of the dashboard with its sample, for looking at and for pictures (`make pictures`). Prints where, and
//! ends when its standard input does.

#![allow(clippy::disallowed_methods, reason = "tests and benches read the clock")]

use std::{collections::BTreeMap, io::Read, net::Ipv4Addr, sync::Arc};

use agentpod::dashboard::{
    assets,
    pages::{
        Frame, PageContent, adapters::AdaptersPage, document, fragment, logs::LogsPage, new::NewPodPage,
        overview::OverviewPage, pod::PodPage, pods::PodsPage, settings::SettingsPage, source::SourcePage,
        tenant::TenantPage, tenants::TenantsPage,
    },
};
use anyhow::{Context, Result};
use futures_util::StreamExt;
use serde_json::json;
use tokio::net::TcpListener;
use warp::{Filter, Reply, filters::ws::Ws, http::StatusCode, path::FullPath, reply::Response};

fn written<P: PageContent>() -> Result<String> {
    let page = P::sample();
    document(&Frame::sample(&page.title(), P::TAB), &page).with_context(|| P::TEMPLATE)
}

fn pages() -> Result<BTreeMap<&'static str, String>> {
    let sign_in = json!({"problem": null, "next": "/dashboard", "name": ""});
    Ok(BTreeMap::from([
        ("/overview", written::<OverviewPage>()?),
        ("/pods", written::<PodsPage>()?),
        ("/pod", written::<PodPage>()?),
        ("/logs", written::<LogsPage>()?),
        ("/new-pod", written::<NewPodPage>()?),
        ("/tenants", written::<TenantsPage>()?),
        ("/tenant", written::<TenantPage>()?),
        ("/adapters", written::<AdaptersPage>()?),
        ("/source", written::<SourcePage>()?),
        ("/settings", written::<SettingsPage>()?),
        ("/sign-in", fragment("sign-in.html", &sign_in)?),
    ]))
}

fn answer(pages: &BTreeMap<&'static str, String>, path: &str) -> Response {
    match (pages.get(path), assets::at(path)) {
        (Some(text), _) => warp::reply::html(text.clone()).into_response(),
        (None, Some(asset)) => warp::reply::with_header(asset.bytes, "content-type", asset.kind).into_response(),
        (None, None) => StatusCode::NOT_FOUND.into_response(),
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let pages = Arc::new(pages()?);
    // Whoever looks on is told nothing, and stays.
    let watch = warp::path!("api" / "v1" / "watch")
        .and(warp::ws())
        .map(|ws: Ws| ws.on_upgrade(|socket| async move { socket.for_each(|_| async {}).await }).into_response());
    let page = warp::path::full().map(move |path: FullPath| answer(&pages, path.as_str()));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    println!("http://{}", listener.local_addr()?);
    let (ended, end) = tokio::sync::oneshot::channel::<()>();
    std::thread::spawn(move || {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        let _ = ended.send(());
    });
    tokio::select! {
        () = warp::serve(watch.or(page)).incoming(listener).run() => {}
        _ = end => {}
    }
    Ok(())
}
