//! The instance key: made once, refused when others could have read it, never made anew in its place.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::Path,
};

use agentpod::store::{InstanceKey, KEY_FILE, UnsealError};
use secrecy::ExposeSecret;

use super::new_key;

fn refusal(folder: &Path) -> String {
    let error = InstanceKey::load_or_create(folder).unwrap_err();
    assert_eq!(error.code(), "store_key_file");
    error.to_string()
}

#[test]
fn a_key_is_made_once_for_its_owner_alone_and_then_read() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("not/yet/there");
    let sealed = InstanceKey::load_or_create(&state).unwrap().seal(&"sesame".into(), "here").unwrap();
    assert_eq!(fs::metadata(state.join(KEY_FILE)).unwrap().permissions().mode() & 0o7777, 0o600);
    assert_eq!(fs::read_dir(&state).unwrap().count(), 1, "no draft is left over");
    let text = fs::read_to_string(state.join(KEY_FILE)).unwrap();
    assert!(text.trim_end().len() == 64 && text.trim_end().bytes().all(|byte| byte.is_ascii_hexdigit()));
    let again = InstanceKey::load_or_create(&state).unwrap();
    assert_eq!(again.open_sealed(&sealed, "here").unwrap().expose_secret(), "sesame");
}

#[test]
fn many_processes_that_start_at_once_agree_on_one_key() {
    let folder = tempfile::tempdir().unwrap();
    let keys: Vec<InstanceKey> = std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..8).map(|_| scope.spawn(|| InstanceKey::load_or_create(folder.path()).unwrap())).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let sealed = keys[0].seal(&"sesame".into(), "here").unwrap();
    assert!(keys.iter().all(|key| key.open_sealed(&sealed, "here").is_ok()));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_key_that_others_could_have_read_is_refused_and_the_message_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    InstanceKey::load_or_create(folder.path()).unwrap();
    for mode in [0o640, 0o604, 0o700, 0o666] {
        fs::set_permissions(folder.path().join(KEY_FILE), Permissions::from_mode(mode)).unwrap();
        let text = refusal(folder.path());
        assert!(text.contains(&format!("its permissions are {mode:04o}")) && text.contains("chmod 0600"), "{text}");
    }
    fs::set_permissions(folder.path().join(KEY_FILE), Permissions::from_mode(0o400)).unwrap();
    InstanceKey::load_or_create(folder.path()).unwrap();
}

#[test]
fn a_damaged_key_is_refused_without_showing_it_and_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(KEY_FILE);
    InstanceKey::load_or_create(folder.path()).unwrap();
    let whole = fs::read_to_string(&path).unwrap();
    for damaged in
        ["", "\n", &whole[..62], &format!("{}00", whole.trim_end()), &whole.replace(whole.get(..1).unwrap(), "g")]
    {
        fs::write(&path, damaged).unwrap();
        let text = refusal(folder.path());
        assert!(text.contains("64 hex digits") && text.contains("restore it from a backup"), "{text}");
        assert!(!text.contains(&whole[20..40]));
        assert_eq!(fs::read_to_string(&path).unwrap(), damaged);
    }
}

#[test]
fn what_is_sealed_opens_with_the_same_key_and_context_only() {
    let (key, other) = (new_key(), new_key());
    let sealed = key.seal(&"sesame".into(), "token:alice_a").unwrap();
    assert!(sealed.starts_with("v1:") && !sealed.contains("sesame"));
    assert_ne!(sealed, key.seal(&"sesame".into(), "token:alice_a").unwrap(), "every seal has a nonce of its own");
    assert_eq!(key.open_sealed(&sealed, "token:alice_a").unwrap().expose_secret(), "sesame");
    let flipped = format!("{}{}", &sealed[..sealed.len() - 1], if sealed.ends_with('0') { '1' } else { '0' });
    for (key, sealed, context) in [
        (&key, sealed.as_str(), "token:bob_b"),
        (&other, sealed.as_str(), "token:alice_a"),
        (&key, flipped.as_str(), "token:alice_a"),
        (&key, &sealed[3..], "token:alice_a"),
        (&key, "v1:", "token:alice_a"),
        (&key, "v1:00ff", "token:alice_a"),
        (&key, "v1:é", "token:alice_a"),
    ] {
        assert_eq!(key.open_sealed(sealed, context).unwrap_err(), UnsealError, "{sealed} {context}");
    }
}

#[test]
fn a_key_does_not_print_itself() {
    let folder = tempfile::tempdir().unwrap();
    let key = InstanceKey::load_or_create(folder.path()).unwrap();
    assert_eq!(format!("{key:?}"), format!("InstanceKey({})", folder.path().join(KEY_FILE).display()));
}
