//! The answer to a pod that does not exist: which one is probably meant, and how to see them all.

use crate::core::{names::PodId, problem::nearest};

/// Like `there is no pod alcie/a; did you mean alice/a? agentpod status lists the pods`.
pub(crate) fn no_such_pod<'a>(id: &PodId, known: impl IntoIterator<Item = &'a PodId>) -> String {
    match meant(id, known) {
        Some(meant) => format!("there is no pod {id}; did you mean {meant}? agentpod status lists the pods"),
        None => format!("there is no pod {id}; list the pods with agentpod status"),
    }
}

/// ` ; did you mean alice/a?`, or nothing, to put behind a sentence.
pub(crate) fn hint<'a>(id: &PodId, known: impl IntoIterator<Item = &'a PodId>) -> String {
    meant(id, known).map(|meant| format!("; did you mean {meant}?")).unwrap_or_default()
}

fn meant<'a>(id: &PodId, known: impl IntoIterator<Item = &'a PodId>) -> Option<String> {
    let known: Vec<String> = known.into_iter().map(ToString::to_string).collect();
    nearest(&id.to_string(), known.iter().map(String::as_str)).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_pod_is_answered_with_the_one_that_is_probably_meant() {
        let known: Vec<PodId> = ["alice/assistant", "bob/helper"].map(|id| id.parse().unwrap()).into();
        let said = |id: &str| no_such_pod(&id.parse().unwrap(), &known);
        assert!(said("alcie/assistant").contains("did you mean alice/assistant?"));
        assert!(said("bob/helpre").contains("did you mean bob/helper?"));
        assert_eq!(said("zoe/x"), "there is no pod zoe/x; list the pods with agentpod status");
        assert_eq!(hint(&"bob/halper".parse().unwrap(), &known), "; did you mean bob/helper?");
    }
}
