//! What is known of an image before a container is created from it, and what that means for the container: an image that
//! cannot run here, or that would put data where it is lost, is refused while the previous container still runs.

use std::collections::BTreeSet;

use crate::core::declare::desired::Blueprint;

/// What the engine says of an image.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct ImageFacts {
    /// What it was built for, like `linux/arm64`.
    pub(crate) platform: String,
    /// The machine's own, like `linux/amd64`.
    pub(crate) machine: String,
    /// Whether the machine runs it: it is of the same kind, or the machine emulates the other.
    pub(crate) runs_here: bool,
    /// Whether it has a command of its own.
    pub(crate) has_command: bool,
    /// The paths that it declares as volumes. The engine gives each an anonymous volume in every container.
    pub(crate) volumes: BTreeSet<String>,
}

/// Why no container can be created from the image as declared, if none can.
pub(crate) fn objection(image: &ImageFacts, blueprint: &Blueprint) -> Option<String> {
    let name = &blueprint.image;
    if !image.runs_here {
        let ImageFacts { platform, machine, .. } = image;
        return Some(format!(
            "{name} is built for {platform}, and this machine is {machine}; use an image for {machine}, or one for several \
             platforms"
        ));
    }
    if !image.has_command && blueprint.command.is_none() {
        return Some(format!("{name} has no command, and its adapter names none; add spec.command to the adapter"));
    }
    let lost: Vec<&str> = volumes(image).filter(|path| matches!(place(path, blueprint), Place::Lost)).collect();
    if lost.is_empty() {
        return None;
    }
    Some(format!(
        "{name} declares volumes at {}, and what the agent writes there would be lost with every new container; if it may be \
         lost, add the path to spec.tmpfs of the adapter, else let the agent write below {}",
        lost.join(", "),
        blueprint.data
    ))
}

/// The folders below the pod's data that the image declares as volumes, relative to the data. They are mounted from the pod's
/// volume, since the engine would put anonymous volumes there.
pub(crate) fn data_folders(image: &ImageFacts, blueprint: &Blueprint) -> Vec<String> {
    let below = volumes(image).filter_map(|path| match place(path, blueprint) {
        Place::InData(folder) => Some(folder.to_owned()),
        Place::Covered | Place::Lost => None,
    });
    below.collect()
}

/// Where a declared volume is.
enum Place<'a> {
    /// Something of ours is mounted there, or the memory around it is lost anyway.
    Covered,
    /// Below the pod's data, at this path in it.
    InData(&'a str),
    /// Anywhere else.
    Lost,
}

fn place<'a>(path: &'a str, blueprint: &Blueprint) -> Place<'a> {
    let below = |folder: &str| path.strip_prefix(folder).and_then(|rest| rest.strip_prefix('/'));
    let is_covered = path == blueprint.data
        || blueprint.folders.iter().any(|folder| folder == path)
        || blueprint.tmpfs.keys().any(|folder| folder == path || below(folder).is_some());
    match below(&blueprint.data) {
        _ if is_covered => Place::Covered,
        Some(folder) => Place::InData(folder),
        None => Place::Lost,
    }
}

fn volumes(image: &ImageFacts) -> impl Iterator<Item = &str> {
    image.volumes.iter().map(|path| path.trim_end_matches('/')).filter(|path| !path.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::observe::hardening::samples;

    fn image(volumes: &[&str]) -> ImageFacts {
        ImageFacts {
            platform: "linux/arm64".into(),
            machine: "linux/arm64".into(),
            runs_here: true,
            has_command: true,
            volumes: volumes.iter().map(|path| (*path).to_owned()).collect(),
        }
    }

    fn blueprint() -> Blueprint {
        Blueprint {
            data: "/data".into(),
            folders: vec!["/config".into()],
            tmpfs: [("/tmp".into(), 1)].into(),
            command: None,
            ..samples::desired().blueprint
        }
    }

    #[test]
    fn a_declared_volume_is_covered_in_the_data_or_lost() {
        let objects = |path: &str| objection(&image(&[path]), &blueprint());
        let folders = |path: &str| data_folders(&image(&[path]), &blueprint());
        for path in ["/data", "/data/", "/config", "/tmp", "/tmp/cache"] {
            assert_eq!((objects(path), folders(path)), (None, vec![]), "{path}");
        }
        for (path, folder) in [("/data/sub", "sub"), ("/data/a/b/", "a/b")] {
            assert_eq!((objects(path), folders(path)), (None, vec![folder.to_owned()]), "{path}");
        }
        for path in ["/var/lib/x", "/database", "/config/more", "/"] {
            let why = objects(path);
            assert_eq!(why.is_some(), path != "/", "{path}");
            assert!(why.is_none_or(|why| why.contains(path) && why.contains("spec.tmpfs")), "{path}");
            assert_eq!(folders(path), Vec::<String>::new());
        }
    }

    #[test]
    fn an_image_for_another_machine_or_without_a_command_is_refused_with_the_reason() {
        let foreign = ImageFacts { machine: "linux/amd64".into(), runs_here: false, ..image(&[]) };
        let why = objection(&foreign, &blueprint()).unwrap();
        assert!(why.contains("is built for linux/arm64, and this machine is linux/amd64"), "{why}");
        let bare = ImageFacts { has_command: false, ..image(&[]) };
        assert!(objection(&bare, &blueprint()).unwrap().contains("has no command"));
        let with_command = Blueprint { command: Some(vec!["serve".into()]), ..blueprint() };
        assert_eq!(objection(&bare, &with_command), None);
        assert_eq!(objection(&image(&[]), &blueprint()), None);
    }
}
