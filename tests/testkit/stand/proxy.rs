//! Traefik, the real one, with the settings that are shipped: only the names are the stand's.

use std::fs;

use super::place::Place;
use crate::testkit::{docker::docker, site::shipped};

const IMAGE: &str = "agentpod/traefik:3.7.15";

/// Starts it at an address of the place's network.
pub fn start(place: &Place, address: &str) {
    let settings = shipped("deploy/traefik.yaml");
    let settings = (settings.replace("network: agentpod-net", &format!("network: {}", place.name)))
        .replace("`agentpod.instance`, `agentpod`", &format!("`agentpod.instance`, `{}`", place.name));
    assert_eq!(settings.matches(&place.name).count(), 2, "deploy/traefik.yaml names network and instance once each");
    let file = place.folder.join("traefik.yaml");
    fs::write(&file, settings).unwrap();
    let port = format!("127.0.0.1:{}:80", place.proxy_port);
    let file = format!("{}:/etc/traefik/traefik.yml:ro", file.display());
    let name = format!("{}-traefik", place.name);
    docker(&[
        "run",
        "--detach",
        "--name",
        &name,
        "--label",
        &place.label(),
        "--network",
        &place.name,
        "--ip",
        address,
        "--publish",
        &port,
        "--volume",
        &file,
        "--volume",
        "/var/run/docker.sock:/var/run/docker.sock:ro",
        IMAGE,
    ]);
}
