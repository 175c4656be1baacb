//! What each failure means, in one place: the engine's statuses and the client's many errors become one of ours, with
//! what was being done, what went wrong, and what to do. Must not leak secrets: request bodies are never quoted.

use bollard::errors::Error;

use crate::{descriptors, engine::EngineError};

/// A failed call, before its caller has interpreted the status.
#[derive(Debug)]
pub(super) struct CallError {
    /// The HTTP status, if the engine answered at all.
    pub(crate) status: Option<u16>,
    /// The engine's own message.
    pub(crate) message: String,
    /// Its meaning, unless the caller knows better.
    pub(crate) error: EngineError,
}

impl From<CallError> for EngineError {
    fn from(failure: CallError) -> Self {
        failure.error
    }
}

impl From<EngineError> for CallError {
    fn from(error: EngineError) -> Self {
        Self { status: None, message: error.to_string(), error }
    }
}

/// What a failure of `what` means.
pub(super) fn explain(host: &str, what: &str, error: &Error) -> CallError {
    let message = words(error);
    let sentence = format!("{what}: {message}");
    let (status, error) = match error {
        Error::DockerResponseServerError { status_code, .. } => (Some(*status_code), by_status(*status_code, sentence)),
        Error::DockerStreamError { .. } => (None, EngineError::Other(sentence)),
        error if is_for_want_of_files(error) => (None, EngineError::OutOfFiles(sentence)),
        Error::SocketNotFoundError(_)
        | Error::RequestTimeoutError
        | Error::IOError { .. }
        | Error::HyperResponseError { .. }
        | Error::HyperLegacyError { .. } => {
            (None, EngineError::Unreachable(format!("{host}: {sentence}; {}", advice(&message))))
        }
        Error::UnsupportedURISchemeError { .. } => (
            None,
            EngineError::Refused(format!(
                "{host:?} is not the address of an engine; use unix:///path, tcp://host:port or http://host:port"
            )),
        ),
        Error::JsonDataError { .. } | Error::JsonSerdeError { .. } => (
            None,
            EngineError::Other(format!(
                "{what}: the engine's answer cannot be parsed: {message}; the engine may be too new for this AgentPod"
            )),
        ),
        _ => (None, EngineError::Other(sentence)),
    };
    CallError { status, message, error }
}

/// Whether this process has too many files open. The client's own I/O error does not name the system's as its source.
fn is_for_want_of_files(error: &Error) -> bool {
    match error {
        Error::IOError { err } => descriptors::are_exhausted(err),
        other => descriptors::are_exhausted(other),
    }
}

fn by_status(status: u16, sentence: String) -> EngineError {
    match status {
        404 => EngineError::NotFound(sentence),
        400 | 403 => EngineError::Refused(sentence),
        502..=504 => EngineError::Unreachable(sentence),
        _ => EngineError::Other(sentence),
    }
}

fn advice(message: &str) -> &'static str {
    if message.contains("ermission denied") {
        "this user may not use the engine; add it to the group docker"
    } else if message.contains("in time") {
        "it may be busy or stuck; see journalctl -u docker"
    } else {
        "the Docker engine may not be running; see systemctl status docker"
    }
}

fn words(error: &Error) -> String {
    match error {
        Error::DockerResponseServerError { message, status_code } if message.trim().is_empty() => {
            format!("status {status_code}")
        }
        Error::DockerResponseServerError { message, .. } => message.trim().into(),
        Error::DockerStreamError { error } => error.trim().into(),
        Error::SocketNotFoundError(_) => "there is no such socket".into(),
        Error::RequestTimeoutError => "it did not answer in time".into(),
        // Hyper's own message is only "client error (Connect)"; the cause is at the end of the chain.
        other => {
            let mut cause: &dyn std::error::Error = other;
            while let Some(source) = cause.source() {
                cause = source;
            }
            cause.to_string()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status_code: u16) -> EngineError {
        explain("unix:///s", "starting a_b", &Error::DockerResponseServerError { status_code, message: "why\n".into() })
            .error
    }

    #[test]
    fn a_status_becomes_what_to_do_next() {
        assert_eq!(answered(404), EngineError::NotFound("starting a_b: why".into()));
        assert_eq!(answered(400), EngineError::Refused("starting a_b: why".into()));
        assert_eq!(answered(409), EngineError::Other("starting a_b: why".into()));
        assert_eq!(answered(500), EngineError::Other("starting a_b: why".into()));
        assert_eq!(answered(503), EngineError::Unreachable("starting a_b: why".into()));
    }

    #[test]
    fn too_many_open_files_of_our_own_are_not_the_engines_silence() {
        let exhausted = std::io::Error::from_raw_os_error(24);
        let error = explain("unix:///s", "listing containers", &Error::IOError { err: exhausted }).error;
        assert_eq!(error.code(), "engine_out_of_files");
        assert!(!error.to_string().contains("does not answer"), "{error}");
    }

    #[test]
    fn an_engine_that_does_not_answer_is_unreachable_with_the_place_and_what_to_do() {
        let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        let error = explain("unix:///s", "asking", &Error::IOError { err: refused }).error;
        assert_eq!(
            error.to_string(),
            "the container engine does not answer: unix:///s: asking: connection refused; the Docker engine may not be running; see systemctl status docker"
        );
        assert_eq!(explain("unix:///s", "asking", &Error::RequestTimeoutError).error.code(), "engine_unreachable");
        assert_eq!(
            explain("unix:///s", "asking", &Error::SocketNotFoundError("/s".into())).error.code(),
            "engine_unreachable"
        );
    }
}
