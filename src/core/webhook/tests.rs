//! Deliveries as the forges really send them; their bodies are in `tests/hooks`.

use super::{
    keys::MAX_SECRETS,
    recent::{MAX_MARKS, REPLAY_WINDOW, Seen},
    *,
};
use crate::core::digest::Digest;

const SECRET: &str = "3f6ae0c5d1b94a7e8b2c";
const SIGNING_TOKEN: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const GITHUB: &[u8] = include_bytes!("../../../tests/hooks/github-push.json");
const GITHUB_FORM: &[u8] = include_bytes!("../../../tests/hooks/github-push.form");
const GITHUB_PING: &[u8] = include_bytes!("../../../tests/hooks/github-ping.json");
const GITEA: &[u8] = include_bytes!("../../../tests/hooks/gitea-push.json");
const GITLAB: &[u8] = include_bytes!("../../../tests/hooks/gitlab-push.json");
// Made by another program: `openssl dgst -sha256 -hmac SECRET FILE`.
const GITHUB_SIGNATURE: &str = "sha256=5cb1497252aad1a47babcf6d131fe2af8ec703eeb49f564b3e7252af78082805";
const FORM_SIGNATURE: &str = "sha256=bf33d099331e09ba6f6a5dedc601e022fa6d821c961aaf5370e6b0ff16c4b838";
const PING_SIGNATURE: &str = "sha256=e9adfe1f262bb25dbc6b76d21c19c9a56e64de83974dca578a9ee5688737778f";
const GITEA_SIGNATURE: &str = "9bc6d55e7b668e3109380b34f6f1bb2ac9b62a655e6219f5a509ef9e9ac16020";
const GITEA_AS_GITHUB: &str = "sha256=9bc6d55e7b668e3109380b34f6f1bb2ac9b62a655e6219f5a509ef9e9ac16020";
const GITLAB_SIGNATURE: &str = "v1,gnvJOrsAWbKQYuG2VedZtQ0jt31OeskMezJJHEM4yKQ=";
const SIGNED_AT: i64 = 1_795_512_345;

type Headers = Vec<(&'static str, &'static str)>;

fn now() -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(SIGNED_AT + 3).unwrap()
}

fn keys() -> WebhookKeys {
    WebhookKeys::parse(&format!("{SECRET}\n{SIGNING_TOKEN}\n")).unwrap()
}

fn github() -> Headers {
    vec![
        ("content-type", "application/json"),
        ("x-github-event", "push"),
        ("x-github-delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958"),
        ("x-hub-signature-256", GITHUB_SIGNATURE),
    ]
}

fn gitea() -> Headers {
    vec![
        ("content-type", "application/json"),
        ("x-gitea-event", "push"),
        ("x-gitea-delivery", "f6266f16-1bf3-46a5-9ea4-602e06ead473"),
        ("x-gitea-signature", GITEA_SIGNATURE),
        ("x-github-event", "push"),
        ("x-github-delivery", "f6266f16-1bf3-46a5-9ea4-602e06ead473"),
        ("x-hub-signature-256", GITEA_AS_GITHUB),
    ]
}

fn gitlab_signed() -> Headers {
    vec![
        ("content-type", "application/json"),
        ("webhook-id", "0b5b8c1e-7a1b-4f55-9a64-6d1a2f7e3c90"),
        ("webhook-timestamp", "1795512345"),
        ("webhook-signature", GITLAB_SIGNATURE),
        ("x-gitlab-event-uuid", "13792a34-cac6-4fda-95a8-c58e00a3954e"),
    ]
}

fn gitlab_token() -> Headers {
    vec![
        ("content-type", "application/json"),
        ("x-gitlab-token", SECRET),
        ("x-gitlab-event-uuid", "13792a34-cac6-4fda-95a8-c58e00a3954e"),
    ]
}

fn ask(headers: &Headers, body: &[u8], followed: Option<&str>) -> DeliveryOutcome {
    let delivery = Delivery { headers: headers.iter().copied().collect(), body };
    decide(&delivery, &keys(), followed, &mut RecentDeliveries::default(), now())
}

fn with(mut headers: Headers, name: &'static str, value: &'static str) -> Headers {
    headers.retain(|(key, _)| *key != name);
    headers.push((name, value));
    headers
}

fn without(mut headers: Headers, name: &str) -> Headers {
    headers.retain(|(key, _)| *key != name);
    headers
}

fn accepted(delivery: &str) -> DeliveryOutcome {
    DeliveryOutcome::Accepted { reference: "refs/heads/main".into(), delivery: Some(delivery.into()) }
}

#[test]
fn a_push_of_each_forge_is_accepted() {
    assert_eq!(ask(&github(), GITHUB, Some("main")), accepted("72d3162e-cc78-11e3-81ab-4c9367dc0958"));
    assert_eq!(ask(&gitea(), GITEA, Some("main")), accepted("f6266f16-1bf3-46a5-9ea4-602e06ead473"));
    assert_eq!(ask(&gitlab_signed(), GITLAB, Some("main")), accepted("0b5b8c1e-7a1b-4f55-9a64-6d1a2f7e3c90"));
    assert_eq!(ask(&gitlab_token(), GITLAB, Some("main")), accepted("13792a34-cac6-4fda-95a8-c58e00a3954e"));
    let form = with(github(), "content-type", "application/x-www-form-urlencoded");
    let form = with(form, "x-hub-signature-256", FORM_SIGNATURE);
    assert_eq!(ask(&form, GITHUB_FORM, Some("main")), accepted("72d3162e-cc78-11e3-81ab-4c9367dc0958"));
    let forgejo = vec![
        ("x-forgejo-event", "push"),
        ("x-forgejo-delivery", "5a1e"),
        ("x-forgejo-signature", GITEA_SIGNATURE),
        ("x-gitea-signature", GITEA_SIGNATURE),
    ];
    assert_eq!(ask(&forgejo, GITEA, Some("main")), accepted("5a1e"));
}

const BITBUCKET: &[u8] = br#"{"push":{"changes":[{"new":{"type":"branch","name":"other"},"old":null},{"new":{"type":"branch","name":"main"},"old":{"type":"branch","name":"main"}}]}}"#;
const DATA_CENTER: &[u8] = br#"{"eventKey":"repo:refs_changed","changes":[{"ref":{"id":"refs/heads/main","displayId":"main","type":"BRANCH"},"refId":"refs/heads/main","type":"UPDATE"}]}"#;
const AZURE: &[u8] = br#"{"id":"03c164c2","eventType":"git.push","resource":{"refUpdates":[{"name":"refs/heads/main","oldObjectId":"aa","newObjectId":"bb"}]}}"#;

/// The signature of a body, as the header of GitHub and Bitbucket has it.
fn signed_by_us(body: &[u8]) -> &'static str {
    let tag = ring::hmac::sign(&ring::hmac::Key::new(ring::hmac::HMAC_SHA256, SECRET.as_bytes()), body);
    format!("sha256={}", hex::encode(tag)).leak()
}

#[test]
fn a_push_of_bitbucket_is_accepted_by_its_signature_and_only_for_the_branch_that_is_followed() {
    for (body, event) in [(BITBUCKET, "repo:push"), (DATA_CENTER, "repo:refs_changed")] {
        let headers = vec![("x-event-key", event), ("x-request-uuid", "5f1e"), ("x-hub-signature", signed_by_us(body))];
        assert_eq!(ask(&headers, body, Some("main")), accepted("5f1e"), "{event}");
        let other = ask(&headers, body, Some("production"));
        assert!(matches!(other, DeliveryOutcome::Ignored(Ignored::OtherReference(_))), "{other:?}");
        let wrong = with(headers.clone(), "x-hub-signature", signed_by_us(b"something else"));
        assert_eq!(ask(&wrong, body, None), DeliveryOutcome::Refused(DeliveryRefused::WrongSignature));
        let forked = with(headers, "x-event-key", "repo:fork");
        assert_eq!(ask(&forked, body, None), DeliveryOutcome::Ignored(Ignored::NotAPush("repo:fork".into())));
    }
    let ping = vec![("x-event-key", "diagnostics:ping"), ("x-hub-signature", signed_by_us(b"{\"test\":true}"))];
    assert_eq!(ask(&ping, b"{\"test\":true}", None), DeliveryOutcome::Ignored(Ignored::Ping));
    // GitHub's older signature beside its newer one does not count, and alone it is none.
    let sha1 = vec![("x-github-event", "push"), ("x-hub-signature", "sha1=5cb1497252aad1a47babcf6d131fe2af8ec703ee")];
    assert_eq!(ask(&sha1, GITHUB, None), DeliveryOutcome::Refused(DeliveryRefused::Unsigned));
}

#[test]
fn a_push_of_azure_is_accepted_by_basic_authentication_or_a_token() {
    use base64::{Engine as _, prelude::BASE64_STANDARD};
    let basic = |pair: String| format!("Basic {}", BASE64_STANDARD.encode(pair)).leak() as &'static str;
    for authorization in [basic(format!("anyone:{SECRET}")), format!("Bearer {SECRET}").leak()] {
        let headers = vec![("content-type", "application/json"), ("authorization", authorization)];
        let answer = ask(&headers, AZURE, Some("main"));
        let expected = DeliveryOutcome::Accepted { reference: "refs/heads/main".into(), delivery: None };
        assert_eq!(answer, expected, "{authorization}");
        let built = br#"{"eventType":"build.complete","resource":{}}"#;
        assert_eq!(ask(&headers, built, None), DeliveryOutcome::Ignored(Ignored::NotAPush("build.complete".into())));
    }
    for authorization in [basic("anyone:wrong".into()), basic(SECRET.into()), "Bearer wrong", "Bearer", "Basic %%%", ""]
    {
        let answer = ask(&vec![("authorization", authorization)], AZURE, None);
        assert_eq!(answer, DeliveryOutcome::Refused(DeliveryRefused::WrongSignature), "{authorization}");
    }
}

#[test]
fn the_signature_is_the_one_github_documents() {
    let keys = WebhookKeys::parse("It's a Secret to Everybody").unwrap();
    let signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    let headers = BTreeMap::from([("x-hub-signature-256", signature)]);
    let ask = |body: &[u8]| {
        let delivery = Delivery { headers: headers.clone(), body };
        decide(&delivery, &keys, None, &mut RecentDeliveries::default(), now())
    };
    // The signature matches, so what remains is that this is not JSON.
    assert_eq!(ask(b"Hello, World!"), DeliveryOutcome::Refused(DeliveryRefused::Unreadable));
    assert_eq!(ask(b"Hello, World?"), DeliveryOutcome::Refused(DeliveryRefused::WrongSignature));
}

#[test]
fn one_changed_byte_of_body_signature_or_signed_header_is_refused() {
    let wrong = DeliveryOutcome::Refused(DeliveryRefused::WrongSignature);
    for (headers, body) in [(github(), GITHUB), (gitea(), GITEA), (gitlab_signed(), GITLAB)] {
        let mut changed = body.to_vec();
        changed[10] ^= 1;
        assert_eq!(ask(&headers, &changed, None), wrong);
        let longer = [body, b" "].concat();
        assert_eq!(ask(&headers, &longer, None), wrong);
    }
    for (headers, name, value) in [
        (github(), "x-hub-signature-256", "sha256=5cb1497252aad1a47babcf6d131fe2af8ec703eeb49f564b3e7252af78082806"),
        (github(), "x-hub-signature-256", "5cb1497252aad1a47babcf6d131fe2af8ec703eeb49f564b3e7252af78082805"),
        (github(), "x-hub-signature-256", "sha1=5cb1497252aad1a47babcf6d131fe2af8ec703ee"),
        (github(), "x-hub-signature-256", "sha256="),
        (github(), "x-hub-signature-256", "sha256=é"),
        (gitea(), "x-gitea-signature", ""),
        (gitea(), "x-gitea-signature", "9bc6d55e7b668e31"),
        (gitlab_signed(), "webhook-id", "0b5b8c1e-7a1b-4f55-9a64-6d1a2f7e3c91"),
        (gitlab_signed(), "webhook-id", ""),
        (gitlab_signed(), "webhook-timestamp", "1795512346"),
        (gitlab_signed(), "webhook-signature", "v1a,gnvJOrsAWbKQYuG2VedZtQ0jt31OeskMezJJHEM4yKQ="),
        (gitlab_signed(), "webhook-signature", "gnvJOrsAWbKQYuG2VedZtQ0jt31OeskMezJJHEM4yKQ="),
        (gitlab_signed(), "webhook-signature", ""),
        (gitlab_token(), "x-gitlab-token", "3f6ae0c5d1b94a7e8b2d"),
        (gitlab_token(), "x-gitlab-token", "3f6ae0c5d1b94a7e8b2"),
        (gitlab_token(), "x-gitlab-token", ""),
    ] {
        let body = if headers[1].0.starts_with("x-github") {
            GITHUB
        } else if headers[1].0.starts_with("x-gitea") {
            GITEA
        } else {
            GITLAB
        };
        assert_eq!(ask(&with(headers, name, value), body, None), wrong, "{name}: {value}");
    }
}

#[test]
fn a_wrong_signature_is_not_made_up_for_by_a_valid_one_of_a_weaker_kind() {
    let both = [gitlab_signed(), gitlab_token()].concat();
    assert!(matches!(ask(&both, GITLAB, None), DeliveryOutcome::Accepted { .. }));
    let bad = with(both, "webhook-signature", "v1,AAAA");
    assert_eq!(ask(&bad, GITLAB, None), DeliveryOutcome::Refused(DeliveryRefused::WrongSignature));
    let bad = with(gitea(), "x-gitea-signature", "00");
    assert_eq!(ask(&bad, GITEA, None), DeliveryOutcome::Refused(DeliveryRefused::WrongSignature));
}

#[test]
fn a_delivery_without_a_signature_is_refused_whatever_else_it_has() {
    for (headers, name, body) in [(github(), "x-hub-signature-256", GITHUB), (gitlab_token(), "x-gitlab-token", GITLAB)]
    {
        assert_eq!(ask(&without(headers, name), body, None), DeliveryOutcome::Refused(DeliveryRefused::Unsigned));
    }
}

#[test]
fn a_plain_secret_is_never_used_as_a_signing_token() {
    let keys = WebhookKeys::parse(SECRET).unwrap();
    let delivery = Delivery { headers: gitlab_signed().into_iter().collect(), body: GITLAB };
    let answer = decide(&delivery, &keys, None, &mut RecentDeliveries::default(), now());
    assert_eq!(answer, DeliveryOutcome::Refused(DeliveryRefused::WrongSignature));
}

#[test]
fn one_of_several_secrets_and_one_of_several_signatures_is_enough() {
    let keys = WebhookKeys::parse(&format!("an-older-secret-of-ours\r\n\n  {SECRET}  \n{SIGNING_TOKEN}")).unwrap();
    let several = with(gitlab_signed(), "webhook-signature", "v1,AAAA v1,gnvJOrsAWbKQYuG2VedZtQ0jt31OeskMezJJHEM4yKQ");
    for (headers, body) in [(github(), GITHUB), (gitlab_token(), GITLAB), (several, GITLAB)] {
        let delivery = Delivery { headers: headers.into_iter().collect(), body };
        let answer = decide(&delivery, &keys, None, &mut RecentDeliveries::default(), now());
        assert!(matches!(answer, DeliveryOutcome::Accepted { .. }), "{answer:?}");
    }
}

#[test]
fn a_signed_time_far_from_the_clock_is_refused() {
    for (seconds, is_fresh) in [(-301, false), (-300, true), (300, true), (301, false)] {
        let now = OffsetDateTime::from_unix_timestamp(SIGNED_AT + seconds).unwrap();
        let delivery = Delivery { headers: gitlab_signed().into_iter().collect(), body: GITLAB };
        let answer = decide(&delivery, &keys(), None, &mut RecentDeliveries::default(), now);
        assert_eq!(answer != DeliveryOutcome::Refused(DeliveryRefused::NotFresh), is_fresh, "{seconds} s: {answer:?}");
    }
}

#[test]
fn a_replay_is_recognized_whatever_its_unsigned_headers_say() {
    let replay = DeliveryOutcome::Ignored(Ignored::Replay);
    for (headers, name, body) in [
        (github(), "x-github-delivery", GITHUB),
        (gitea(), "x-gitea-delivery", GITEA),
        (gitlab_signed(), "x-gitlab-event-uuid", GITLAB),
    ] {
        let mut recent = RecentDeliveries::default();
        let mut ask = |headers: &Headers, later: Duration| {
            let delivery = Delivery { headers: headers.iter().copied().collect(), body };
            decide(&delivery, &keys(), None, &mut recent, now() + later)
        };
        assert!(matches!(ask(&headers, Duration::ZERO), DeliveryOutcome::Accepted { .. }));
        assert_eq!(ask(&headers, Duration::SECOND), replay);
        assert_eq!(ask(&with(headers.clone(), name, "invented"), Duration::SECOND), replay);
        assert_eq!(ask(&without(headers, name), Duration::SECOND), replay);
    }
}

#[test]
fn a_delivery_is_remembered_for_an_hour_however_many_others_arrive() {
    let mut recent = RecentDeliveries::default();
    let mark = |number: usize| [Digest::of_bytes(number.to_string().as_bytes())];
    assert_eq!(recent.insert(&mark(0), now()), Seen::Never);
    for number in 1..MAX_MARKS {
        assert_eq!(recent.insert(&mark(number), now()), Seen::Never);
    }
    // There is no room for more, and none is made by forgetting an earlier one.
    assert_eq!(recent.insert(&mark(MAX_MARKS), now()), Seen::NoRoom);
    for number in [0, 10_000, MAX_MARKS - 1] {
        assert_eq!(recent.insert(&mark(number), now() + REPLAY_WINDOW), Seen::Before);
    }
    assert_eq!(recent.insert(&mark(0), now() + REPLAY_WINDOW + Duration::SECOND), Seen::Never);
}

#[test]
fn a_ping_and_other_events_are_ignored() {
    let ping = with(with(github(), "x-github-event", "ping"), "x-hub-signature-256", PING_SIGNATURE);
    assert_eq!(ask(&ping, GITHUB_PING, None), DeliveryOutcome::Ignored(Ignored::Ping));
    let issue = with(github(), "x-github-event", "issues");
    assert_eq!(ask(&issue, GITHUB, None), DeliveryOutcome::Ignored(Ignored::NotAPush("issues".into())));
    for (kind, body) in [
        ("note", r#"{"object_kind":"note"}"#),
        ("repository_update", r#"{"event_name":"repository_update","ref":"x"}"#),
    ] {
        assert_eq!(
            ask(&gitlab_token(), body.as_bytes(), None),
            DeliveryOutcome::Ignored(Ignored::NotAPush(kind.into()))
        );
    }
    let nothing = DeliveryOutcome::Ignored(Ignored::NotAPush("something without a ref".into()));
    assert_eq!(ask(&gitlab_token(), b"{}", None), nothing);
}

#[test]
fn only_pushes_to_the_followed_reference_count() {
    let push = |reference: &str| format!(r#"{{"object_kind":"push","ref":"{reference}"}}"#).into_bytes();
    let answer = |reference, followed| ask(&gitlab_token(), &push(reference), followed);
    for (reference, followed) in [
        ("refs/heads/main", Some("main")),
        ("refs/heads/main", Some("refs/heads/main")),
        ("refs/heads/feature/x", Some("feature/x")),
        ("refs/tags/v1", Some("v1")),
        ("refs/heads/anything", None),
    ] {
        assert!(
            matches!(answer(reference, followed), DeliveryOutcome::Accepted { .. }),
            "{reference} for {followed:?}"
        );
    }
    for (reference, followed) in [
        ("refs/heads/mainline", "main"),
        ("refs/heads/x/main", "main"),
        ("refs/tags/main", "refs/heads/main"),
        ("main", "refs/heads/main"),
        ("refs/notes/main", "main"),
    ] {
        let other = DeliveryOutcome::Ignored(Ignored::OtherReference(reference.into()));
        assert_eq!(answer(reference, Some(followed)), other, "{reference} for {followed}");
    }
}

#[test]
fn a_signed_body_that_is_not_a_push_is_unreadable_and_foreign_texts_stay_on_one_line() {
    for body in ["", "[]", "{\"ref\":1}", "null", "{\"ref\":\"a\",\"ref\":\"b\"}", "\u{0}"] {
        assert_eq!(
            ask(&gitlab_token(), body.as_bytes(), None),
            DeliveryOutcome::Refused(DeliveryRefused::Unreadable),
            "{body}"
        );
    }
    let form = with(gitlab_token(), "content-type", "application/x-www-form-urlencoded");
    assert_eq!(ask(&form, b"payloa=%7B%7D", None), DeliveryOutcome::Refused(DeliveryRefused::Unreadable));
    let body = format!(r#"{{"ref":"refs/heads/a\nb\u001b[31m{}"}}"#, "x".repeat(5000));
    let DeliveryOutcome::Accepted { reference, .. } = ask(&gitlab_token(), body.as_bytes(), None) else { panic!() };
    assert!(!reference.contains(char::is_control) && reference.chars().count() == MAX_QUOTED, "{reference}");
}

#[test]
fn unusable_secrets_are_refused_without_being_quoted() {
    let refused = |text: &str| WebhookKeys::parse(text).unwrap_err().to_string();
    assert!(refused(" \n\n").contains("contains no secret"));
    assert!(refused(&format!("{SECRET}\nhunter2\n")).contains("line 2"));
    assert!(refused("whsec_not!base64!at!all").contains("line 1"));
    assert!(refused("whsec_c2hvcnQgb25l").contains("signing token"));
    let many: String = (0..=MAX_SECRETS).map(|number| format!("{SECRET}{number}\n")).collect();
    assert!(refused(&many).contains("9 secrets"));
    for text in ["hunter2", "whsec_not!base64!at!all"] {
        assert!(!refused(text).contains(text));
    }
    assert_eq!(format!("{:?}", keys()), "WebhookKeys(2)");
}
