//! Where the live blocks lie, as text.

use crate::canvas::{Canvas, Ink};
use crate::sites;
use crate::text;
use crate::units;
use heaptape_analysis::Sites;
use heaptape_analysis::extents::Extent;
use heaptape_analysis::layout::{Layout, Region, RegionKind};
use std::io::{self, Write};

/// Most lines of the list of pinning sites.
const MAX_PINS: usize = 8;
/// Most lines of the list of regions; small ones at the end are added up.
const MAX_REGIONS: usize = 24;

/// The layout in one sentence: how full the heap is, and who keeps it from shrinking.
pub fn render_sentence(
    out: &mut dyn Write,
    canvas: &Canvas,
    time_ns: u64,
    layout: &Layout,
) -> io::Result<()> {
    let total = &layout.total;
    let mut sentence = format!(
        "Heap at {}: {} live in {} ({})",
        units::seconds(time_ns),
        units::bytes(total.live_bytes),
        units::bytes(total.span_bytes),
        units::share(total.live_bytes, total.span_bytes)
    );
    if let Some(pin) = layout.pins.first() {
        let frame = pin.site.frame.as_ref();
        let place = sites::place(canvas, frame);
        let name = text::shrink(canvas, &sites::name(canvas, frame), canvas.width.max(60) - 40);
        let holders = match (total.pages.under_25, pin.pages) {
            (1, _) => "it holds".to_owned(),
            (all, pages) if all == pages => "all of them hold".to_owned(),
            (_, pages) => format!(
                "{} of them ({}) {}",
                units::count(pages),
                units::bytes(pin.held_bytes),
                if pages == 1 { "holds" } else { "hold" }
            ),
        };
        let pages = pages_are(total.pages.under_25);
        sentence.push_str(&format!(
            "; {pages} less than 25 % full: {holders} a block of {name} {place}"
        ));
    }
    let lines = text::wrap_words(sentence.trim_end(), 2, canvas.width);
    lines.iter().try_for_each(|line| writeln!(out, "{line}"))
}

fn pages_are(count: u64) -> String {
    let verb = if count == 1 { "is" } else { "are" };
    format!("{} {verb}", units::counted(count, "page"))
}

fn kind_word(kind: RegionKind) -> &'static str {
    match kind {
        RegionKind::Heap => "[heap]",
        RegionKind::Mmap => "mmap",
        RegionKind::Arena => "arena",
    }
}

/// The table of regions, then holes and pages in sentences.
pub fn render_regions(out: &mut dyn Write, canvas: &Canvas, layout: &Layout) -> io::Result<()> {
    let heading = ["Region", "", "span", "live", "used", "blocks", "holes", "largest"];
    let heading = region_line(canvas, heading.map(str::to_owned));
    writeln!(out, "{}", canvas.paint(Ink::Strong, &heading))?;
    for region in layout.regions.iter().take(MAX_REGIONS) {
        let space = &region.space;
        let columns = [
            kind_word(region.kind).to_owned(),
            format!("{:#x}", region.start),
            units::bytes(space.span_bytes),
            units::bytes(space.live_bytes),
            units::share(space.used_bytes, space.span_bytes),
            units::count(space.live_blocks),
            units::count(space.holes.count),
            units::bytes(space.holes.largest_bytes),
        ];
        writeln!(out, "{}", region_line(canvas, columns))?;
    }
    if let Some(rest @ 1..) = layout.regions.len().checked_sub(MAX_REGIONS) {
        writeln!(out, "  and {}; see --json", units::counted(rest as u64, "more region"))?;
    }
    render_totals(out, canvas, layout)
}

/// One line of the table; the last column goes where the canvas is narrow.
fn region_line(canvas: &Canvas, columns: [String; 8]) -> String {
    let [kind, start, span, live, used, blocks, holes, largest] = columns;
    let line =
        format!("  {kind:<6} {start:<16} {span:>8} {live:>8} {used:>6} {blocks:>10} {holes:>9}");
    if canvas.width < line.len() + 9 { line } else { format!("{line} {largest:>8}") }
}

fn render_totals(out: &mut dyn Write, canvas: &Canvas, layout: &Layout) -> io::Result<()> {
    let total = &layout.total;
    let holes = &total.holes;
    let mut sentences = vec![format!(
        "All: {} of {} used ({}), {} asked for in {}.",
        units::bytes(total.used_bytes),
        units::bytes(total.span_bytes),
        units::share(total.used_bytes, total.span_bytes),
        units::bytes(total.live_bytes),
        units::counted(total.live_blocks, "block"),
    )];
    if holes.count > 0 {
        sentences.push(format!(
            "Holes: {} with {}, the largest {}; external fragmentation {} (1 - largest / all).",
            units::count(holes.count),
            units::bytes(holes.bytes),
            units::bytes(holes.largest_bytes),
            units::ratio(holes.fragmentation()),
        ));
    }
    let pages = &total.pages;
    sentences.push(format!(
        "Pages of {}: {} empty, {} less than 25 % used, {} less than 50 %, {} less than 75 %, {} less \
         than 100 %, {} full.",
        units::bytes(layout.page_bytes),
        units::count(pages.empty),
        units::count(pages.under_25),
        units::count(pages.under_50),
        units::count(pages.under_75),
        units::count(pages.under_100),
        units::count(pages.full),
    ));
    for sentence in sentences {
        let lines = text::wrap_words(&sentence, 2, canvas.width);
        lines.iter().try_for_each(|line| writeln!(out, "{line}"))?;
    }
    Ok(())
}

/// Who pins nearly empty pages.
pub fn render_pins(out: &mut dyn Write, canvas: &Canvas, layout: &Layout) -> io::Result<()> {
    if layout.pins.is_empty() {
        return Ok(());
    }
    writeln!(
        out,
        "\n{}",
        canvas.paint(Ink::Strong, "Who pins pages that are less than 25 % used")
    )?;
    let figures = 2 + 9 + 2 + 8 + 6 + 8 + 6;
    let room = canvas.width.saturating_sub(figures);
    for pin in layout.pins.iter().take(MAX_PINS) {
        let frame = pin.site.frame.as_ref();
        let names = sites::fitted(canvas, frame, room, true);
        writeln!(
            out,
            "  {:>9}  {:>8} held {:>8} own  {}",
            units::count(pin.pages),
            units::bytes(pin.held_bytes),
            units::bytes(pin.own_bytes),
            names
        )?;
    }
    if let Some(rest @ 1..) = layout.pins.len().checked_sub(MAX_PINS) {
        writeln!(out, "  {:>9}  {}", "", units::counted(rest as u64, "other call site"))?;
    }
    Ok(())
}

/// Every block and hole of a region, by address.
pub fn render_listing(
    out: &mut dyn Write,
    canvas: &Canvas,
    layout: &Layout,
    region: &Region,
    sites: &mut Sites<'_>,
) -> io::Result<()> {
    let span = units::bytes(region.space.span_bytes);
    let heading =
        format!("{} {:#x} to {:#x}, {span}", kind_word(region.kind), region.start, region.end);
    writeln!(out, "\n{}", canvas.paint(Ink::Strong, &heading))?;
    for extent in layout.extents(region) {
        match extent {
            Extent::Hole { start, bytes } => {
                let size = format!("{} B", units::count(bytes));
                writeln!(out, "  {start:<#16x} {size:>15}  {}", canvas.paint(Ink::Faint, "hole"))?;
            }
            Extent::Block { block, .. } => {
                let size = format!("{} B", units::count(block.size));
                let site = sites.of(block.backtrace);
                let frame = sites.get(site).frame.as_ref();
                let head = format!("  {:<#16x} {size:>15}  #{:<9} ", block.addr, block.id.0);
                let room = canvas.width.saturating_sub(head.len());
                writeln!(out, "{head}{}", sites::fitted(canvas, frame, room, true))?;
            }
        }
    }
    Ok(())
}
