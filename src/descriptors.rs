//! How many files and connections this process may have open, and which errors only mean that it has too many. Such an
//! error says nothing about an engine, a database or an agent.

use std::{error::Error, io};

use rustix::{
    io::Errno,
    process::{Resource, Rlimit, getrlimit, setrlimit},
};

/// The most that is requested; nothing here needs more.
const MOST: u64 = 65_536;
/// What is enough for a few thousand agents and viewers.
pub(crate) const ENOUGH: u64 = 4096;

/// Raises this process's soft limit as far as it may, and returns the limit.
pub(crate) fn raise_limit() -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = maximum.map_or(MOST, |maximum| maximum.min(MOST));
    if current.is_some_and(|current| current < wanted) {
        // A refusal leaves the limit as it was.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum });
    }
    limit()
}

/// This process's soft limit.
pub(crate) fn limit() -> u64 {
    getrlimit(Resource::Nofile).current.unwrap_or(MOST)
}

/// Whether an error, or one that caused it, says that this process or this machine has too many files open.
pub(crate) fn are_exhausted(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        let code = error.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error);
        if code.is_some_and(|code| code == Errno::MFILE.raw_os_error() || code == Errno::NFILE.raw_os_error()) {
            return true;
        }
        // An I/O error names the cause of its inner error, and not the inner error.
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = inner.map(|inner| inner as &(dyn Error + 'static)).or_else(|| error.source());
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_open_files_are_recognized_however_deep() {
        let exhausted = || io::Error::from_raw_os_error(Errno::MFILE.raw_os_error());
        assert!(are_exhausted(&exhausted()));
        assert!(are_exhausted(&io::Error::other(io::Error::other(exhausted()))));
        assert!(are_exhausted(&io::Error::from_raw_os_error(Errno::NFILE.raw_os_error())));
        assert!(!are_exhausted(&io::Error::from(io::ErrorKind::ConnectionRefused)));
    }

    #[test]
    fn the_soft_limit_is_raised_and_never_lowered() {
        let before = limit();
        assert!(raise_limit() >= before);
    }
}
