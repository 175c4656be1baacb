//! A curve over the last hours, as the paths and labels of an SVG: an area, a line, a scale with round numbers. The curve has
//! a gap where nothing was measured.

use serde::Serialize;
use time::{Duration, OffsetDateTime};

use super::pods::FilterOption;

/// The drawing's inner width and height, in its own units; labels are to the right and below.
const WIDTH: f64 = 284.0;
const TOP: f64 = 6.0;
const BOTTOM: f64 = 92.0;

#[derive(Debug, Clone, Serialize)]
pub struct Plot {
    /// What is plotted.
    pub(crate) name: &'static str,
    /// The newest value.
    pub(crate) now: String,
    /// The limit.
    pub(crate) of: Option<String>,
    /// The plot as text, for people who do not see it.
    pub(crate) summary: String,
    /// The path of the area.
    pub(crate) area: String,
    /// The path of the curve.
    pub(crate) curve: String,
    /// The limit's position.
    pub(crate) limit: Option<f64>,
    /// Each point for whoever points at it: its position, and its value with its time.
    pub(crate) points: Vec<(f64, f64, String)>,
    /// Labels of the values.
    pub(crate) ys: Vec<Label>,
    /// Labels of the times.
    pub(crate) xs: Vec<Label>,
}

/// What was used over time, and the ranges to choose from.
#[derive(Debug, Clone, Serialize)]
pub struct Usage {
    pub(crate) ranges: Vec<FilterOption>,
    pub(crate) plots: Vec<Plot>,
}

/// The hours to choose from, the default last.
pub(crate) const RANGES: [i64; 3] = [1, 6, 24];

impl Usage {
    /// Plots of the last `hours`, with links to the other ranges.
    pub(crate) fn new(hours: i64, href: &dyn Fn(i64) -> String, plots: Vec<Plot>) -> Self {
        let option =
            |range: i64| FilterOption { value: href(range), label: format!("{range} h"), chosen: range == hours };
        Self { ranges: RANGES.map(option).into(), plots }
    }
}

/// A label on an axis.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Label {
    /// Its position.
    pub(crate) at: f64,
    /// Its text.
    pub(crate) text: String,
    /// Its alignment.
    pub(crate) anchor: &'static str,
}

/// What is plotted.
pub(crate) struct Series<'a> {
    pub(crate) name: &'static str,
    /// Times, how many seconds each value covers, and values; oldest first.
    pub(crate) points: &'a [(OffsetDateTime, i32, f64)],
    /// The limit.
    pub(crate) limit: Option<f64>,
    /// How to format a value.
    pub(crate) say: fn(f64) -> String,
    /// Whether the scale uses powers of two.
    pub(crate) binary: bool,
}

impl Plot {
    /// Plots a series over the hours before `now`; `None` without a point.
    pub(crate) fn of(series: &Series<'_>, hours: i64, now: OffsetDateTime) -> Option<Self> {
        let begin = now - Duration::hours(hours);
        let points: Vec<_> = series.points.iter().filter(|(at, ..)| *at >= begin && *at <= now).collect();
        let newest = points.last()?.2;
        let most = points.iter().map(|point| point.2).fold(0.0, f64::max);
        // A scale below one would show noise. The limit is in sight, so that the curve shows how near it is.
        let top = ceiling(most.max(series.limit.unwrap_or(1.0)).max(1.0), series.binary);
        let x = |at: OffsetDateTime| {
            ((at - begin).as_seconds_f64() / (hours as f64 * 3600.0) * WIDTH * 10.0).round() / 10.0
        };
        let y = |value: f64| ((BOTTOM - value / top * (BOTTOM - TOP)) * 10.0).round() / 10.0;
        let (mut area, mut curve) = (String::new(), String::new());
        let mut previous: Option<(OffsetDateTime, f64)> = None;
        for (at, seconds, value) in points.iter().copied() {
            let (here, height) = (x(*at), y(*value));
            let goes_on =
                previous.is_some_and(|(before, _)| *at - before <= Duration::seconds(i64::from(*seconds) * 3));
            if goes_on {
                curve.push_str(&format!("L{here} {height}"));
                area.push_str(&format!("L{here} {height}"));
            } else {
                close(&mut area, previous);
                curve.push_str(&format!("M{here} {height}"));
                area.push_str(&format!("M{here} {BOTTOM}L{here} {height}"));
            }
            previous = Some((*at, here));
        }
        close(&mut area, previous);
        let label = |at, text, anchor| Label { at, text, anchor };
        let ys = [0.0, 0.5, 1.0].map(|part| label(y(top * part), (series.say)(top * part), "start")).into();
        let ago = |minutes: i64| match minutes {
            0 => "now".to_owned(),
            minutes if minutes % 60 == 0 => format!("{} h ago", minutes / 60),
            minutes => format!("{minutes} min ago"),
        };
        let xs = vec![
            label(0.0, ago(hours * 60), "start"),
            label(WIDTH / 2.0, ago(hours * 30), "middle"),
            label(WIDTH, ago(0), "end"),
        ];
        let limit = series.limit.filter(|limit| *limit > 0.0).map(y);
        let least = points.iter().map(|point| point.2).fold(f64::INFINITY, f64::min);
        let say = series.say;
        let summary = format!(
            "{} over the last {}: now {}, from {} to {}",
            series.name,
            if hours == 1 { "hour".into() } else { format!("{hours} hours") },
            say(newest),
            say(least),
            say(most)
        );
        Some(Self {
            name: series.name,
            now: say(newest),
            of: series.limit.map(say),
            summary,
            area,
            curve,
            limit,
            points: points
                .iter()
                .map(|(at, _, value)| {
                    let (hour, minute, _) = at.to_offset(time::UtcOffset::UTC).to_hms();
                    (x(*at), y(*value), format!("{} at {hour:02}:{minute:02} UTC", say(*value)))
                })
                .collect(),
            ys,
            xs,
        })
    }
}

/// Closes the area where the curve ended.
fn close(area: &mut String, previous: Option<(OffsetDateTime, f64)>) {
    if let Some((_, x)) = previous {
        area.push_str(&format!("L{x} {BOTTOM}Z"));
    }
}

/// The next round number: a power of two, or 1, 2 or 5 times a power of ten.
fn ceiling(value: f64, binary: bool) -> f64 {
    if binary {
        return 2f64.powf(value.max(1.0).log2().ceil());
    }
    let ten = 10f64.powf(value.log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|step| step * ten).find(|step| *step >= value * 0.999).unwrap_or(value)
}

/// A made-up day of memory, for samples.
pub(crate) fn sample_points(now: OffsetDateTime, height: f64) -> Vec<(OffsetDateTime, i32, f64)> {
    let value = |step: i64| {
        let wave = ((step as f64) / 9.0).sin() * 0.12 + ((step as f64) / 2.3).sin() * 0.05;
        height * (0.55 + wave + if (90..110).contains(&step) { 0.25 } else { 0.0 })
    };
    (0..144)
        .filter(|step| !(40..47).contains(step))
        .map(|step| (now - Duration::minutes((143 - step) * 10), 600, value(step)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dashboard::pages::words::{SAMPLE_NOW, mebibytes};

    fn plot(points: &[(OffsetDateTime, i32, f64)]) -> Option<Plot> {
        Plot::of(&Series { name: "Memory", points, limit: Some(2048.0), say: mebibytes, binary: true }, 24, SAMPLE_NOW)
    }

    #[test]
    fn a_curve_ends_where_nothing_was_measured_and_begins_anew() {
        let at = |minutes| SAMPLE_NOW - Duration::minutes(minutes);
        let plot =
            plot(&[(at(60), 600, 100.0), (at(50), 600, 120.0), (at(10), 600, 90.0), (at(0), 600, 95.0)]).unwrap();
        assert_eq!(plot.curve.matches('M').count(), 2, "{}", plot.curve);
        assert_eq!(plot.area.matches('Z').count(), 2, "{}", plot.area);
        assert_eq!(plot.ys.iter().map(|label| label.text.as_str()).collect::<Vec<_>>(), ["0 MiB", "1 GiB", "2 GiB"]);
        assert_eq!(plot.summary, "Memory over the last 24 hours: now 95 MiB, from 90 MiB to 120 MiB");
        assert_eq!(plot.limit, Some(TOP), "the limit is in sight");
        assert_eq!(plot.points[1].2, "120 MiB at 11:44 UTC");
    }

    #[test]
    fn nothing_measured_is_no_plot() {
        assert!(plot(&[]).is_none());
        assert!(plot(&[(SAMPLE_NOW - Duration::days(3), 600, 1.0)]).is_none());
    }

    #[test]
    fn the_scale_ends_at_a_round_number() {
        assert_eq!([0.4, 3.0, 42.0, 100.0, 101.0].map(|value| ceiling(value, false)), [0.5, 5.0, 50.0, 100.0, 200.0]);
        assert_eq!(ceiling(812.0, true), 1024.0);
    }
}
