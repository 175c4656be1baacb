//! A snapshot is one state that the folder was really in, however it is being written.

use std::{
    fs::{self, File},
    io::{Seek, SeekFrom, Write},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
};

use super::{folder, read, texts, write};

/// Half of a file; both halves hold the same letter, unless a file is torn.
const HALF: usize = 40_000;

/// Writes a file in place again and again, one half after the other, until told to stop; always ends with a whole one.
fn writer(path: PathBuf, stop: Arc<AtomicBool>, rounds: Arc<AtomicUsize>) -> JoinHandle<()> {
    thread::spawn(move || {
        let mut letters = (b'a'..=b'z').cycle();
        while !stop.load(Ordering::Relaxed) {
            let half = vec![letters.next().unwrap(); HALF];
            let mut file = File::create(&path).unwrap();
            file.write_all(&half).unwrap();
            file.flush().unwrap();
            thread::yield_now();
            file.write_all(&half).unwrap();
            rounds.fetch_add(1, Ordering::Relaxed);
        }
    })
}

fn is_whole(bytes: &[u8]) -> bool {
    bytes.len() == 2 * HALF && bytes.iter().all(|byte| *byte == bytes[0])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_half_written_file_never_yields_a_torn_snapshot() {
    let (_folder, root) = folder();
    let (stop, rounds) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let writing = writer(root.join("a.yaml"), stop.clone(), rounds.clone());
    while rounds.load(Ordering::Relaxed) < 3 {
        thread::yield_now();
    }
    let error = read(&root).await.unwrap_err();
    assert_eq!(error.code(), "source_busy");
    assert!(error.to_string().contains("a.yaml keeps changing"), "{error}");
    // The next reading begins while it is still written and ends when it is whole.
    let reading = tokio::spawn({
        let root = root.clone();
        async move { read(&root).await }
    });
    let seen = rounds.load(Ordering::Relaxed);
    while rounds.load(Ordering::Relaxed) < seen + 50 {
        tokio::task::yield_now().await;
    }
    stop.store(true, Ordering::Relaxed);
    let snapshot = reading.await.unwrap().unwrap();
    writing.join().unwrap();
    assert!(is_whole(&snapshot.files["a.yaml"]));
}

#[tokio::test]
async fn a_write_that_keeps_size_and_time_is_seen_all_the_same() {
    let (_folder, root) = folder();
    write(&root, &[("a.yaml", "one")]);
    let first = read(&root).await.unwrap();
    let path = root.join("a.yaml");
    let time = fs::metadata(&path).unwrap().modified().unwrap();
    let mut file = File::options().write(true).open(&path).unwrap();
    file.seek(SeekFrom::Start(0)).unwrap();
    file.write_all(b"two").unwrap();
    file.set_modified(time).unwrap();
    drop(file);
    assert_ne!(first.revision, read(&root).await.unwrap().revision);
}

/// A folder as Kubernetes mounts a ConfigMap: files are links through `..data`, which is swapped.
pub fn config_map(root: &Path, version: &str, files: &[(&str, &str)]) {
    let folder = root.join(format!("..{version}"));
    write(&folder, files);
    symlink(format!("..{version}"), root.join("..data_tmp")).unwrap();
    fs::rename(root.join("..data_tmp"), root.join("..data")).unwrap();
    for (name, _) in files {
        let top = name.split('/').next().unwrap();
        if fs::symlink_metadata(root.join(top)).is_err() {
            symlink(format!("..data/{top}"), root.join(top)).unwrap();
        }
    }
}

#[tokio::test]
async fn a_config_map_is_read_through_its_links() {
    let (_folder, root) = folder();
    config_map(&root, "1", &[("a.yaml", "1"), ("sub/b.yaml", "1")]);
    assert_eq!(texts(&root).await, "a.yaml=1 sub/b.yaml=1");
    config_map(&root, "2", &[("a.yaml", "2"), ("sub/b.yaml", "2")]);
    assert_eq!(texts(&root).await, "a.yaml=2 sub/b.yaml=2");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_config_map_that_is_swapped_while_it_is_read_is_never_mixed() {
    let (_folder, root) = folder();
    let names: Vec<String> = (0..50).map(|number| format!("{number}.yaml")).collect();
    let files = |text: &'static str| names.iter().map(|name| (name.as_str(), text)).collect::<Vec<_>>();
    config_map(&root, "1", &files("1"));
    config_map(&root, "2", &files("2"));
    read(&root).await.unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let swapping = thread::spawn({
        let (root, stop) = (root.clone(), stop.clone());
        move || {
            for version in ["..1", "..2"].iter().cycle() {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                symlink(version, root.join("..data_tmp")).unwrap();
                fs::rename(root.join("..data_tmp"), root.join("..data")).unwrap();
            }
        }
    });
    for _ in 0..3 {
        match read(&root).await {
            Ok(snapshot) => {
                let first = &snapshot.files["0.yaml"];
                assert!(snapshot.files.values().all(|text| text == first), "mixed");
            }
            Err(error) => assert_eq!(error.code(), "source_busy", "{error}"),
        }
    }
    stop.store(true, Ordering::Relaxed);
    swapping.join().unwrap();
    assert!(read(&root).await.is_ok());
}
