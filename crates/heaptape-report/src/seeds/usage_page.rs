//! vizzyreport's plot: live bytes over time as steps, one page, no scripts.

use crate::html::{Text, write_foot, write_head};
use crate::units;
use heaptape_analysis::usage::UsageCurve;
use std::fmt::Write as _;
use std::io::{self, Write};

pub use crate::html::GENERATOR;

const WIDTH: f64 = 1100.0;
const HEIGHT: f64 = 360.0;
const LEFT: f64 = 90.0;
const RIGHT: f64 = 40.0;
const TOP: f64 = 16.0;
const BOTTOM: f64 = 40.0;

/// One process's curve.
#[derive(Debug)]
pub struct UsageChart<'a> {
    /// Which process, as printable text.
    pub process: &'a str,
    /// Its live bytes over time.
    pub curve: &'a UsageCurve,
    /// What there is to say about it, a sentence each: losses, damage.
    pub notes: &'a [String],
}

/// Writes the page. `log` is the file's name, as printable text; `notes` say what is not on the page.
pub fn write_usage_page(
    out: &mut dyn Write,
    log: &str,
    notes: &[String],
    charts: &[UsageChart<'_>],
) -> io::Result<()> {
    write_head(out, &format!("Memory usage over time: {log}"))?;
    writeln!(out, "<h1>Memory usage over time <code>{}</code></h1>", Text(log))?;
    writeln!(
        out,
        "<p class=\"dim\">Bytes that were allocated and not yet freed, as asked for. Steps, never \
         slopes: the value holds until the next change.</p>"
    )?;
    write_notes(out, notes)?;
    for chart in charts {
        chart.write(out)?;
    }
    write_foot(out)
}

fn write_notes(out: &mut dyn Write, notes: &[String]) -> io::Result<()> {
    notes.iter().try_for_each(|note| writeln!(out, "<p class=\"bad\">{}</p>", Text(note)))
}

impl UsageChart<'_> {
    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let (peak_time, peak) = self.curve.peak();
        writeln!(out, "<h2><code>{}</code></h2>", Text(self.process))?;
        write_notes(out, self.notes)?;
        let frame = Frame::of(self.curve);
        writeln!(
            out,
            "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"Live bytes over time: at \
             most {peak}, at the end {}\">",
            self.curve.last()
        )?;
        frame.write_axes(out)?;
        writeln!(out, "<path class=\"live\" d=\"{}\"/>\n</svg>", frame.path(self.curve))?;
        writeln!(
            out,
            "<table>\n<tr><td>Peak<td class=\"n\">{peak} bytes<td class=\"n\">at {} s\n\
             <tr><td>At the end<td class=\"n\">{} bytes<td class=\"n\">at {} s\n</table>",
            seconds(peak_time.0),
            self.curve.last(),
            seconds(self.curve.end().0),
        )
    }
}

/// The place of times and bytes on the drawing. Ends on a tick of either axis.
struct Frame {
    time_ns: Axis,
    bytes: Axis,
}

/// An axis from 0 to `end`, with a mark every `step`.
struct Axis {
    end: f64,
    step: f64,
}

impl Frame {
    fn of(curve: &UsageCurve) -> Frame {
        Frame {
            time_ns: Axis::to(curve.end().0 as f64, &[1.0, 2.0, 5.0, 10.0], 10.0),
            bytes: Axis::to(curve.peak().1 as f64, &[1.0, 2.0], 2.0),
        }
    }

    fn x(&self, time_ns: f64) -> f64 {
        LEFT + (WIDTH - LEFT - RIGHT) * (time_ns / self.time_ns.end)
    }

    fn y(&self, bytes: f64) -> f64 {
        TOP + (HEIGHT - TOP - BOTTOM) * (1.0 - bytes / self.bytes.end)
    }

    fn path(&self, curve: &UsageCurve) -> String {
        let mut path = format!("M{:.1} {:.1}", self.x(0.0), self.y(0.0));
        for (time, slot) in curve.steps() {
            let _ = write!(path, "H{:.1}", self.x(time.0 as f64));
            for bytes in [slot.min, slot.max, slot.last] {
                let _ = write!(path, "V{:.1}", self.y(bytes as f64));
            }
        }
        let _ = write!(path, "H{:.1}", self.x(curve.end().0 as f64));
        path
    }

    fn write_axes(&self, out: &mut dyn Write) -> io::Result<()> {
        for bytes in self.bytes.marks() {
            let y = self.y(bytes);
            writeln!(
                out,
                "<path class=\"axis\" d=\"M{LEFT} {y:.1}H{:.1}\"/><text x=\"{:.1}\" y=\"{:.1}\" \
                 text-anchor=\"end\">{}</text>",
                self.x(self.time_ns.end),
                LEFT - 8.0,
                y + 4.0,
                units::bytes(bytes as u64)
            )?;
        }
        for time_ns in self.time_ns.marks() {
            let x = self.x(time_ns);
            writeln!(
                out,
                "<path class=\"axis\" d=\"M{x:.1} {:.1}v5\"/><text x=\"{x:.1}\" y=\"{:.1}\" \
                 text-anchor=\"middle\">{} s</text>",
                self.y(0.0),
                HEIGHT - BOTTOM + 20.0,
                seconds(time_ns as u64)
            )?;
        }
        Ok(())
    }
}

impl Axis {
    /// An axis that reaches `most`, with 4 to 10 marks at "round" numbers: a factor times a power of `base`.
    fn to(most: f64, factors: &[f64], base: f64) -> Axis {
        let least = most.max(1.0) / 8.0;
        let power = base.powf(least.log(base).floor());
        let step = factors.iter().map(|f| f * power).find(|s| *s >= least).unwrap_or(base * power);
        let step = step.max(1.0);
        Axis { end: (most.max(1.0) / step).ceil() * step, step }
    }

    fn marks(&self) -> impl Iterator<Item = f64> + '_ {
        let count = (self.end / self.step).round().min(20.0) as u32;
        (0..=count).map(|i| f64::from(i) * self.step)
    }
}

/// Seconds with as many digits as there are.
fn seconds(time_ns: u64) -> String {
    let text = units::exact_seconds(time_ns);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use heaptape_tape::TimeNs;

    fn page(curve: &UsageCurve) -> String {
        let chart = UsageChart {
            process: "<i>evil</i>",
            curve,
            notes: &["2 lines of the log make no sense".to_owned()],
        };
        let mut out = Vec::new();
        write_usage_page(&mut out, "a&b.tape", &["pid 7: damaged".to_owned()], &[chart])
            .expect("memory takes everything");
        String::from_utf8(out).expect("our own text")
    }

    fn curve(values: &[(u64, u64)]) -> UsageCurve {
        let mut curve = UsageCurve::new();
        for &(ms, bytes) in values {
            curve.push(TimeNs(ms * 1_000_000), bytes);
        }
        curve
    }

    #[test]
    fn the_page_holds_its_figures_and_nothing_foreign() {
        let mut usage = curve(&[(10, 100), (20, 3000), (35, 0), (40, 700)]);
        usage.finish(TimeNs(1_250_000_000));
        let text = page(&usage);
        for expected in [
            "a&amp;b.tape",
            "&lt;i&gt;evil&lt;/i&gt;",
            "2 lines of the log make no sense",
            "pid 7: damaged",
            "3000 bytes<td class=\"n\">at 0.02 s",
            "700 bytes<td class=\"n\">at 1.25 s",
        ] {
            assert!(text.contains(expected), "{expected} is missing in {text}");
        }
        assert!(!text.contains("<script") && !text.contains("<i>") && !text.contains("://"));
    }

    #[test]
    fn only_steps_are_drawn() {
        let text = page(&curve(&[(10, 100), (20, 3000), (35, 0), (40, 700)]));
        let path = text.split("class=\"live\" d=\"").nth(1).and_then(|t| t.split('"').next());
        let path = path.expect("the curve is drawn");
        assert!(path.starts_with('M'));
        let moves: String = path.chars().filter(char::is_ascii_alphabetic).collect();
        assert!(moves.trim_start_matches('M').chars().all(|c| c == 'H' || c == 'V'), "{moves}");
    }

    #[test]
    fn axes_end_on_a_mark_and_reach_the_most() {
        for most in [0.0, 1.0, 3.0, 1000.0, 1025.0, 7e12, 1.8e19] {
            for (factors, base) in [([1.0, 2.0].as_slice(), 2.0), (&[1.0, 2.0, 5.0, 10.0], 10.0)] {
                let axis = Axis::to(most, factors, base);
                let marks: Vec<f64> = axis.marks().collect();
                assert!(axis.end >= most, "{most}: {}", axis.end);
                assert_eq!(marks.last(), Some(&axis.end), "{most} {base}");
                assert!((2..=11).contains(&marks.len()), "{most} {base}: {marks:?}");
            }
        }
    }

    #[test]
    fn an_empty_history_is_drawn() {
        assert!(page(&UsageCurve::new()).contains("at most 0"));
    }

    #[test]
    fn seconds_as_text() {
        assert_eq!(seconds(0), "0");
        assert_eq!(seconds(1_250_000_000), "1.25");
        assert_eq!(seconds(20), "0.00000002");
    }
}
