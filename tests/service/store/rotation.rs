//! Another instance key, another token: what stays the same, and that being cut off anywhere leaves a key that fits.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use agentpod::store::{InstanceKey, Lead, Rotated, Store, StoreError};
use secrecy::ExposeSecret;
use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};

use super::{at, dump};
use crate::testkit::rows;
use crate::testkit::{
    declared::{Declared, alice, pod},
    postgres,
};

const PODS: [&str; 2] = ["alice/assistant", "bob/x"];

fn declared() -> Declared {
    alice().pod("bob/x", "subdomain: bob")
}

/// A database with two pods, and a folder with its key.
struct Stage {
    folder: tempfile::TempDir,
    options: PgConnectOptions,
}

impl Stage {
    async fn new() -> Self {
        let stage = Self { folder: tempfile::tempdir().unwrap(), options: postgres::database().await };
        stage.open().await.unwrap().sync(&declared().build(), at(0)).await.unwrap();
        stage
    }

    fn file(&self, end: &str) -> PathBuf {
        self.folder.path().join(format!("instance.key{end}"))
    }

    async fn open(&self) -> Result<Store, StoreError> {
        Store::open_with_key_file(self.options.clone(), &self.file(""), &"test".parse().unwrap()).await
    }

    async fn sql(&self, query: &'static str) {
        let mut connection = PgConnection::connect_with(&self.options).await.unwrap();
        sqlx::raw_sql(query).execute(&mut connection).await.unwrap();
    }

    async fn exchange(&self) {
        let store = self.open().await.unwrap();
        let lead = lead(&store).await;
        assert_eq!(store.rotate_key(&lead, "root", at(1)).await.unwrap(), 2);
        lead.release().await.unwrap();
    }

    async fn reset(&self) -> Result<usize, StoreError> {
        let instance = "test".parse().unwrap();
        let reset = Store::reset_key(self.options.clone(), &self.file(""), &instance, "root", at(2)).await;
        reset.map(|pods| pods.len())
    }

    fn files(&self) -> Vec<String> {
        let names = fs::read_dir(self.folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<String> = names.map(|name| name.into_string().unwrap()).collect();
        names.sort();
        names
    }
}

async fn lead(store: &Store) -> Lead {
    loop {
        if let Some(lead) = store.try_lead().await.unwrap() {
            return lead;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

async fn tokens(store: &Store) -> Vec<String> {
    let mut tokens = Vec::new();
    for id in PODS {
        tokens.push(store.token(&pod(id)).await.unwrap().unwrap().expose_secret().to_owned());
    }
    tokens
}

async fn versions(store: &Store) -> Vec<i32> {
    store.identities().await.unwrap().values().map(|identities| identities.token_version).collect()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

#[tokio::test]
async fn another_instance_key_changes_no_token_and_no_fingerprint_and_the_old_one_opens_nothing() {
    let stage = Stage::new().await;
    let store = stage.open().await.unwrap();
    let before = (tokens(&store).await, versions(&store).await, store.fingerprint(&"sesame".into()));
    let old = read(&stage.file(""));
    stage.exchange().await;
    assert_eq!(stage.files(), ["instance.key", "instance.key.old"]);
    assert_eq!(read(&stage.file(".old")), old);
    let again = stage.open().await.unwrap();
    assert_eq!((tokens(&again).await, versions(&again).await, again.fingerprint(&"sesame".into())), before);
    let old = InstanceKey::load(&stage.file(".old")).unwrap().unwrap();
    let error = Store::open(stage.options.clone(), &old, &"test".parse().unwrap()).await.unwrap_err();
    assert_eq!(error.code(), "store_key_mismatch");
    let rows = dump(&stage.options).await;
    let sealed = rows.iter().filter(|row| row.starts_with("pods ")).collect::<Vec<_>>();
    for id in ["alice_assistant", "bob_x"] {
        let row = sealed.iter().find(|row| row.contains(id)).unwrap();
        let token = row.split("\"gateway_token\": \"").nth(1).unwrap().split('"').next().unwrap();
        assert!(old.open_sealed(token, &format!("token:{id}")).is_err());
    }
    let event = rows::events(&again, None, 10).await.pop().unwrap();
    assert_eq!((event.kind.as_str(), event.pod), ("key_rotated", None));
    assert!(event.message.starts_with("root rotated the instance key"), "{}", event.message);
}

#[tokio::test]
async fn an_exchange_that_is_cut_off_before_its_rows_are_in_leaves_the_key_that_was() {
    let stage = Stage::new().await;
    let store = stage.open().await.unwrap();
    let before = (read(&stage.file("")), tokens(&store).await);
    // The last of its statements fails: nothing before it may be in, either.
    stage
        .sql(
            "CREATE FUNCTION cut() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'cut off'; END $$;
             CREATE TRIGGER cut BEFORE INSERT ON pod_events FOR EACH ROW EXECUTE FUNCTION cut()",
        )
        .await;
    let rows = dump(&stage.options).await;
    let held = lead(&store).await;
    store.rotate_key(&held, "root", at(1)).await.unwrap_err();
    held.release().await.unwrap();
    let values = |rows: Vec<String>| -> Vec<String> {
        rows.iter().map(|row| row.split_once('{').map_or_else(String::new, |(_, value)| value.to_owned())).collect()
    };
    assert_eq!(values(dump(&stage.options).await), values(rows));
    assert_eq!(stage.files(), ["instance.key", "instance.key.new"]);
    let again = stage.open().await.unwrap();
    assert_eq!((read(&stage.file("")), tokens(&again).await), before);
    stage.sql("DROP TRIGGER cut ON pod_events").await;
    let cut_off = read(&stage.file(".new"));
    stage.exchange().await;
    let now = read(&stage.file(""));
    assert!(now != cut_off && now != before.0, "what was left over is not taken for a key");
    assert_eq!(tokens(&stage.open().await.unwrap()).await, before.1);
}

#[tokio::test]
async fn an_exchange_that_is_cut_off_before_its_key_has_its_place_is_finished_by_the_next_who_leads() {
    for first_file_is_there in [true, false] {
        let stage = Stage::new().await;
        let before = tokens(&stage.open().await.unwrap()).await;
        stage.exchange().await;
        // As it was the moment after the rows were in.
        let (old, new) = (read(&stage.file(".old")), read(&stage.file("")));
        fs::rename(stage.file(""), stage.file(".new")).unwrap();
        if first_file_is_there {
            fs::rename(stage.file(".old"), stage.file("")).unwrap();
        } else {
            fs::remove_file(stage.file(".old")).unwrap();
        }
        // Whoever opens it finds the key and moves nothing: only one who leads may.
        let store = stage.open().await.unwrap();
        assert_eq!(tokens(&store).await, before);
        assert!(stage.files().contains(&"instance.key.new".to_owned()));
        lead(&store).await.release().await.unwrap();
        assert_eq!(read(&stage.file("")), new);
        assert!(!stage.files().contains(&"instance.key.new".to_owned()));
        if first_file_is_there {
            assert_eq!(read(&stage.file(".old")), old);
        }
        assert_eq!(tokens(&stage.open().await.unwrap()).await, before);
        // And once more, now that it is finished.
        stage.exchange().await;
        assert_eq!(tokens(&stage.open().await.unwrap()).await, before);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn at_no_moment_of_an_exchange_is_a_process_that_starts_without_a_key() {
    let stage = Stage::new().await;
    let before = tokens(&stage.open().await.unwrap()).await;
    let (options, file) = (stage.options.clone(), stage.file(""));
    let opened = Arc::new(AtomicUsize::new(0));
    let seen = opened.clone();
    let exchanges = tokio::spawn(async move {
        let store = Store::open_with_key_file(options, &file, &"test".parse().unwrap()).await.unwrap();
        for _ in 0..25 {
            let lead = lead(&store).await;
            store.rotate_key(&lead, "root", at(1)).await.unwrap();
            lead.release().await.unwrap();
            // One at a time is what people do: the next when somebody has started since.
            let so_far = seen.load(SeqCst);
            while seen.load(SeqCst) == so_far {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        }
    });
    while !exchanges.is_finished() {
        let store = stage.open().await.unwrap();
        assert_eq!(tokens(&store).await, before);
        store.close().await;
        opened.fetch_add(1, SeqCst);
    }
    exchanges.await.unwrap();
}

#[tokio::test]
async fn a_process_that_stood_by_during_an_exchange_goes_on_with_the_new_key() {
    let stage = Stage::new().await;
    let standing_by = stage.open().await.unwrap();
    let before = tokens(&standing_by).await;
    stage.exchange().await;
    assert_eq!(tokens(&standing_by).await, before, "it reads");
    stage.exchange().await;
    let more = declared().pod("bob/y", "subdomain: more").build();
    standing_by.sync(&more, at(3)).await.unwrap();
    stage.exchange_all_and_open("bob/y").await;
}

impl Stage {
    /// A token that was sealed with a stale key would stop this.
    async fn exchange_all_and_open(&self, id: &str) {
        let store = self.open().await.unwrap();
        assert!(store.token(&pod(id)).await.unwrap().is_some());
        let held = lead(&store).await;
        assert_eq!(store.rotate_key(&held, "root", at(4)).await.unwrap(), 3);
    }
}

#[tokio::test]
async fn a_token_that_cannot_be_opened_stops_an_exchange_until_it_is_made_anew() {
    let stage = Stage::new().await;
    stage.sql("UPDATE pods SET gateway_token = 'v1:00' WHERE id = 'bob_x'").await;
    let store = stage.open().await.unwrap();
    let held = lead(&store).await;
    let key = read(&stage.file(""));
    let error = store.rotate_key(&held, "root", at(1)).await.unwrap_err().to_string();
    assert!(error.contains("agentpod token rotate bob/x"), "{error}");
    assert_eq!(read(&stage.file("")), key);
    assert_eq!(store.rotate(&pod("bob/x"), Rotated::Token, "root", at(2)).await.unwrap(), Some(2));
    assert_eq!(store.rotate_key(&held, "root", at(3)).await.unwrap(), 2);
}

#[tokio::test]
async fn a_lost_key_is_an_error_with_the_ways_out_and_no_new_key_is_made() {
    let stage = Stage::new().await;
    let rows = dump(&stage.options).await;
    fs::remove_file(stage.file("")).unwrap();
    for _ in 0..2 {
        let error = stage.open().await.unwrap_err();
        assert_eq!(error.code(), "store_key_mismatch");
        let text = error.to_string();
        for part in [
            &*stage.file("").to_string_lossy(),
            "there is no instance key",
            "instance test",
            "put the old file back",
            "--key-file",
            "agentpod key reset --tokens",
            "Nothing was changed",
        ] {
            assert!(text.contains(part), "{part} is not in: {text}");
        }
        assert_eq!(stage.files(), [""; 0], "no key is made in its place");
    }
    assert_eq!(dump(&stage.options).await, rows);
}

#[tokio::test]
async fn a_database_from_before_the_last_exchange_says_which_file_has_its_key() {
    let stage = Stage::new().await;
    let before = stage.file("").with_extension("saved");
    fs::copy(stage.file(""), &before).unwrap();
    stage.exchange().await;
    fs::rename(stage.file(".old"), stage.file(".kept")).unwrap();
    stage.exchange().await;
    // The files as after the second exchange, the database as before it.
    fs::rename(stage.file(""), stage.file(".later")).unwrap();
    fs::copy(&before, stage.file("")).unwrap();
    fs::rename(stage.file(".later"), stage.file(".old")).unwrap();
    let text = stage.open().await.unwrap_err().to_string();
    assert!(text.contains(&format!("copy {}", stage.file(".old").display())), "{text}");
}

#[tokio::test]
async fn giving_a_lost_key_up_makes_a_new_token_for_every_pod_and_only_when_it_is_lost_and_nobody_leads() {
    let stage = Stage::new().await;
    let store = stage.open().await.unwrap();
    let before = (tokens(&store).await, store.fingerprint(&"sesame".into()));
    let error = stage.reset().await.unwrap_err();
    assert!(error.to_string().contains("the key is not lost"), "{error}");
    assert_eq!(tokens(&stage.open().await.unwrap()).await, before.0);

    fs::remove_file(stage.file("")).unwrap();
    let held = lead(&store).await;
    let error = stage.reset().await.unwrap_err();
    assert!(error.to_string().contains("stop it first"), "{error}");
    assert_eq!(stage.files(), [""; 0]);
    held.release().await.unwrap();

    assert_eq!(stage.reset().await.unwrap(), 2);
    let again = stage.open().await.unwrap();
    let after = tokens(&again).await;
    assert!(after.iter().all(|token| token.len() == 64 && !before.0.contains(token)));
    assert_ne!(again.fingerprint(&"sesame".into()), before.1);
    assert_eq!(versions(&again).await, [2, 2]);
    assert_eq!(rows::events(&again, None, 10).await.pop().unwrap().kind.as_str(), "key_reset");
}

#[tokio::test]
async fn giving_a_lost_key_up_with_another_key_at_hand_goes_on_with_that_one_and_keeps_a_damaged_file() {
    let stage = Stage::new().await;
    fs::remove_file(stage.file("")).unwrap();
    let other = read(InstanceKey::create(&stage.file("")).unwrap().path());
    assert_eq!(stage.reset().await.unwrap(), 2);
    assert_eq!(read(&stage.file("")), other);
    stage.open().await.unwrap();
    fs::write(stage.file(""), "nonsense").unwrap();
    assert_eq!(stage.reset().await.unwrap_err().code(), "store_key_file");
    assert_eq!(read(&stage.file("")), "nonsense");
}

#[tokio::test]
async fn a_new_token_is_one_pods_alone_and_tells_whoever_looks() {
    let stage = Stage::new().await;
    let store = stage.open().await.unwrap();
    let (before, stamp) = (tokens(&store).await, store.identities_stamp().await.unwrap());
    assert_eq!(store.identities_stamp().await.unwrap(), stamp);
    assert_eq!(store.rotate(&pod("alice/assistant"), Rotated::Token, "root", at(1)).await.unwrap(), Some(2));
    let after = tokens(&store).await;
    assert!(after[0] != before[0] && after[0].len() == 64 && after[1] == before[1]);
    assert_eq!(versions(&store).await, [2, 1]);
    assert_ne!(store.identities_stamp().await.unwrap(), stamp);
    let event = rows::events(&store, Some(&pod("alice/assistant")), 10).await.pop().unwrap();
    assert_eq!(
        (event.kind.as_str(), event.message.as_str()),
        ("token_rotated", "root rotated its gateway token (version 2)")
    );
    let rows = dump(&stage.options).await;
    assert_eq!(store.rotate(&pod("alice/nobody"), Rotated::Token, "root", at(2)).await.unwrap(), None);
    assert_eq!(dump(&stage.options).await, rows);
}

/// The seeds of the pods' generated secrets, sealed, with their versions.
async fn seeds(stage: &Stage) -> Vec<(String, i32)> {
    let mut connection = PgConnection::connect_with(&stage.options).await.unwrap();
    let query = "SELECT generated_seed, generated_version FROM pods ORDER BY id";
    sqlx::query_as(query).fetch_all(&mut connection).await.unwrap()
}

#[tokio::test]
async fn generated_secrets_outlive_a_new_token_and_are_rotated_by_their_own_name_alone() {
    let stage = Stage::new().await;
    let store = stage.open().await.unwrap();
    let (before, given) = (seeds(&stage).await, tokens(&store).await);
    assert_eq!(before.iter().map(|(_, version)| *version).collect::<Vec<_>>(), [1, 1]);
    let id = pod("alice/assistant");
    store.rotate(&id, Rotated::Token, "root", at(1)).await.unwrap();
    assert_eq!(seeds(&stage).await, before, "a new token leaves them alone");
    let (token, stamp) = (tokens(&store).await, store.identities_stamp().await.unwrap());
    assert_ne!(token, given);
    assert_eq!(store.rotate(&id, Rotated::Generated, "root", at(2)).await.unwrap(), Some(2));
    let after = seeds(&stage).await;
    assert!(after[0].0 != before[0].0 && after[0].1 == 2 && after[1] == before[1], "{after:?}");
    assert_eq!(tokens(&store).await, token);
    assert_ne!(store.identities_stamp().await.unwrap(), stamp);
    let event = rows::events(&store, Some(&id), 10).await.pop().unwrap();
    assert_eq!(event.message, "root rotated its generated secrets (version 2)");
}

#[tokio::test]
async fn an_exchange_of_the_key_seals_generated_secrets_again_and_names_one_that_does_not_open() {
    let stage = Stage::new().await;
    let key = |end: &str| InstanceKey::load(&stage.file(end)).unwrap().unwrap();
    let opened = |key: &InstanceKey, sealed: &str| {
        let opened = key.open_sealed(sealed, "generated:alice_assistant");
        opened.map(|text| text.expose_secret().to_owned()).ok()
    };
    let before = opened(&key(""), &seeds(&stage).await[0].0).unwrap();
    stage.exchange().await;
    let sealed = seeds(&stage).await[0].clone();
    assert_eq!((opened(&key(""), &sealed.0), sealed.1), (Some(before), 1));
    assert_eq!(opened(&key(".old"), &sealed.0), None);

    stage.sql("UPDATE pods SET generated_seed = 'v1:00' WHERE id = 'bob_x'").await;
    let store = stage.open().await.unwrap();
    let held = lead(&store).await;
    let error = store.rotate_key(&held, "root", at(1)).await.unwrap_err().to_string();
    assert!(error.contains("agentpod token rotate bob/x --generated"), "{error}");
}
