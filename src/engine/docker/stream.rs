//! Endless streams: log lines and events. A stream ends at its first error; the reader opens it again.

use bollard::{
    container::LogOutput,
    query_parameters::{EventsOptionsBuilder, LogsOptionsBuilder},
};
use futures_util::{
    StreamExt, future,
    stream::{self, BoxStream},
};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{Docker, errors, observe};
use crate::engine::{
    EngineEvent, LogLine, LogQuery, Result,
    wire::{event, lines::Lines},
};

impl Docker {
    pub(super) async fn log_lines(
        &self,
        container: &str,
        query: LogQuery,
    ) -> Result<BoxStream<'static, Result<LogLine>>> {
        let ours = self.ours(container).await?;
        let options = LogsOptionsBuilder::new()
            .stdout(true)
            .stderr(true)
            .follow(query.follow)
            .timestamps(query.timestamps)
            .tail(&query.tail.to_string())
            .build();
        let frames = self.client()?.logs(&ours.id, Some(options));
        let (host, what) = (self.host.clone(), format!("reading the log of {container}"));
        let mut outputs = [Lines::of_stdout(), Lines::of_stderr()].map(|lines| lines.with_timestamps(query.timestamps));
        // One more step after the last frame, for a last line without a line end.
        let lines = frames.map(Some).chain(stream::iter([None])).map(move |frame| match frame {
            Some(Ok(frame)) => {
                let output = &mut outputs[usize::from(matches!(frame, LogOutput::StdErr { .. }))];
                output.take(frame.as_ref()).into_iter().map(Ok).collect()
            }
            Some(Err(error)) => vec![Err(errors::explain(&host, &what, &error).error)],
            None => outputs.iter_mut().filter_map(Lines::rest).map(Ok).collect::<Vec<_>>(),
        });
        Ok(until_error(lines.flat_map(stream::iter)))
    }

    pub(super) async fn event_stream(&self) -> Result<BoxStream<'static, Result<EngineEvent>>> {
        // The request is only sent when the stream is first polled. Asking for everything since now, by the engine's
        // own clock, leaves no gap in between.
        let info = self.call("reading its time", async |client| client.info().await).await?;
        let mut options = EventsOptionsBuilder::new().filters(&event::filters(&self.instance));
        if let Some(now) = info.system_time.as_deref().and_then(|time| OffsetDateTime::parse(time, &Rfc3339).ok()) {
            options = options.since(&format!("{}.{:09}", now.unix_timestamp(), now.nanosecond()));
        }
        let messages = self.client()?.events(Some(options.build()));
        let (host, cache) = (self.host.clone(), self.cache.clone());
        let events = messages.filter_map(move |message| {
            future::ready(match message {
                Ok(message) => {
                    if let Some(id) = event::needs_inspection(&message) {
                        observe::invalidate(&cache, id);
                    }
                    event::event(message).map(Ok)
                }
                Err(error) => Some(Err(errors::explain(&host, "listening for events", &error).error)),
            })
        });
        Ok(until_error(events))
    }
}

impl Docker {
    /// An item whenever an image was pulled, built, loaded, tagged or untagged.
    pub(super) fn image_event_stream(&self) -> Result<BoxStream<'static, Result<()>>> {
        let options = EventsOptionsBuilder::new().filters(&event::image_filters()).build();
        let messages = self.client()?.events(Some(options));
        let host = self.host.clone();
        let changes = messages.map(move |message| {
            message.map(drop).map_err(|error| errors::explain(&host, "listening for changes of images", &error).error)
        });
        Ok(until_error(changes))
    }
}

/// The stream up to and including its first error.
fn until_error<T: Send + 'static>(
    stream: impl stream::Stream<Item = Result<T>> + Send + 'static,
) -> BoxStream<'static, Result<T>> {
    let mut failed = false;
    let until = stream.take_while(move |item| {
        let goes_on = !failed;
        failed |= item.is_err();
        future::ready(goes_on)
    });
    until.boxed()
}
