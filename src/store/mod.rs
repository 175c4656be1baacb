//! Postgres: where AgentPod keeps what it was told, what it saw and what happened.
//! It may not decide anything and may not talk to Docker.

pub mod embedded;
