//! `agentpod plan`: a round that stops before it changes or writes anything.

use std::{collections::BTreeSet, process::ExitCode};

use anyhow::Result;
use serde_json::json;

use super::{
    Output,
    connect::{self, Database},
    offline::print_problems,
    output,
};
use crate::{
    config::Settings,
    core::decide::plan::{Decision, Hold, Plan},
    reconcile::{PreviewError, Reconciler},
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

/// Runs `agentpod plan`.
pub(crate) async fn run(settings: Settings, format: Output) -> Result<ExitCode> {
    let database = Database::open(&settings).await?;
    let (mut reconciler, view) = Reconciler::new(connect::parts(&settings, &database)?);
    let outcome = reconciler.preview().await;
    drop((reconciler, view));
    database.close().await?;
    let plan = match outcome {
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
                &json!({"changes": !plan.is_quiet(), "heldRemovals": held, "infra": infra, "pods": pods}),
            )?;
        }
    }
    // An unknown state is not the same as no changes.
    if plan.pods.values().any(|decision| matches!(decision, Decision::Hold(Hold::Unknown(_)))) {
        return Ok(ExitCode::FAILURE);
    }
    Ok(if plan.is_quiet() { ExitCode::SUCCESS } else { ExitCode::from(2) })
}
