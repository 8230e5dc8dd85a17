//! The questions of `ProcessData` in `ui/src/data/types.ts`, by name: parameters in, packed columns or JSON out.

use super::parameters::Parameters;
use super::process::Served;
use super::response::Response;
use super::source;
use super::{contents, rows};
use crate::glue::sources::SourcePaths;
use heaptape_analysis::index::list::{MOST_ROWS, Sort};
use heaptape_analysis::index::measure::Signed;
use heaptape_analysis::index::time_map::Window;
use heaptape_analysis::index::{AskError, Stop};
use heaptape_analysis::layout::{Region, Space};
use heaptape_analysis::lifetimes::flags;
use heaptape_report::page::columns::Table;
use heaptape_tape::TapeError;
use serde_json::{Value, json};

/// Rows of one answer.
const MOST_IN_ANSWER: usize = 1 << 18;
/// Buckets, points and the like.
const MOST_BUCKETS: usize = 1 << 14;
/// Cells of a grid.
const MOST_CELLS: usize = 1 << 22;

/// Why there is no answer.
pub(super) enum NoAnswer {
    /// It was not asked rightly.
    Question(String),
    /// It cannot be answered.
    Failed(String),
}

impl From<String> for NoAnswer {
    fn from(why: String) -> NoAnswer {
        NoAnswer::Question(why)
    }
}

impl From<AskError> for NoAnswer {
    fn from(error: AskError) -> NoAnswer {
        match error {
            AskError::Question(why) => NoAnswer::Question(why),
            error => NoAnswer::Failed(error.to_string()),
        }
    }
}

impl From<TapeError> for NoAnswer {
    fn from(error: TapeError) -> NoAnswer {
        NoAnswer::Failed(error.to_string())
    }
}

type Answer = Result<Response, NoAnswer>;

/// The answer to a question; `None` where there is none of that name.
pub(super) fn answer(
    served: &Served<'_>,
    paths: &SourcePaths,
    name: &str,
    query: &str,
    stop: Stop<'_>,
) -> Option<Answer> {
    let parameters = match Parameters::parse(query) {
        Ok(parameters) => parameters,
        Err(why) => return Some(Err(NoAnswer::Question(why))),
    };
    let ask = Ask { served, of: &parameters, stop };
    Some(match name {
        "peak" => ask.peak(),
        "envelope" => ask.envelope(),
        "weigh" => ask.weigh(),
        "total" => ask.total(),
        "blocks" => ask.blocks(),
        "block" => ask.block(),
        "history" => ask.history(),
        "live" => ask.live(),
        "cells" => ask.cells(),
        "layout" => ask.layout(),
        "pinned" => ask.pinned(),
        "histograms" => ask.histograms(),
        "series" => ask.series(),
        "time_map" => ask.time_map(),
        "contents" => ask.contents(),
        "source" => ask.source(paths),
        "events" => ask.events(),
        _ => return None,
    })
}

struct Ask<'a, 'b> {
    served: &'a Served<'b>,
    of: &'a Parameters,
    stop: Stop<'a>,
}

fn columns(table: &Table<'_>) -> Answer {
    Ok(Response::columns(table.packed()))
}

fn json(value: &Value) -> Answer {
    Ok(Response::json(value.to_string().into_bytes()))
}

fn with_sum<'a>(table: Table<'a>, sum: Signed) -> Table<'a> {
    table.meta("total", json!({ "bytes": sum.bytes, "blocks": sum.blocks }))
}

impl Ask<'_, '_> {
    fn peak(&self) -> Answer {
        let winder = &self.served.answers.winder;
        let (a, b) = (self.of.position("a")?, self.of.position("b")?);
        let b = b.min(winder.index.events);
        let (position, _) = winder.peak(a.min(b), b, self.stop)?;
        let span = heaptape_analysis::index::span::Span::Live(position);
        let mut sum = Signed::default();
        winder.weigh(span, self.stop, &mut |_, weight, sign| sum.add(weight, sign))?;
        json(&json!({ "position": position, "bytes": sum.bytes, "blocks": sum.blocks }))
    }

    fn envelope(&self) -> Answer {
        let (from, to) = (self.of.number("from_ns")?, self.of.number("to_ns")?);
        let count = self.of.count("buckets", MOST_BUCKETS)?;
        let parts = self.served.answers.winder.envelope(from, to.max(from), count, self.stop)?;
        columns(
            &Table::new()
                .meta("from_ns", from)
                .meta("to_ns", to)
                .f64("min", count, |row| parts[row].min as f64)
                .f64("max", count, |row| parts[row].max as f64)
                .f64("last", count, |row| parts[row].last as f64),
        )
    }

    fn weigh(&self) -> Answer {
        let weights = self.served.answers.weigh(&self.of.measure()?, self.stop)?;
        let (stacks, count) = (&weights.stacks, weights.stacks.len());
        columns(
            &with_sum(Table::new().meta("at", weights.at), weights.total)
                .f64("bytes", count, |row| stacks[row].bytes as f64)
                .f64("blocks", count, |row| stacks[row].blocks as f64),
        )
    }

    fn total(&self) -> Answer {
        let (at, sum) = self.served.answers.total(&self.of.measure()?, self.stop)?;
        json(&json!({ "at": at, "bytes": sum.bytes, "blocks": sum.blocks }))
    }

    fn blocks(&self) -> Answer {
        let order = (self.of.word::<Sort>("sort")?, self.of.flag("descending"));
        let offset = self.of.count("offset", MOST_ROWS)?;
        let limit = self.of.count("limit", MOST_IN_ANSWER)?;
        let measure = self.of.measure()?;
        let answers = &self.served.answers;
        let page = answers.blocks(&measure, order, offset, limit, self.stop)?;
        let table = rows::table(answers, &page.rows).meta("count", page.count);
        columns(&with_sum(table, page.total))
    }

    fn block(&self) -> Answer {
        let answers = &self.served.answers;
        let found = answers.block(self.of.number("id")?, self.stop)?;
        columns(&rows::table(answers, found.as_slice()))
    }

    fn history(&self) -> Answer {
        let answers = &self.served.answers;
        let limit = self.of.count("limit", MOST_IN_ANSWER)?;
        let found = answers.history(self.of.number("addr")?, limit, self.stop)?;
        columns(&rows::table(answers, &found))
    }

    fn live(&self) -> Answer {
        let answers = &self.served.answers;
        let limit = self.of.count("limit", MOST_CELLS)?;
        let (lo, hi) = (self.of.number("lo")?, self.of.number("hi")?);
        let mut found = answers.live(self.of.position("t")?, lo, hi, self.stop)?;
        let too_many = found.len() > limit;
        if too_many {
            found.clear();
        }
        answers.winder.index.complete(answers.winder.recording(), &mut found)?;
        columns(&rows::table(answers, &found).meta("too_many", too_many))
    }

    fn cells(&self) -> Answer {
        let answers = &self.served.answers;
        let (lo, cell_bytes) = (self.of.number("lo")?, self.of.number("cell_bytes")?);
        let count = self.of.count("count", MOST_CELLS)?;
        let cells = answers.cells(self.of.position("t")?, lo, cell_bytes, count, self.stop)?;
        let (owners, stacks, thread) = (&cells.owners, answers.stacks, answers.thread);
        let of = |row: usize| owners.get(cells.owner[row] as usize).filter(|_| cells.used[row] > 0);
        columns(
            &Table::new()
                .meta("lo", lo)
                .meta("cell_bytes", cell_bytes)
                .f64("used", count, |row| cells.used[row] as f64)
                .u32("stack", count, |row| of(row).map_or(0, |block| stacks.stack(block.backtrace)))
                .f64("size", count, |row| of(row).map_or(0.0, |block| block.size as f64))
                .u32("born", count, |row| of(row).map_or(0, |block| block.born))
                .u32("died", count, |row| of(row).map_or(0, |block| block.died))
                .u16("thread", count, |row| of(row).map_or(0, |block| thread(block.thread)))
                .u8("leak", count, |row| of(row).map_or(0, |block| block.leak)),
        )
    }

    fn layout(&self) -> Answer {
        let places = self.served.answers.layout(self.of.position("t")?, self.stop)?;
        let region = |region: &Region| json!({ "kind": region.kind, "start": region.start, "end": region.end, "space": space(&region.space) });
        let pins: Vec<Value> = places
            .pins
            .iter()
            .map(|pin| {
                let held = pin.pages.saturating_mul(places.page_bytes);
                json!({ "site": pin.site, "pages": pin.pages, "held_bytes": held, "own_bytes": pin.own_bytes })
            })
            .collect();
        json(&json!({
            "page_bytes": places.page_bytes,
            "total": space(&places.total),
            "regions": places.regions.iter().map(region).collect::<Vec<_>>(),
            "pins": pins,
        }))
    }

    fn pinned(&self) -> Answer {
        let site = self.of.position("site")?;
        let pages = self.served.answers.pinned(self.of.position("t")?, site, self.stop)?;
        columns(&Table::new().f64("pages", pages.len(), |row| pages[row] as f64))
    }

    fn histograms(&self) -> Answer {
        let found = self.served.answers.histograms(&self.of.measure()?, self.stop)?;
        let weight = |sum: &Signed| json!({ "bytes": sum.bytes, "blocks": sum.blocks });
        let exact = |(size, sum): &(u64, Signed)| json!({ "size": size, "weight": weight(sum) });
        columns(
            &Table::new()
                .meta("sizes", found.sizes.iter().map(weight).collect::<Vec<_>>())
                .meta("exact", found.exact.iter().map(exact).collect::<Vec<_>>())
                .meta("lifetimes", found.lifetimes.iter().map(weight).collect::<Vec<_>>())
                .meta("unfreed", weight(&found.unfreed))
                .meta("cross", json!(found.cross))
                .f64("rate", found.rate.len(), |row| found.rate[row] as f64),
        )
    }

    fn series(&self) -> Answer {
        let (from, to) = (self.of.number("from_ns")?, self.of.number("to_ns")?);
        let (points, most) =
            (self.of.count("points", 1024)?, self.of.count("most", MOST_IN_ANSWER)?);
        let found = self.served.answers.series(from..=to, points, most, self.stop)?;
        let bytes: Vec<i64> = found.iter().flat_map(|(_, row)| row.iter().copied()).collect();
        columns(
            &Table::new().meta("points", points).u32("sites", found.len(), |row| found[row].0).f64(
                "bytes",
                bytes.len(),
                |row| bytes[row] as f64,
            ),
        )
    }

    fn time_map(&self) -> Answer {
        let (width, height) = (self.of.count("width", 8192)?, self.of.count("height", 8192)?);
        if width * height > MOST_CELLS {
            return Err(NoAnswer::Question(format!("{MOST_CELLS} cells at most")));
        }
        let window = Window {
            lo: self.of.number("lo")?,
            hi: self.of.number("hi")?,
            a: self.of.position("a")?,
            b: self.of.position("b")?,
            width,
            height,
        };
        let (by, filter) = (self.of.by()?, self.of.filter()?);
        let map = self.served.answers.time_map(window, &by, &filter, self.stop)?;
        columns(
            &Table::new()
                .meta("width", width)
                .meta("height", height)
                .f64("fill", map.fill.len(), |row| f64::from(map.fill[row]))
                .u32("group", map.group.len(), |row| map.group[row])
                .f64("rest", map.rest.len(), |row| f64::from(map.rest[row])),
        )
    }

    fn contents(&self) -> Answer {
        let answers = &self.served.answers;
        let block = answers.block(self.of.number("id")?, self.stop)?;
        let (recording, t) = (answers.winder.recording(), self.of.position("t")?);
        Ok(Response::columns(contents::view(recording, self.served.id, block.as_ref(), t)?))
    }

    fn source(&self, paths: &SourcePaths) -> Answer {
        let frame = self.of.count("frame", u32::MAX as usize)?;
        json(&source::view(paths, self.served.answers.stacks, frame))
    }

    fn events(&self) -> Answer {
        let answers = &self.served.answers;
        let (before, most) = (self.of.position("before")?, self.of.count("most", MOST_IN_ANSWER)?);
        let (lo, hi) = (self.of.number("lo")?, self.of.number("hi")?);
        let found = answers.events(before, lo, hi, most, self.stop)?;
        let start = answers.start();
        let rows: Vec<Value> = found
            .iter()
            .map(|touch| {
                let block = &touch.block;
                let action = match (
                    touch.begins,
                    block.is(flags::FROM_REALLOC),
                    block.is(flags::TO_REALLOC),
                ) {
                    (true, false, _) => "alloc",
                    (true, true, _) => "realloc-alloc",
                    (false, _, false) => "free",
                    (false, _, true) => "realloc-release",
                };
                let (thread, backtrace) = match touch.begins {
                    true => (block.thread, block.backtrace),
                    false => (block.freed_thread, block.freed_backtrace),
                };
                json!({
                    "position": touch.position,
                    "time_ns": answers.winder.index.times.of(touch.position, start).0,
                    "thread": (answers.thread)(thread),
                    "action": action,
                    "addr": block.addr,
                    "size": block.size,
                    "block": block.id.0,
                    "stack": answers.stacks.stack(backtrace),
                })
            })
            .collect();
        json(&Value::Array(rows))
    }
}

/// `Space` of types.ts.
fn space(space: &Space) -> Value {
    let (holes, pages) = (&space.holes, &space.pages);
    json!({
        "span_bytes": space.span_bytes,
        "used_bytes": space.used_bytes,
        "live_bytes": space.live_bytes,
        "live_blocks": space.live_blocks,
        "slack_bytes": space.slack_bytes,
        "holes": { "count": holes.count, "bytes": holes.bytes, "largest_bytes": holes.largest_bytes },
        "pages": pages,
    })
}
