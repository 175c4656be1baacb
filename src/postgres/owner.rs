//! The user that the server runs as. PostgreSQL refuses to run as root, so root runs it as `postgres` or else `nobody`; other
//! users run it as themselves.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::error::PostgresError;

/// A user's ID and that of their group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UserIds {
    pub uid: u32,
    pub gid: u32,
}

#[derive(Debug, Clone)]
pub(crate) struct Owner {
    pub name: String,
    pub uid: u32,
    gid: u32,
    /// Whether AgentPod is root, so that children must switch to this user.
    switch: bool,
}

impl Owner {
    /// The owner of `data` if it exists; otherwise a suitable user of this machine.
    pub(crate) fn of(data: &Path) -> Result<Owner, PostgresError> {
        let own_uid = rustix::process::geteuid().as_raw();
        let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
        let ids = match fs::metadata(data) {
            Ok(meta) => Some(UserIds { uid: meta.uid(), gid: meta.gid() }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(PostgresError::io("reading", data)(error)),
        };
        let unusable = |why: String| PostgresError::DataUnusable { path: data.to_path_buf(), why };
        let UserIds { uid, gid } = match ids {
            Some(UserIds { uid: 0, .. }) if own_uid == 0 => {
                return Err(unusable(
                    "it belongs to root, but PostgreSQL refuses to run as root. \
                    Change its owner back, for example with chown -R postgres:"
                        .to_owned(),
                ));
            }
            Some(UserIds { uid, .. }) if own_uid != 0 && uid != own_uid => {
                return Err(unusable(format!(
                    "it belongs to user {}, but AgentPod runs as user {}. Run AgentPod as that user or as root",
                    name_of(&users, uid),
                    name_of(&users, own_uid)
                )));
            }
            Some(ids) => ids,
            None if own_uid == 0 => ["postgres", "nobody"]
                .iter()
                .find_map(|name| ids_of(&users, name))
                .ok_or_else(|| unusable("there is no user postgres or nobody to run the server as".to_owned()))?,
            None => UserIds { uid: own_uid, gid: rustix::process::getegid().as_raw() },
        };
        Ok(Owner { name: name_of(&users, uid), uid, gid, switch: own_uid == 0 })
    }

    /// The user and group IDs that a child must switch to, if any.
    pub(crate) fn switch(&self) -> Option<UserIds> {
        self.switch.then_some(UserIds { uid: self.uid, gid: self.gid })
    }
}

/// Finds a user in lines like `name:password:uid:gid:…`.
fn ids_of(users: &str, name: &str) -> Option<UserIds> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next()? == name).then_some(())?;
        Some(UserIds { uid: fields.nth(1)?.parse().ok()?, gid: fields.next()?.parse().ok()? })
    })
}

fn name_of(users: &str, uid: u32) -> String {
    users
        .lines()
        .find_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
        })
        .unwrap_or_else(|| uid.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const USERS: &str = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\nbroken\n\
                         postgres:x:101:104:,,,:/var/lib/postgresql:/bin/bash\n";

    #[test]
    fn users_are_found_by_full_name_and_by_number() {
        assert_eq!(ids_of(USERS, "postgres"), Some(UserIds { uid: 101, gid: 104 }));
        assert_eq!(ids_of(USERS, "post"), None);
        assert_eq!(name_of(USERS, 65534), "nobody");
        assert_eq!(name_of(USERS, 7), "7");
    }
}
