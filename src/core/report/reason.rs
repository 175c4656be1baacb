//! Why a pod has its status, and why a condition is true or false: one word for machines. The sentence for people is
//! kept with it.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $reason:ident,)+) => {
        /// Why something is as it is, in one word.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        pub enum Reason {
            $($(#[doc = $doc])+ $reason,)+
            /// The reason is unknown, or another version of AgentPod wrote one that this version does not have.
            #[default]
            #[serde(other)]
            Unknown,
        }

        impl Reason {
            /// Every reason except `Unknown`.
            pub(crate) const ALL: &[Self] = &[$(Self::$reason),+];

            /// Its stable name: in tables and the API.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$reason => stringify!($reason),)+
                    Self::Unknown => "Unknown",
                }
            }
        }
    };
}

reasons! {
    /// It was declared, and no round has planned it yet.
    Declared,
    /// The engine does not answer, or does not report the state of a container.
    EngineUnknown,
    /// A secret cannot be read.
    SecretMissing,
    /// Its removal is one of too many at once.
    TooManyRemovals,
    /// Another pod still runs at its subdomain.
    SubdomainTaken,
    /// Its data volume is gone.
    VolumeGone,
    /// Somebody paused it.
    Paused,
    /// Somebody paused it, and it is being stopped.
    Pausing,
    /// Somebody paused its container outside AgentPod.
    PausedByHand,
    /// Its container restarts too often.
    CrashLoop,
    /// A step failed, and is tried again later.
    StepFailed,
    /// It is no longer declared.
    Undeclared,
    /// Only its data is left.
    Removed,
    /// Its newest container failed; the previous one runs.
    NewContainerFailed,
    /// It is being stopped.
    Stopping,
    /// It is stopped, as declared.
    Stopped,
    /// Its image is being pulled.
    Pulling,
    /// Its container is being created.
    Creating,
    /// Its container is being started.
    Starting,
    /// Its container exited, and the engine starts it again.
    Restarting,
    /// Its container is not attached to its network.
    OffNetwork,
    /// Its probe has not answered since AgentPod started.
    NotAskedYet,
    /// It has time left to become ready.
    WaitingForProbe,
    /// Its probe succeeds.
    ProbeSucceeded,
    /// Its probe fails.
    ProbeFailed,

    /// It is as declared.
    AsDeclared,
    /// Its container differs from what was declared.
    Deviates,
    /// The proxy routes its host name to its container.
    Routed,
    /// The proxy does not.
    NotRouted,
    /// Its desired state has not been stored yet.
    NotKnown,
    /// It has no container.
    NoContainer,
    /// Its container was created for another declaration.
    OtherContainer,
    /// Files that its agent reloads by itself are not uploaded yet.
    FilesPending,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// There is no reason of that name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no reason of that name")]
pub struct UnknownReason;

impl FromStr for Reason {
    type Err = UnknownReason;
    fn from_str(name: &str) -> Result<Self, UnknownReason> {
        Self::ALL.iter().find(|reason| reason.as_str() == name).copied().ok_or(UnknownReason)
    }
}
