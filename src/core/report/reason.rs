//! Why a pod has its status, and why a condition holds or does not: one word for machines. The sentence for people stands
//! beside it.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $reason:ident,)+) => {
        /// Why something is as it is, in one word.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        pub enum Reason {
            $($(#[doc = $doc])+ $reason,)+
            /// Nothing is known about it, or another version of AgentPod wrote a reason that this one does not know.
            #[default]
            #[serde(other)]
            Unknown,
        }

        impl Reason {
            /// Every reason but the one that none is known.
            pub const ALL: &[Self] = &[$(Self::$reason),+];

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
    /// It was declared, and no round has looked at it yet.
    Declared,
    /// The engine does not answer, or does not say what a container is doing.
    EngineUnknown,
    /// A secret cannot be read.
    SecretMissing,
    /// Its removal is one of too many at once.
    TooManyRemovals,
    /// Another pod still runs at its subdomain.
    SubdomainTaken,
    /// Somebody paused it.
    Paused,
    /// Somebody paused it, and it is being stopped.
    Pausing,
    /// Somebody froze its container by hand.
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
    /// Its image is being fetched.
    Pulling,
    /// Its container is being created.
    Creating,
    /// Its container is being started.
    Starting,
    /// Its container exited, and the engine starts it again.
    Restarting,
    /// Its container is off its network.
    OffNetwork,
    /// Its probe has not answered yet; what was known before still stands.
    NotAskedYet,
    /// It has time left to become ready.
    WaitingForProbe,
    /// Its probe is content.
    ProbeSucceeded,
    /// Its probe is not content.
    ProbeFailed,

    /// It is as declared.
    AsDeclared,
    /// Other limits than the declared ones are in force.
    Deviates,
    /// The proxy routes its host name to its container.
    Routed,
    /// The proxy does not.
    NotRouted,
    /// What it should be has not been written down yet.
    NotKnown,
    /// It has no container.
    NoContainer,
    /// Its container was created for another declaration.
    OtherContainer,
    /// Files that its agent re-reads by itself are not uploaded yet.
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
