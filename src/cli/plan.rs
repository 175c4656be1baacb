//! `agentpod plan`: a round that stops before it changes or writes anything.

use std::{collections::BTreeSet, os::unix::fs::PermissionsExt, process::ExitCode};

use anyhow::Result;
use serde_json::json;

use super::{
    Output,
    connect::{self, Access, Database},
    offline::print_problems,
    output,
};
use crate::{
    config::Settings,
    core::decide::plan::{Decision, Hold, Plan},
    reconcile::{PreviewError, Reconciler},
    store::KEY_FILE,
};

/// The plan as text. If one reason holds every pod, it is printed once.
fn text(plan: &Plan) -> String {
    let unknown = plan.pods.values().map(|decision| match decision {
        Decision::Hold(Hold::Unknown(why)) => Some(why),
        _ => None,
    });
    let reasons: Option<BTreeSet<&String>> = unknown.collect();
    match reasons.as_ref().and_then(|reasons| reasons.first().filter(|_| reasons.len() == 1)) {
        Some(why) => format!("nothing can be planned: {why}\n{} held", output::count(plan.pods.len(), "pod")),
        None => plan.to_string(),
    }
}

/// One decision; `kind` is the key that its subject stands under.
fn line(kind: &str, id: &impl ToString, decision: &Decision) -> serde_json::Value {
    let id = id.to_string();
    match decision {
        Decision::Settled => json!({kind: id, "decision": "settled"}),
        Decision::Hold(hold) => json!({kind: id, "decision": "hold", "reason": hold.to_string()}),
        Decision::Act(action) => json!({kind: id, "decision": "act", "cause": action.cause.to_string(),
            "steps": action.steps.iter().map(ToString::to_string).collect::<Vec<_>>()}),
    }
}

/// The plan, and what people should know about it.
async fn preview(settings: &Settings, database: &Database) -> Result<(Result<Plan, PreviewError>, Option<String>)> {
    let source = connect::source(settings).origin();
    let running = database.store.in_force().await?.map(|row| row.origin).filter(|origin| *origin != source);
    let (mut reconciler, _view) = Reconciler::new(connect::parts(settings, database)?);
    let plan = reconciler.preview().await;
    let note = running.map(|origin| {
        format!("note: the manifests in force come from {origin}, but this plan is for {source}; name another with --source or --git")
    });
    Ok((plan, note))
}

/// The plan where AgentPod has never run. A database is needed to make it, but none is left behind.
async fn plan_of_nothing(settings: &Settings) -> Result<Result<Plan, PreviewError>> {
    eprintln!(
        "AgentPod has never run with the state directory {}, so this is the plan of a first start",
        settings.state_dir.display()
    );
    // The private server runs as another user, who has to be able to enter it.
    let permissions = std::fs::Permissions::from_mode(if rustix::process::geteuid().is_root() { 0o711 } else { 0o700 });
    let scratch = tempfile::Builder::new().prefix("agentpod-plan-").permissions(permissions).tempdir()?;
    let state_dir = scratch.path().to_owned();
    let settings = Settings { key_file: state_dir.join(KEY_FILE), state_dir, ..settings.clone() };
    let preview = async |database: &Database| preview(&settings, database).await;
    Ok(Database::with(&settings, Access::Create, preview).await?.0)
}

/// Runs `agentpod plan`.
pub(crate) async fn run(settings: Settings, format: Output) -> Result<ExitCode> {
    let (plan, note) = match connect::has_private_database(&settings) || settings.database_url.is_some() {
        true => {
            let preview = async |database: &Database| preview(&settings, database).await;
            Database::with(&settings, Access::Existing, preview).await?
        }
        false => (plan_of_nothing(&settings).await?, None),
    };
    if let Some(note) = note {
        eprintln!("{note}");
    }
    let plan = match plan {
        Ok(plan) => plan,
        Err(PreviewError::Refused(refused)) => {
            print_problems(&refused.problems)?;
            return Ok(ExitCode::FAILURE);
        }
        Err(PreviewError::Store(error)) => return Err(error.into()),
    };
    match format {
        Output::Text => output::print(&text(&plan))?,
        Output::Json | Output::Yaml => {
            let pods = plan.pods.iter().map(|(id, decision)| line("pod", id, decision));
            let infra: Vec<_> = plan.infra.iter().map(|(id, decision)| line("item", id, decision)).collect();
            let held = plan.held_removals.as_ref().map(|held| {
                json!({"plan": held.why.plan, "pods": held.pods, "of": held.why.all, "before": held.why.before,
                    "limit": held.why.limit, "approve": format!("agentpod approve {}", held.why.plan)})
            });
            let pods: Vec<_> = pods.collect();
            output::data(
                format,
                &json!({"changes": has_changes(&plan), "held_removals": held, "infra": infra, "pods": pods}),
            )?;
        }
    }
    Ok(ExitCode::from(exit_code(&plan)))
}

/// 0: nothing to do; 2: there are changes, carried out or waiting for approval; 1: the state is unknown, which is not the
/// same as no changes.
fn exit_code(plan: &Plan) -> u8 {
    match plan.pods.values().any(|decision| matches!(decision, Decision::Hold(Hold::Unknown(_)))) {
        true => 1,
        false if has_changes(plan) => 2,
        false => 0,
    }
}

/// Whether something would be done, now or once somebody approves it.
fn has_changes(plan: &Plan) -> bool {
    !plan.is_quiet() || plan.held_removals.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::decide::plan::{HeldRemovals, RemovalLimit, TooManyRemovals};

    #[test]
    fn removals_that_wait_for_approval_are_changes() {
        let mut plan = Plan::default();
        assert_eq!(exit_code(&plan), 0);
        let limit = RemovalLimit::default();
        let why = TooManyRemovals { plan: "0123".into(), held: 17, before: 0, all: 20, limit };
        plan.held_removals = Some(HeldRemovals { pods: BTreeSet::new(), why });
        assert_eq!(exit_code(&plan), 2);
        plan.pods
            .insert("alice/a".parse().unwrap(), Decision::Hold(Hold::Unknown("the engine does not answer".into())));
        assert_eq!(exit_code(&plan), 1);
    }
}
