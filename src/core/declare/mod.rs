//! What people declare, and the desired state that follows from it.
//!
//! | file | input → output |
//! | --- | --- |
//! | `document` | bytes of a YAML or JSON file → a tree with positions |
//! | `schema` | a tree and a JSON Schema → problems in plain words |
//! | `manifest` | documents → tenants, pods and defaults |
//! | `adapter`, `template` | an adapter's folder → how to run one kind of agent |
//! | `resolve` | all of these together → pods with defaults, or every problem |
//! | `desired` | resolved pods → the containers and files that should exist |
//! | `parts` | a container to be → the parts by which a change is named |
//! | `desired_status` | whether a pod should run, be stopped, or is no longer declared |
//! | `revision`, `commit` | one state of the source, and where it came from |
//! | `infra` | what pods share: networks |
//! | `bounds` | numbers that people declare → the problems of those that mean something else to the engine |
//! | `references` | references to secrets → the problems of those that lead where they may not |
//! | `edit`, `pod_edit` | a new pod, or a change of one → the text of the file that declares it |
//!
//! Nothing here knows the actual state.

pub mod adapter;
mod bounds;
pub mod commit;
pub mod desired;
pub mod desired_status;
pub mod document;
pub mod edit;
pub mod infra;
pub mod manifest;
pub mod parts;
pub mod pod_edit;
mod references;
pub mod resolve;
pub(crate) mod revision;
pub mod schema;
pub(crate) mod template;
