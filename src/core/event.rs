//! The kinds of events, each with a stable name and a severity. Logs, the store, pages, the API, the command line and metrics
//! all use them, so that nothing has to parse a kind from text.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The severity of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Normal operation.
    Info,
    /// A desired state was reached.
    Success,
    /// It may need attention.
    Warning,
    /// Something failed or stopped working.
    Error,
}

impl Severity {
    /// All of them, the least urgent first.
    pub(crate) const ALL: [Self; 4] = [Self::Info, Self::Success, Self::Warning, Self::Error];

    /// The stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Success => "success",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }

    /// Whether to log it as a warning.
    pub fn is_bad(self) -> bool {
        self >= Self::Warning
    }
}

/// There is no severity of that name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no severity of that name; there are info, success, warning and error")]
pub struct UnknownSeverity;

impl FromStr for Severity {
    type Err = UnknownSeverity;
    fn from_str(name: &str) -> Result<Self, UnknownSeverity> {
        Self::ALL.into_iter().find(|severity| severity.as_str() == name).ok_or(UnknownSeverity)
    }
}

macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $kind:ident = $name:literal, $severity:ident;)+) => {
        /// The kind of an event.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        pub enum EventKind {
            $($(#[doc = $doc])+ #[serde(rename = $name)] $kind,)+
            /// Written by another version of AgentPod, which knows a kind that this one does not.
            #[default]
            #[serde(other, rename = "unrecognized")]
            Unrecognized,
        }

        impl EventKind {
            /// Every kind that is written.
            pub const ALL: &[Self] = &[$(Self::$kind),+];

            /// The stable name, in the table, the API and logs.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)+
                    Self::Unrecognized => "unrecognized",
                }
            }

            /// The severity of its events.
            pub fn severity(self) -> Severity {
                match self {
                    $(Self::$kind => Severity::$severity,)+
                    Self::Unrecognized => Severity::Info,
                }
            }
        }
    };
}

kinds! {
    /// The container of a pod that had none was created and started.
    Created = "created", Info;
    /// A changed declaration replaced the container.
    Replaced = "replaced", Info;
    /// Files that the agent reloads by itself were uploaded.
    Uploaded = "uploaded", Info;
    /// Containers of the pod were started.
    Started = "started", Info;
    /// A requested restart was done.
    Restarted = "restarted", Info;
    /// Containers of the pod were stopped.
    Stopped = "stopped", Info;
    /// The containers of a pod that is no longer declared were removed.
    Removed = "removed", Info;
    /// A container that a change left over was removed.
    CleanedUp = "cleaned_up", Info;
    /// A container that was off its network was attached again.
    Reconnected = "reconnected", Info;
    /// A step failed; it is tried again later.
    Failed = "failed", Error;
    /// The new container failed, and the previous one runs again.
    RolledBack = "rolled_back", Error;
    /// The container restarts too often; it is stopped for a while.
    CrashLoop = "crash_loop", Error;
    /// The container answers its probe.
    Ready = "ready", Success;
    /// The container does not answer its probe although it should.
    Unhealthy = "unhealthy", Error;
    /// The container exited by itself.
    Exited = "exited", Error;
    /// The engine killed a process of the container for using too much memory.
    OutOfMemory = "out_of_memory", Error;
    /// Somebody else removed the container.
    Vanished = "vanished", Warning;
    /// The tag that the container's image was found by means another image now.
    ImageMoved = "image_moved", Warning;
    /// The limits in force for the container are not the declared ones.
    Deviates = "deviates", Warning;
    /// They are the declared ones again.
    Hardened = "hardened", Success;

    /// A pod was declared for the first time.
    Declared = "declared", Info;
    /// A pod's declaration changed.
    Changed = "changed", Info;
    /// A pod that had been removed from the source is declared again.
    Returned = "returned", Info;
    /// A pod is no longer declared.
    Undeclared = "undeclared", Warning;
    /// Too many pods would be removed at once; somebody has to approve it.
    RemovalsHeld = "removals_held", Warning;
    /// A removed pod's data was deleted.
    Purged = "purged", Warning;

    /// The source has not been read for too long.
    SourceStale = "source_stale", Warning;
    /// The source is read again.
    SourceFresh = "source_fresh", Success;
    /// The source's content cannot be used, not even as a revision that is refused.
    SourceRefused = "source_refused", Error;
    /// The source's content can be used again.
    SourceAccepted = "source_accepted", Success;
    /// Somebody added a file to the source on the dashboard.
    Edited = "edited", Info;

    /// A request was carried out.
    RequestDone = "request", Info;
    /// A request was not carried out.
    RequestRefused = "request_refused", Warning;

    /// An account was added.
    AccountAdded = "account_added", Info;
    /// An account was removed.
    AccountRemoved = "account_removed", Info;
    /// An account was disabled.
    AccountDisabled = "account_disabled", Info;
    /// An account was enabled again.
    AccountEnabled = "account_enabled", Info;
    /// An account has a new password.
    PasswordChanged = "password_changed", Info;
    /// An API token was created.
    ApiTokenCreated = "api_token_created", Info;
    /// An API token was revoked.
    ApiTokenRevoked = "api_token_revoked", Info;
    /// Somebody signed in.
    SignedIn = "signed_in", Info;
    /// Somebody tried to sign in with a wrong name or password.
    SignInFailed = "sign_in_failed", Warning;

    /// The instance key was replaced; nothing else changed.
    KeyRotated = "key_rotated", Info;
    /// The instance key was lost and a new one made: every pod gets a new token.
    KeyReset = "key_reset", Warning;
    /// A pod's gateway token was replaced.
    TokenRotated = "token_rotated", Info;

    /// AgentPod started.
    DaemonStarted = "daemon_started", Info;
    /// AgentPod stopped.
    DaemonStopped = "daemon_stopped", Info;
    /// The pod's data volume is gone.
    VolumeGone = "volume_gone", Error;
    /// The database could not be used for a while, and can again.
    DatabaseUnavailable = "database_unavailable", Warning;
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// There is no kind of that name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no kind of event of that name")]
pub struct UnknownEventKind;

impl FromStr for EventKind {
    type Err = UnknownEventKind;
    fn from_str(name: &str) -> Result<Self, UnknownEventKind> {
        Self::ALL.iter().find(|kind| kind.as_str() == name).copied().ok_or(UnknownEventKind)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_kind_has_a_name_of_its_own_that_leads_back_to_it() {
        let names: BTreeSet<&str> = EventKind::ALL.iter().map(|kind| kind.as_str()).collect();
        assert_eq!(names.len(), EventKind::ALL.len(), "two kinds share a name");
        for kind in EventKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(*kind));
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str(), "JSON says the same as the table");
        }
    }

    #[test]
    fn what_a_newer_version_wrote_is_read_as_unrecognized() {
        assert_eq!("teleported".parse::<EventKind>(), Err(UnknownEventKind));
        assert_eq!(serde_json::from_str::<EventKind>("\"teleported\"").unwrap(), EventKind::Unrecognized);
    }

    #[test]
    fn what_stops_an_agent_or_the_source_asks_for_attention() {
        use EventKind::{
            CrashLoop, Deviates, Exited, Failed, OutOfMemory, RolledBack, SourceStale, Unhealthy, Vanished,
        };
        for kind in [CrashLoop, Deviates, Exited, Failed, OutOfMemory, RolledBack, SourceStale, Unhealthy, Vanished] {
            assert!(kind.severity().is_bad(), "{kind} would be shown as unimportant");
        }
        assert!(!EventKind::CleanedUp.severity().is_bad());
    }
}
