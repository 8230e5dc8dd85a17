//! Lists of call sites: figures, bar, name, place.

use crate::canvas::{Canvas, Ink};
use crate::chart;
use crate::text;
use crate::units;
use heaptape_analysis::names::file_name;
use heaptape_analysis::ranking::Ranking;
use heaptape_analysis::{Frame, Unit, Weight};
use std::io::{self, Write};

/// Columns of a figure such as `1023 KiB`, and of a share.
pub(crate) const FIGURE: usize = 8;
const SHARE: usize = 6;
const BAR: usize = 16;
/// Canvases narrower than this have no bars.
const MIN_WIDTH_FOR_BARS: usize = 72;

/// Columns too few for both a shortened name and a shortened place.
const MIN_WIDTH_FOR_PLACE: usize = 24;

/// The name of a frame for a column.
pub(crate) fn name(canvas: &Canvas, frame: Option<&Frame>) -> String {
    frame.map_or_else(|| "(no backtrace)".to_owned(), |frame| text::shown(canvas, &frame.short))
}

/// Where a frame is in the sources: `demo.cpp:19`; its module in brackets when that is not known.
pub(crate) fn place(canvas: &Canvas, frame: Option<&Frame>) -> String {
    let Some(frame) = frame else { return String::new() };
    match (&frame.file, &frame.module) {
        (Some(file), _) if frame.line > 0 => {
            format!("{}:{}", text::shown(canvas, file_name(file)), frame.line)
        }
        (Some(file), _) => text::shown(canvas, file_name(file)),
        (None, Some(module)) => format!("[{}]", text::shown(canvas, module)),
        (None, None) => String::new(),
    }
}

/// Name and place in `columns`, both shortened where they must be.
fn name_and_place(
    canvas: &Canvas,
    (name, place): (&str, &str),
    (name_width, place_width): (usize, usize),
) -> String {
    let name = text::left(&text::shrink(canvas, name, name_width), name_width);
    format!("{name}  {}", text::shrink(canvas, place, place_width))
}

/// Name and, where it is wanted, place of one frame in at most `columns`.
pub(crate) fn fitted(
    canvas: &Canvas,
    frame: Option<&Frame>,
    columns: usize,
    with_place: bool,
) -> String {
    let name = name(canvas, frame);
    if !with_place {
        return text::shrink(canvas, &name, columns);
    }
    let place = place(canvas, frame);
    let is_cut = text::width(&name) + 2 + text::width(&place) > columns;
    if is_cut && columns < MIN_WIDTH_FOR_PLACE {
        return text::shrink(canvas, &name, columns);
    }
    let widths = divide(columns, text::width(&name), text::width(&place));
    name_and_place(canvas, (&name, &place), widths).trim_end().to_owned()
}

/// Divides `columns` between names and places of these natural widths.
fn divide(columns: usize, name: usize, place: usize) -> (usize, usize) {
    let room = columns.saturating_sub(2);
    if name + place <= room {
        return (name, place);
    }
    let place = place.min((room * 2 / 5).max(room.saturating_sub(name)));
    (room - place, place)
}

/// What an estimate may well be off by: `± 312 KiB`.
pub(crate) fn plus_minus(canvas: &Canvas, error: &str) -> String {
    format!("{} {error}", canvas.sign("\u{b1}", "+-"))
}

/// Exact bytes, or what an estimate may well be off by.
pub(crate) fn exactly(canvas: &Canvas, weight: &Weight, error: Option<&Weight>) -> String {
    match error {
        None => units::exact_bytes(weight.bytes),
        // Nothing tells how much may have been missed.
        Some(_) if weight.blocks == 0 => "none in the sample".to_owned(),
        Some(error) => plus_minus(canvas, &units::bytes(error.bytes)),
    }
}

/// The blocks, with the standard error of an estimate.
pub(crate) fn blocks(canvas: &Canvas, weight: &Weight, error: Option<&Weight>) -> String {
    match error {
        None => units::counted(weight.blocks, "block"),
        Some(_) if weight.blocks == 0 => units::counted(0, "block"),
        Some(error) => {
            let error = plus_minus(canvas, &units::count(error.blocks));
            format!("{} {error} blocks", units::count(weight.blocks))
        }
    }
}

pub(crate) fn figure(unit: Unit, weight: &Weight) -> String {
    match unit {
        Unit::Bytes => units::bytes(weight.bytes),
        Unit::Blocks => units::count(weight.blocks),
    }
}

/// The lines of a ranking.
pub(crate) fn render_ranking(
    out: &mut dyn Write,
    canvas: &Canvas,
    ranking: &Ranking,
) -> io::Result<()> {
    let rows: Vec<[String; 3]> = ranking
        .sites
        .iter()
        .map(|entry| {
            let frame = entry.site.frame.as_ref();
            let mut note = units::counted(entry.weight.blocks, "block");
            if let Some(error) = &entry.error {
                note = format!("{}, {note}", plus_minus(canvas, &units::bytes(error.bytes)));
            }
            if entry.growing == Some(true) {
                note.push_str(", growing");
            }
            if let Some(pool) = entry.known_pool {
                note.push_str(", by design");
                return [pool.to_owned(), place(canvas, frame), note];
            }
            [name(canvas, frame), place(canvas, frame), note]
        })
        .collect();
    let widest =
        |column: usize| rows.iter().map(|row| text::width(&row[column])).max().unwrap_or(0);
    let bar_width = if canvas.width >= MIN_WIDTH_FOR_BARS { BAR } else { 0 };
    let figures = 2 + FIGURE + 2 + SHARE + 2 + if bar_width > 0 { bar_width + 2 } else { 0 };
    let room = canvas.width.saturating_sub(figures + widest(2) + 2);
    let widths = divide(room, widest(0), widest(1));
    for (entry, [name, place, note]) in ranking.sites.iter().zip(&rows) {
        let names = name_and_place(canvas, (name, place), widths);
        let mut line = figures_of(canvas, &entry.weight, &ranking.total, bar_width);
        line.push_str(&text::left(&names, widths.0 + 2 + widths.1));
        writeln!(out, "{line}  {}", canvas.paint(Ink::Faint, note))?;
    }
    if ranking.rest_sites > 0 {
        let line = figures_of(canvas, &ranking.rest, &ranking.total, bar_width);
        writeln!(out, "{line}{}", units::counted(ranking.rest_sites, "other call site"))?;
    }
    Ok(())
}

fn figures_of(canvas: &Canvas, weight: &Weight, total: &Weight, bar_width: usize) -> String {
    let figure = text::right(&units::bytes(weight.bytes), FIGURE);
    let share = text::right(&units::share(weight.bytes, total.bytes), SHARE);
    let mut line = format!("  {figure}  {share}  ");
    if bar_width > 0 {
        let bar = chart::bar(weight.bytes, total.bytes, bar_width);
        let padding = " ".repeat(bar_width - bar.len() + 2);
        line.push_str(&canvas.paint(Ink::Chart, &bar));
        line.push_str(&padding);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use heaptape_analysis::Site;
    use heaptape_analysis::sites::SiteWeight;
    use heaptape_tape::BacktraceId;

    fn frame() -> Frame {
        Frame {
            function: "libstdc++.so.6+0xa57ba".into(),
            short: "libstdc++.so.6+0xa57ba".into(),
            file: None,
            line: 0,
            module: Some("libstdc++.so.6".into()),
            inlined: false,
            why: None,
            named: false,
        }
    }

    #[test]
    fn a_name_is_worth_more_than_half_a_place() {
        let canvas = Canvas { width: 80, color: false, unicode: false };
        let drawn = |columns| fitted(&canvas, Some(&frame()), columns, true);
        assert_eq!(drawn(40), "libstdc++.so.6+0xa57ba  [libstdc++.so.6]");
        assert_eq!(drawn(23), "libstdc++.so.6+0xa57ba");
        assert_eq!(drawn(10).len(), 10);
    }

    #[test]
    fn a_pool_that_is_kept_by_design_is_called_so() {
        let weight = Weight { bytes: 72_704, blocks: 1 };
        let site = SiteWeight {
            site: Site { frame: Some(frame()) },
            weight,
            error: None,
            called: None,
            known_pool: Some("emergency pool"),
            backtrace: BacktraceId::NONE,
            growing: None,
        };
        let ranking = Ranking { total: weight, sites: vec![site], ..Ranking::default() };
        let canvas = Canvas { width: 100, color: false, unicode: false };
        let mut out = Vec::new();
        render_ranking(&mut out, &canvas, &ranking).unwrap();
        let line = String::from_utf8(out).unwrap();
        assert!(line.contains("emergency pool  [libstdc++.so.6]  1 block, by design"), "{line}");
    }
}
