//! The engine's commands that remedies and errors tell a person to run. The only file outside `engine/` that spells them;
//! another engine brings other commands. Nothing here runs one.

/// Stops a container.
pub(crate) fn stop(container: &str) -> String {
    format!("docker stop {container}")
}

/// Continues a paused container.
pub(crate) const UNPAUSE: &str = "docker unpause";

/// Deletes a volume with its data.
pub(crate) fn remove_volume(name: &str) -> String {
    format!("docker volume rm {name}")
}

/// Lists the containers that use a volume.
pub(crate) fn list_volume_users(name: &str) -> String {
    format!("docker ps --all --filter volume={name}")
}

/// Removes a network.
pub(crate) fn remove_network(name: &str) -> String {
    format!("docker network rm {name}")
}

/// Runs the proxy with the configuration file beside it, at the address that pods trust.
pub(crate) fn run_proxy(network: &str, address: &str) -> String {
    format!(
        "docker run --detach --name agentpod-proxy --restart unless-stopped --network {network} --ip {address} \
         --publish 80:80 --publish 443:443 --volume ./traefik.yaml:/etc/traefik/traefik.yaml:ro \
         --volume /var/run/docker.sock:/var/run/docker.sock:ro traefik:v3.7"
    )
}

/// Removes images that no container uses.
pub(crate) const PRUNE_IMAGES: &str = "docker image prune";
