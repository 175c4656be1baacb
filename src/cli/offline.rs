//! Commands that need neither database nor engine: `validate`, `check`, `schema`, `render` and `completions`.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result, bail};
use clap::CommandFactory;
use serde_json::json;

use super::{Output, arguments, connect, output, similar::hint};
use crate::{
    config::Settings,
    core::{
        declare::{
            adapter,
            desired::{self, SecretTexts},
            document::{MAX_FILE_BYTES, too_large},
            manifest, resolve, revision,
        },
        names::PodId,
        problem::Problem,
    },
    reconcile::{Inputs, JUDGING_LIMIT},
    source::{Directory, Source},
};

/// `agentpod validate`.
pub(crate) async fn validate(settings: Settings, directory: Option<PathBuf>, format: Output) -> Result<ExitCode> {
    if let Some(file) = directory.as_ref().filter(|path| path.is_file()) {
        return validate_file(&settings, file, format).await;
    }
    let source = match directory {
        Some(directory) => Source::Directory(Directory::new(directory)),
        None => connect::source(&settings),
    };
    let mut inputs = Inputs::new(source, connect::folders(&settings), settings.site.clone());
    let (problems, files) = match inputs.read(JUDGING_LIMIT).await {
        Ok(fresh) => (Vec::new(), fresh.map_or(0, |fresh| fresh.reading.snapshot.files.len())),
        Err(refused) => (refused.problems, 0),
    };
    report(&problems, &format!("{}, no problems", output::count(files, "file")), format)
}

/// Judges one file, whose tenants and defaults may be declared in others.
async fn validate_file(settings: &Settings, file: &Path, format: Output) -> Result<ExitCode> {
    let name = file.display().to_string();
    let size = std::fs::metadata(file).with_context(|| format!("{name} cannot be read"))?.len();
    let problems = if size > MAX_FILE_BYTES {
        vec![too_large(&name, size)]
    } else {
        let bytes = std::fs::read(file).with_context(|| format!("{name} cannot be read"))?;
        let adapters = connect::folders(settings).read().await?;
        revision::validate_file(&name, &bytes, &adapters.files, &settings.site)
    };
    report(&problems, "1 file, no problems; what other files declare was not looked at", format)
}

fn report(problems: &[Problem], none: &str, format: Output) -> Result<ExitCode> {
    match format {
        Output::Json | Output::Yaml => {
            output::data(format, &json!({"valid": problems.is_empty(), "problems": problems}))?;
        }
        Output::Text if problems.is_empty() => output::print(none)?,
        Output::Text => print_problems(problems)?,
    }
    Ok(if problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints every problem, then their count.
pub(crate) fn print_problems(problems: &[Problem]) -> Result<()> {
    for problem in problems {
        output::print(&format!("{problem}\n"))?;
    }
    output::print(&output::count(problems.len(), "problem"))
}

/// `agentpod check`.
pub(crate) async fn check(settings: Settings) -> Result<ExitCode> {
    let snapshot = connect::folders(&settings).read().await?;
    let (adapters, mut problems) = adapter::read(&snapshot.files);
    let mut rendered = 0;
    for (name, adapter) in &adapters.all {
        let samples = adapter.samples.iter().map(|(file, config)| (file.clone(), config.clone()));
        let defaults = std::iter::once((format!("adapters/{name}/adapter.yaml"), serde_json::Map::new()));
        for (file, config) in defaults.chain(samples) {
            let found = check_sample(&settings, &adapters, name.as_str(), &file, config);
            rendered += usize::from(found.is_empty());
            problems.extend(found);
        }
    }
    problems.sort();
    problems.dedup();
    if problems.is_empty() {
        let (adapters, samples) = (output::count(adapters.all.len(), "adapter"), output::count(rendered, "sample"));
        output::print(&format!("{adapters}, {samples} rendered, no problems"))?;
        return Ok(ExitCode::SUCCESS);
    }
    print_problems(&problems)?;
    Ok(ExitCode::FAILURE)
}

/// Renders one sample as the config of a generated pod.
fn check_sample(
    settings: &Settings,
    adapters: &adapter::Adapters,
    name: &str,
    file: &str,
    config: serde_json::Map<String, serde_json::Value>,
) -> Vec<Problem> {
    let manifest = json!({"apiVersion": manifest::API_VERSION, "kind": "Pod", "metadata": {"name": "sample", "tenant": "sample"},
        "spec": {"adapter": name, "subdomain": "sample", "config": config}});
    let tenant = json!({"apiVersion": manifest::API_VERSION, "kind": "Tenant", "metadata": {"name": "sample"}});
    let text = format!("{tenant}\n---\n{manifest}\n");
    let (manifests, mut problems) = manifest::read([(file, text.as_bytes())]);
    if problems.is_empty()
        && let Err(found) = desired::build(&manifests, adapters, &settings.site, &BTreeMap::new(), &BTreeMap::new())
    {
        problems = found;
    }
    // Positions refer to the generated manifest, so only the file and the message are of use.
    problems.into_iter().map(|problem| Problem { at: None, excerpt: None, ..problem }).collect()
}

/// `agentpod schema`.
pub fn schema() -> Result<ExitCode> {
    output::json(&manifest::schema())?;
    Ok(ExitCode::SUCCESS)
}

/// `agentpod render`.
pub(crate) async fn render(settings: Settings, id: &PodId) -> Result<ExitCode> {
    let folders = connect::folders(&settings).read().await?;
    let snapshot = connect::source(&settings).read().await?;
    let (adapters, mut problems) = adapter::read(&folders.files);
    let (manifests, found) = manifest::read(snapshot.texts());
    problems.extend(found);
    let (resolved, found) = resolve::resolve(&manifests, &adapters);
    problems.extend(found);
    let Some(pod) = resolved.pods.get(id) else {
        if problems.is_empty() {
            bail!("there is no pod {id} in {}{}", snapshot.origin, hint(id, resolved.pods.keys()));
        }
        print_problems(&problems)?;
        return Ok(ExitCode::FAILURE);
    };
    match desired::render(&adapters, &settings.site, pod, &SecretTexts::placeholders(pod)) {
        Err(problems) => {
            print_problems(&problems)?;
            Ok(ExitCode::FAILURE)
        }
        Ok(rendered) => {
            output::print(&format!("# environment of {id}"))?;
            for (name, value) in &rendered.environment {
                output::print(&format!("{name}={value}"))?;
            }
            for file in &rendered.files {
                output::print(&format!(
                    "\n# {} (mode {:o}{})\n{}",
                    file.path,
                    file.mode,
                    if file.hot { ", uploaded when it changes" } else { "" },
                    file.text
                ))?;
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// `agentpod completions`.
pub(crate) fn completions(shell: clap_complete::Shell) -> Result<ExitCode> {
    // Made first: what generates them cannot bear a pipe that is closed early.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut super::Cli::command(), "agentpod", &mut script);
    output::print(String::from_utf8_lossy(&script).trim_end())?;
    Ok(ExitCode::SUCCESS)
}

/// `agentpod settings`, which is also `agentpod help settings`.
pub(crate) fn settings() -> Result<ExitCode> {
    output::print(arguments::settings_help().trim_end())?;
    Ok(ExitCode::SUCCESS)
}
