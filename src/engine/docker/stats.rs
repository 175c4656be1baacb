//! What containers use, and the machine's resources. One reading is one call that does not wait for a second one.

use std::{
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

use bollard::query_parameters::StatsOptionsBuilder;
use futures_util::StreamExt;

use super::Docker;
use crate::{
    core::observe::usage::{Capacity, DiskSpace, UsageSample},
    engine::{EngineError, Result},
};

/// How long a reading may take.
const READ_TIMEOUT: Duration = Duration::from_secs(5);
/// The most files that are counted to measure one volume.
const MAX_FILES: usize = 200_000;
/// How long measuring a volume may take.
const WALK_TIMEOUT: Duration = Duration::from_secs(10);

impl Docker {
    pub(super) async fn read_stats(&self, container: &str) -> Result<UsageSample> {
        let what = format!("measuring {container}");
        let options = StatsOptionsBuilder::new().stream(false).one_shot(true).build();
        let read = self.call_within(READ_TIMEOUT, &what, async |client| {
            let mut readings = std::pin::pin!(client.stats(container, Some(options)));
            readings.next().await.transpose()
        });
        let stats = read.await?.ok_or_else(|| EngineError::Other(format!("{what}: the engine returned nothing")))?;
        let memory = stats.memory_stats.unwrap_or_default();
        let cached = memory.stats.unwrap_or_default();
        // In both versions of control groups: caches that are dropped when memory is needed do not count.
        let cached = cached.get("inactive_file").or_else(|| cached.get("total_inactive_file")).copied().unwrap_or(0);
        let cpu = stats.cpu_stats.and_then(|cpu| cpu.cpu_usage).and_then(|usage| usage.total_usage);
        match (memory.usage, cpu) {
            (Some(memory), Some(cpu)) => {
                Ok(UsageSample { at: crate::clock::now(), memory: memory.saturating_sub(cached), cpu })
            }
            _ => Err(EngineError::Other(format!("{what}: it is not running"))),
        }
    }

    pub(super) async fn measure(&self, name: &str) -> Result<Option<u64>> {
        let what = format!("measuring the volume {name}");
        let volume = self.call(what, async |client| client.inspect_volume(name).await).await?;
        let folder = PathBuf::from(volume.mountpoint);
        // An engine on another machine, or one whose folders we may not read: unknown.
        Ok(tokio::task::spawn_blocking(move || folder_size(&folder)).await.unwrap_or_default())
    }

    pub(super) async fn read_capacity(&self) -> Result<Capacity> {
        let info = self.call("reading the machine's resources", async |client| client.info().await).await?;
        let disk = info.docker_root_dir.filter(|_| self.host.starts_with("unix:")).and_then(|folder| {
            let disk = rustix::fs::statvfs(Path::new(&folder)).ok()?;
            Some(DiskSpace { total: disk.f_blocks * disk.f_frsize, free: disk.f_bavail * disk.f_frsize })
        });
        Ok(Capacity {
            node: info.name.unwrap_or_default(),
            cpus: info.ncpu.and_then(|cpus| cpus.try_into().ok()).unwrap_or_default(),
            memory: info.mem_total.and_then(|memory| memory.try_into().ok()).unwrap_or_default(),
            engine: info.server_version.unwrap_or_default(),
            disk,
        })
    }
}

/// Bytes that a folder takes on its disk; `None` if it cannot be read, or has too many files to count. Links are not
/// followed, and no other file system is entered.
fn folder_size(folder: &Path) -> Option<u64> {
    let (device, deadline) = (std::fs::symlink_metadata(folder).ok()?.dev(), crate::clock::instant() + WALK_TIMEOUT);
    let (mut bytes, mut files, mut folders) = (0, 0, vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).ok()? {
            files += 1;
            if files > MAX_FILES || crate::clock::instant() > deadline {
                return None;
            }
            // The agent keeps working: a file that is gone by now does not count.
            let Ok(metadata) = entry.and_then(|entry| Ok((entry.path(), entry.metadata()?))) else { continue };
            let (path, metadata) = metadata;
            bytes += metadata.blocks() * 512;
            if metadata.is_dir() && metadata.dev() == device {
                folders.push(path);
            }
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_weighs_what_is_in_it_and_nothing_behind_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let big = tempfile::tempdir().unwrap();
        std::fs::write(big.path().join("big"), vec![1; 1 << 20]).unwrap();
        std::fs::create_dir(folder.path().join("in")).unwrap();
        std::fs::write(folder.path().join("in/file"), vec![1; 100_000]).unwrap();
        std::os::unix::fs::symlink(big.path(), folder.path().join("link")).unwrap();
        let bytes = folder_size(folder.path()).unwrap();
        assert!((100_000..400_000).contains(&bytes), "{bytes}");
        assert_eq!(folder_size(&folder.path().join("nowhere")), None);
    }
}
