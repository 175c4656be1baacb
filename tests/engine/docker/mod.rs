//! The Docker engine against a real one. State is checked, not output; everything a test makes carries a label of its
//! own and is removed also when the test fails. Needs the image `agentpod/echo:1` (deploy/images/echo/build.sh).

mod accidents;
mod fake;
mod hardened;
mod images;
mod inside;
mod life;
mod networks;
mod orphans;
mod ownership;
mod stage;
