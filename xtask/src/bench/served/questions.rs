//! What is asked of a server, and how long each answer takes.

use super::Times;
use super::client::Server;
use std::time::Instant;

/// Questions of each kind that is asked while something is moved by hand.
pub(super) const QUESTIONS: usize = 150;
/// Questions of each kind about the whole history.
pub(super) const WHOLE: usize = 3;
/// Cells of a map.
const CELLS: u64 = 100_000;

/// A kind of question.
#[derive(Clone, Copy)]
pub(super) enum Question {
    /// All that is needed before the page can be seen.
    FirstPage,
    /// A measure of a moment or a range.
    Measure {
        ask: &'static str,
        metric: &'static str,
    },
    /// The largest blocks of a moment.
    Largest,
    Layout,
    Cells,
    Histograms,
    /// The highest moment of a range.
    Peak,
    /// A stretch of 400,000 events.
    Envelope,
    /// The newest events before a moment.
    Events,
    LongestLived,
    AllHistograms,
    Series,
    TimeMap,
}

use Question::*;

const fn measure(ask: &'static str, metric: &'static str) -> Question {
    Measure { ask, metric }
}

/// What is asked while something is moved.
pub(super) const AT_HAND: [(&str, Question); 15] = [
    ("everything for the first page", FirstPage),
    ("`total` of `live`", measure("total", "live")),
    ("`weigh` of `live`", measure("weigh", "live")),
    ("`layout`", Layout),
    ("`cells`", Cells),
    ("`histograms` of `live`", Histograms),
    ("`blocks` of `live`, largest first", Largest),
    ("`total` of `alloc`", measure("total", "alloc")),
    ("`total` of `freed`", measure("total", "freed")),
    ("`total` of `temp`", measure("total", "temp")),
    ("`total` of `kept`", measure("total", "kept")),
    ("`weigh` of `diff`", measure("weigh", "diff")),
    ("`peak`", Peak),
    ("`envelope` of 400,000 events", Envelope),
    ("`events`", Events),
];

/// What is asked once of the whole history.
pub(super) const OF_ALL: [(&str, Question); 4] = [
    ("longest-lived blocks of N bytes and more", LongestLived),
    ("`histograms` of all blocks", AllHistograms),
    ("`series` of 50 call sites", Series),
    ("time × address", TimeMap),
];

/// Asks a server.
pub(super) struct Asker<'a> {
    server: &'a Server,
    events: u64,
    end_ns: u64,
    /// Where blocks lie.
    lo: u64,
    hi: u64,
    seed: u64,
}

impl Asker<'_> {
    /// Of a recording of one process with so many events.
    pub(super) fn new(server: &Server, events: u64) -> Result<Asker<'_>, String> {
        let json = |path: &str| -> Result<serde_json::Value, String> {
            serde_json::from_slice(&server.get(path)?).map_err(|e| e.to_string())
        };
        let layout = json(&format!("p/0/layout?t={}", events / 2))?;
        let overview = json("overview.json")?;
        let regions = layout["regions"].as_array().ok_or("a layout without regions")?;
        let (first, last) =
            (regions.first().ok_or("no region")?, regions.last().ok_or("no region")?);
        let lo = first["start"].as_u64().ok_or("no start")?;
        let hi = last["end"].as_u64().ok_or("no end")?;
        let end_ns = overview["processes"][0]["end_ns"].as_u64().ok_or("no end of the process")?;
        Ok(Asker { server, events, end_ns, lo, hi, seed: 7 })
    }

    /// Asks all of these.
    pub(super) fn all(
        &mut self,
        questions: &[(&'static str, Question)],
    ) -> Result<Vec<(&'static str, Times)>, String> {
        let ask = |&(name, question): &(&'static str, Question)| {
            let count = match question {
                FirstPage => 1,
                LongestLived | AllHistograms | Series | TimeMap => WHOLE,
                _ => QUESTIONS,
            };
            let mut times = Vec::new();
            for number in 0..count {
                let paths = self.paths(question, number as u64);
                let began = Instant::now();
                for path in paths {
                    self.server.get(&path)?;
                }
                times.push(began.elapsed().as_secs_f64() * 1e3);
            }
            Ok((name, Times::of(times)))
        };
        questions.iter().map(ask).collect()
    }

    fn random(&mut self, bound: u64) -> u64 {
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.seed >> 20) % bound.max(1)
    }

    /// Where a question is asked; `number` makes those about all differ.
    fn paths(&mut self, question: Question, number: u64) -> Vec<String> {
        let events = self.events;
        let (t, other) = (self.random(events), self.random(events));
        let (a, b) = (t.min(other), t.max(other));
        let (lo, hi) = (self.lo, self.hi);
        let one = match question {
            FirstPage => {
                let parts = ["", "app.js", "app.css", "overview.json"].map(str::to_owned);
                let tables = ["strings", "frames", "stacks", "times", "samples"];
                let own = tables.map(|table| format!("p/0/{table}"));
                let peak = format!("p/0/peak?a=0&b={events}");
                return parts.into_iter().chain(own).chain([peak]).collect();
            }
            Measure { ask, metric } => format!("{ask}?metric={metric}&t={t}&a={a}&b={b}&q="),
            Largest => format!(
                "blocks?metric=live&t={t}&a=0&b={events}&q=&sort=size&descending=true&offset=0&limit=100"
            ),
            Layout => format!("layout?t={t}"),
            Cells => {
                let cell = (hi - lo).div_ceil(CELLS).max(1);
                format!("cells?t={t}&lo={lo}&cell_bytes={cell}&count={CELLS}")
            }
            Histograms => format!("histograms?metric=live&t={t}&a=0&b={events}&q="),
            Peak => format!("peak?a={a}&b={b}"),
            Envelope => {
                let width = (u128::from(self.end_ns) * 400_000 / u128::from(events)) as u64;
                let from = self.random(self.end_ns.saturating_sub(width));
                format!("envelope?from_ns={from}&to_ns={}&buckets=1000", from + width)
            }
            Events => format!("events?before={t}&most=200&lo=0&hi={}", u64::MAX),
            LongestLived => format!(
                "blocks?metric=alloc&t=0&a=0&b={events}&q=size%3A%3E%3D{}&sort=lifetime&descending=true&offset=0&limit=100",
                512 - number
            ),
            AllHistograms => format!("histograms?metric=alloc&t=0&a={number}&b={events}&q="),
            Series => format!("series?from_ns=0&to_ns={}&points=60&most=50", self.end_ns - number),
            TimeMap => {
                format!(
                    "time_map?lo={lo}&hi={hi}&a={number}&b={events}&width=900&height=300&by=site&q="
                )
            }
        };
        vec![format!("p/0/{one}")]
    }
}
