//! A snapshot is one state that the folder was really in, however it is being written.

use std::{
    fs::{self, File},
    io::{Seek, SeekFrom, Write},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use super::{folder, read, texts, write};

/// Half of a file; both halves hold the same letter, unless a file is torn.
const HALF: usize = 40_000;

/// A pause in a write longer than this may be taken for its end: then what was read says nothing about us.
const STALL: Duration = Duration::from_millis(50);
/// How often a reading is tried again on a machine that is too busy to let the writer write.
const MAX_ATTEMPTS: u32 = 10;

/// Writes a file in place again and again, one half after the other.
#[derive(Default)]
struct Writer {
    stop: AtomicBool,
    rounds: AtomicUsize,
    /// The longest pause between two of its steps, in microseconds.
    pause: AtomicU64,
}

impl Writer {
    /// Begins; always ends with a whole file.
    fn begin(path: PathBuf) -> (Arc<Self>, JoinHandle<()>) {
        let writer = Arc::new(Self::default());
        let written = writer.clone();
        let thread = thread::spawn(move || {
            let mut last = Instant::now();
            let mut step = || {
                let pause = std::mem::replace(&mut last, Instant::now()).elapsed();
                written.pause.fetch_max(pause.as_micros() as u64, Ordering::SeqCst);
            };
            let mut letters = (b'a'..=b'z').cycle();
            while !written.stop.load(Ordering::SeqCst) {
                let half = vec![letters.next().unwrap(); HALF];
                let mut file = File::create(&path).unwrap();
                step();
                file.write_all(&half).unwrap();
                step();
                thread::yield_now();
                file.write_all(&half).unwrap();
                step();
                written.rounds.fetch_add(1, Ordering::SeqCst);
            }
        });
        (writer, thread)
    }

    /// Waits for this many more whole files.
    async fn writes(&self, rounds: usize) {
        let wanted = self.rounds.load(Ordering::SeqCst) + rounds;
        while self.rounds.load(Ordering::SeqCst) < wanted {
            tokio::task::yield_now().await;
        }
    }

    /// Whether it was kept from writing since this was last asked.
    fn was_stalled(&self) -> bool {
        Duration::from_micros(self.pause.swap(0, Ordering::SeqCst)) > STALL
    }
}

fn is_whole(bytes: &[u8]) -> bool {
    bytes.len() == 2 * HALF && bytes.iter().all(|byte| *byte == bytes[0])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_written_all_the_time_is_busy() {
    let (_folder, root) = folder();
    let (writer, thread) = Writer::begin(root.join("a.yaml"));
    for _ in 0..MAX_ATTEMPTS {
        writer.writes(3).await;
        writer.was_stalled();
        let result = read(&root).await;
        writer.writes(1).await;
        if !writer.was_stalled() {
            let error = result.unwrap_err();
            assert_eq!(error.code(), "source_busy");
            assert!(error.to_string().contains("a.yaml keeps changing"), "{error}");
            break;
        }
    }
    writer.stop.store(true, Ordering::SeqCst);
    thread.join().unwrap();
    assert!(is_whole(&read(&root).await.unwrap().files["a.yaml"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_half_written_file_never_yields_a_torn_snapshot() {
    for _ in 0..MAX_ATTEMPTS {
        let (_folder, root) = folder();
        let (writer, thread) = Writer::begin(root.join("a.yaml"));
        writer.writes(3).await;
        writer.was_stalled();
        // It begins while the file is written, and ends when it is whole.
        let reading = tokio::spawn(async move { read(&root).await });
        writer.writes(50).await;
        writer.stop.store(true, Ordering::SeqCst);
        thread.join().unwrap();
        let result = reading.await.unwrap();
        if !writer.was_stalled() {
            assert!(is_whole(&result.unwrap().files["a.yaml"]));
            break;
        }
    }
}

#[tokio::test]
async fn a_write_that_keeps_size_and_time_is_noticed() {
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
