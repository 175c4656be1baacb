//! Commands inside a container: run to their end, with their output kept up to a limit.

use std::time::Duration;

use bollard::{
    container::LogOutput,
    exec::{StartExecOptions, StartExecResults},
    models::ExecConfig,
};
use futures_util::StreamExt;

use super::{CallResult, Docker};
use crate::engine::{EngineError, ExecAnswer, Result};

/// The most bytes of output that are kept; the rest is read and dropped.
const KEPT: usize = 1024 * 1024;
/// The output can end a moment before the engine has the exit code.
const AGAIN: Duration = Duration::from_millis(20);

impl Docker {
    pub(super) async fn exec_command(
        &self,
        container: &str,
        command: &[String],
        timeout: Duration,
    ) -> Result<ExecAnswer> {
        let ours = self.ours(container).await?;
        let program = command.first().map_or("", String::as_str);
        let what = format!("running {program} in {container}");
        match tokio::time::timeout(timeout, self.run(&ours.id, command, &what)).await {
            Ok(answer) => answer.map_err(|failure| match failure.status {
                // Not running, or paused.
                Some(409) => EngineError::Refused(format!("{what}: {}", failure.message)),
                _ => failure.error,
            }),
            Err(_) => {
                Err(EngineError::Other(format!("{what}: it did not end within {timeout:?}; it may still be running")))
            }
        }
    }

    async fn run(&self, id: &str, command: &[String], what: &str) -> CallResult<ExecAnswer> {
        let config = ExecConfig {
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            cmd: Some(command.to_vec()),
            ..Default::default()
        };
        let exec = self.call(what, async |client| client.create_exec(id, config).await).await?.id;
        let started = self.call(what, async |client| client.start_exec(&exec, None::<StartExecOptions>).await).await?;
        let StartExecResults::Attached { mut output, input: _input } = started else {
            return Err(EngineError::Other(format!("{what}: the engine does not return its output")).into());
        };
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        while let Some(piece) = output.next().await {
            let piece = piece.map_err(|error| self.failure(what, error))?;
            let kept = if matches!(piece, LogOutput::StdErr { .. }) { &mut stderr } else { &mut stdout };
            let bytes = piece.into_bytes();
            kept.extend_from_slice(&bytes[..bytes.len().min(KEPT.saturating_sub(kept.len()))]);
        }
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let code = self.exit_code(&exec, what).await?;
        Ok(ExecAnswer { code, stdout: text(stdout), stderr: text(stderr) })
    }

    async fn exit_code(&self, exec: &str, what: &str) -> CallResult<i64> {
        loop {
            let inspected = self.call(what, async |client| client.inspect_exec(exec).await).await?;
            match inspected.exit_code {
                Some(code) if inspected.running != Some(true) => return Ok(code),
                _ => tokio::time::sleep(AGAIN).await,
            }
        }
    }
}
