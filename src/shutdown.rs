//! Ctrl-C and SIGTERM: the first signal shuts down cleanly, the second at once.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// A token that is cancelled by the first signal. The second signal ends the process with exit code 130.
pub(crate) fn on_signal() -> std::io::Result<CancellationToken> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let token = CancellationToken::new();
    let stop = token.clone();
    tokio::spawn(async move {
        for signals in 0.. {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if signals == 0 {
                info!("stopping; agents keep running. Signal again to stop at once");
                stop.cancel();
            } else {
                warn!("stopped at once");
                #[expect(clippy::disallowed_methods, reason = "the second signal means at once")]
                std::process::exit(130);
            }
        }
    });
    Ok(token)
}
