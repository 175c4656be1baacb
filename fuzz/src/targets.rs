//! The fuzz targets: any input is allowed, and nothing may panic, hang or contradict itself. `tests/pure/corpus.rs` runs the
//! committed corpus through the same functions.

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

use ring::hmac;
use time::OffsetDateTime;

use super::core::{
    declare::{
        adapter::{self, AdapterFiles, Adapters},
        desired,
        infra::NetworkSpec,
        manifest, resolve,
    },
    secret::SecretRoots,
    site::{Scheme, Site},
    webhook::{self, Delivery, DeliveryOutcome, HEADERS, RecentDeliveries, WebhookKeys},
};

/// A public test secret.
const SECRET: &str = "a secret of the fuzzer's own";

/// Builds the desired state from a manifest file. Returns whether the file is valid.
pub fn manifest(bytes: &[u8]) -> bool {
    let (manifests, mut problems) = manifest::read([("a.yaml", bytes)]);
    let (resolved, found) = resolve::resolve(&manifests, adapters());
    problems.extend(found);
    let built = desired::build(&manifests, adapters(), site(), &BTreeMap::new(), &BTreeMap::new());
    match built {
        Ok(desired) => {
            assert_eq!(desired.pods.len(), resolved.pods.len(), "the desired state has every resolved pod");
            if problems.is_empty() {
                assert_eq!(desired.pods.len(), manifests.pods.len(), "a pod got lost without a problem");
            }
        }
        Err(found) => {
            assert!(!found.is_empty(), "it does not build, but there is no problem");
            problems.extend(found);
        }
    }
    for problem in &problems {
        assert!(!problem.to_string().is_empty() && !problem.file.is_empty());
    }
    problems.is_empty() && !manifests.pods.is_empty()
}

/// Reads an adapter and, after a line `=====`, the template it renders to `/config/agent`, and builds a pod of it. Returns
/// whether both are valid.
pub fn adapter(bytes: &[u8]) -> bool {
    const SEPARATOR: &[u8] = b"\n=====\n";
    let (manifest, template) = match bytes.windows(SEPARATOR.len()).position(|part| part == SEPARATOR) {
        Some(end) => (&bytes[..end], &bytes[end + SEPARATOR.len()..]),
        None => (bytes, &[][..]),
    };
    let files = AdapterFiles {
        adapters: [("echo/adapter.yaml".into(), manifest.to_vec())].into(),
        templates: [("echo/echo.json.j2".into(), template.to_vec())].into(),
    };
    let (adapters, problems) = adapter::read(&files);
    for problem in &problems {
        assert!(!problem.to_string().is_empty() && problem.to_string().len() < 8_000);
    }
    assert!(problems.len() <= 1_001, "{} problems", problems.len());
    let pod = b"apiVersion: agentpod.dev/v1\nkind: Tenant\nmetadata: {name: a}\n---\napiVersion: agentpod.dev/v1\nkind: Pod\n\
        metadata: {name: a, tenant: a}\nspec: {adapter: echo, subdomain: a}\n";
    let (manifests, _) = manifest::read([("a.yaml", pod.as_slice())]);
    let built = desired::build(&manifests, &adapters, site(), &BTreeMap::new(), &BTreeMap::new());
    problems.is_empty() && built.is_ok_and(|desired| desired.pods.len() == 1)
}

/// Decides about a request to the webhook: lines `header: value`, an empty line, the body. `$TOKEN` as a value is replaced by
/// the secret, and `$SIGNATURE` by the body's signature, so that valid signatures are tried too. Returns whether the delivery
/// is accepted.
pub fn webhook(bytes: &[u8]) -> bool {
    static KEYS: OnceLock<WebhookKeys> = OnceLock::new();
    let keys = KEYS.get_or_init(|| WebhookKeys::parse(SECRET).expect("it is long enough"));
    let (head, body) = match bytes.windows(2).position(|two| two == b"\n\n") {
        Some(end) => (&bytes[..end], &bytes[end + 2..]),
        None => (bytes, &[][..]),
    };
    let head = String::from_utf8_lossy(head);
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes()), body);
    let signature: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let headers: BTreeMap<&str, String> = head
        .lines()
        .filter_map(|line| line.split_once(": "))
        .filter(|(name, _)| HEADERS.contains(name))
        .map(|(name, value)| (name, value.replace("$TOKEN", SECRET).replace("$SIGNATURE", &signature)))
        .collect();
    let headers = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let delivery = Delivery { headers, body };
    let now = OffsetDateTime::UNIX_EPOCH + time::Duration::days(20_000);
    let mut recent = RecentDeliveries::default();
    let first = webhook::decide(&delivery, keys, Some("main"), &mut recent, now);
    let accepted = matches!(first, DeliveryOutcome::Accepted { .. });
    if accepted {
        let again = webhook::decide(&delivery, keys, Some("main"), &mut recent, now);
        // Without an ID, a delivery with a plain token has no mark: its sender knows the token and needs no replay.
        let has_no_mark =
            delivery.headers.contains_key("x-gitlab-token") && !delivery.headers.contains_key("x-gitlab-event-uuid");
        assert!(
            has_no_mark || !matches!(again, DeliveryOutcome::Accepted { .. }),
            "the same delivery is accepted twice"
        );
        let stranger = WebhookKeys::parse("another secret, which nobody uses").expect("it is long enough");
        let answer = webhook::decide(&delivery, &stranger, Some("main"), &mut RecentDeliveries::default(), now);
        assert!(matches!(answer, DeliveryOutcome::Refused(_)), "a delivery without the secret is accepted");
    }
    accepted
}

/// The shipped echo adapter.
fn adapters() -> &'static Adapters {
    static ADAPTERS: OnceLock<Adapters> = OnceLock::new();
    ADAPTERS.get_or_init(|| {
        let text = |text: &str| text.as_bytes().to_vec();
        let files = AdapterFiles {
            adapters: [("echo/adapter.yaml".into(), text(include_str!("../../adapters/echo/adapter.yaml")))].into(),
            templates: [("echo/echo.json.j2".into(), text(include_str!("../../templates/echo/echo.json.j2")))].into(),
        };
        let (adapters, problems) = adapter::read(&files);
        assert!(problems.is_empty(), "{problems:?}");
        adapters
    })
}

fn site() -> &'static Site {
    static SITE: OnceLock<Arc<Site>> = OnceLock::new();
    SITE.get_or_init(|| {
        Arc::new(Site {
            instance: "fuzz".parse().expect("it is a name"),
            domain: "example.com".into(),
            scheme: Scheme::Https,
            port: None,
            entry_point: "websecure".into(),
            cert_resolver: None,
            network: NetworkSpec {
                name: "agentpod-net".into(),
                subnet: "10.0.0.0/24".into(),
                pool: "10.0.0.128/25".into(),
                mtu: None,
                labels: Default::default(),
            },
            proxy_address: [10, 0, 0, 2].into(),
            secrets: SecretRoots::anywhere(),
        })
    })
}
