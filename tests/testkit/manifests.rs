//! Manifests as text.

/// A tenant.
pub fn tenant(name: &str) -> String {
    format!("{{apiVersion: agentpod.dev/v1, kind: Tenant, metadata: {{name: {name}}}}}\n")
}

/// A pod on `echo`: `TENANT/POD`, and the fields of its spec beside the adapter.
pub fn pod(id: &str, spec: &str) -> String {
    let (tenant, pod) = id.split_once('/').unwrap();
    format!(
        "{{apiVersion: agentpod.dev/v1, kind: Pod, metadata: {{name: {pod}, tenant: {tenant}}}, spec: {{adapter: echo, {spec}}}}}\n"
    )
}

/// A tenant with one pod, `assistant`, at a subdomain of the tenant's name, and whatever else stands in its spec.
pub fn echo(name: &str, more: &str) -> String {
    together(&[tenant(name), pod(&format!("{name}/assistant"), &format!("subdomain: {name}, {more}"))])
}

/// Several in one file.
pub fn together(manifests: &[String]) -> String {
    manifests.join("---\n")
}
