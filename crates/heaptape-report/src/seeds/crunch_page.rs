//! crunch's `report.html`: the figures, the fatal signal, and every remaining block with its bytes.
//!
//! Blocks and bytes come from the recorded program: everything is escaped, and the page runs no script.
//! The bytes shown are bounded; what is left out is said where it is left out, and is whole in `heap/`.

use super::crunch::Remaining;
use crate::html::{Text, write_foot, write_head};
use heaptape_tape::Totals;
use std::io::{self, Write};

/// Bytes of one block that are shown.
const SHOWN_BYTES: usize = 4096;
/// Bytes of all blocks together that are shown.
const SHOWN_BYTES_IN_ALL: usize = 4 << 20;
/// Blocks that are listed.
const SHOWN_BLOCKS: usize = 20_000;
/// Bytes in a row of a dump.
const ROW: usize = 16;

/// What the page tells, beside the blocks.
#[derive(Debug)]
pub struct CrunchPage<'a> {
    /// The command line that was run, as printable text.
    pub command: &'a str,
    /// The figures of `stats`.
    pub totals: &'a Totals,
    /// The line of `fatal`, if the program died of a signal.
    pub fatal: Option<&'a str>,
    /// What could not be recorded, a sentence each.
    pub losses: &'a [String],
}

impl CrunchPage<'_> {
    /// Writes the page. `contents` gives the recorded bytes of the block with that place in `blocks`;
    /// `None` when there are none.
    pub fn write(
        &self,
        out: &mut dyn Write,
        blocks: &[Remaining],
        mut contents: impl FnMut(usize) -> io::Result<Option<Vec<u8>>>,
    ) -> io::Result<()> {
        write_head(out, &format!("crunch {}", self.command))?;
        writeln!(out, "<h1>crunch <code>{}</code></h1>", Text(self.command))?;
        self.write_figures(out)?;
        writeln!(out, "<h2>{} remaining heap allocations</h2>", blocks.len())?;
        writeln!(
            out,
            "<p class=\"dim\">By address. Each is also a file in <code>heap/</code>. This page \
             contains memory of the program.</p>"
        )?;
        let mut budget = SHOWN_BYTES_IN_ALL;
        for (place, block) in blocks.iter().take(SHOWN_BLOCKS).enumerate() {
            write_block(out, block, contents(place)?.as_deref(), &mut budget)?;
        }
        if let Some(more @ 1..) = blocks.len().checked_sub(SHOWN_BLOCKS) {
            writeln!(out, "<p class=\"bad\">{more} more are not on this page; see heap/.</p>")?;
        }
        write_foot(out)
    }

    fn write_figures(&self, out: &mut dyn Write) -> io::Result<()> {
        for loss in self.losses {
            writeln!(out, "<p class=\"bad\">{}</p>", Text(loss))?;
        }
        if let Some(fatal) = self.fatal {
            writeln!(out, "<p class=\"bad\">{}</p>", Text(fatal))?;
        }
        let Totals { allocs, frees, peak_bytes, live_bytes, .. } = self.totals;
        writeln!(
            out,
            "<table>\n<tr><td>Allocations<td class=\"n\">{allocs}\n<tr><td>Frees<td class=\"n\">{frees}\n\
             <tr><td>Most bytes live at once<td class=\"n\">{peak_bytes}\n\
             <tr><td>Bytes live at the end<td class=\"n\">{live_bytes}\n</table>"
        )
    }
}

fn write_block(
    out: &mut dyn Write,
    block: &Remaining,
    contents: Option<&[u8]>,
    budget: &mut usize,
) -> io::Result<()> {
    let Remaining { addr, size, call_site } = block;
    writeln!(out, "<details><summary>{addr:#x} : {size} bytes  {}</summary>", Text(call_site))?;
    match contents {
        None => writeln!(out, "<p class=\"bad\">Its bytes were not recorded.</p>")?,
        Some(bytes) => {
            let shown = &bytes[..bytes.len().min(SHOWN_BYTES).min(*budget)];
            *budget -= shown.len();
            write_dump(out, *addr, shown)?;
            let left_out = bytes.len() - shown.len();
            if left_out > 0 {
                writeln!(out, "<p>{left_out} more bytes in <code>heap/{addr:#x}</code>.</p>")?;
            }
            let recorded = bytes.len() as u64;
            if recorded < *size {
                let lost = size - recorded;
                writeln!(out, "<p class=\"bad\">The last {lost} bytes were not recorded.</p>")?;
            }
        }
    }
    writeln!(out, "</details>")
}

/// Address, bytes in hex, and the same as characters; a row of 16 a line.
fn write_dump(out: &mut dyn Write, addr: u64, bytes: &[u8]) -> io::Result<()> {
    write!(out, "<pre>")?;
    for (row, bytes) in bytes.chunks(ROW).enumerate() {
        write!(out, "{:012x} ", addr.wrapping_add((row * ROW) as u64))?;
        for byte in bytes {
            write!(out, " {byte:02x}")?;
        }
        write!(out, "{:1$}  ", "", (ROW - bytes.len()) * 3)?;
        let characters: String = bytes
            .iter()
            .map(|&b| if (b' '..=b'~').contains(&b) { b as char } else { '.' })
            .collect();
        writeln!(out, "{}", Text(&characters))?;
    }
    writeln!(out, "</pre>")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(blocks: &[Remaining], contents: &[Option<&[u8]>]) -> String {
        let totals = Totals { allocs: 9, frees: 7, ..Totals::default() };
        let page = CrunchPage {
            command: "./a.out '<b>'",
            totals: &totals,
            fatal: Some("SIGSEGV illegal access: address 0x10"),
            losses: &["3 events were not recorded".to_owned()],
        };
        let mut out = Vec::new();
        page.write(&mut out, blocks, |place| Ok(contents[place].map(<[u8]>::to_vec)))
            .expect("memory takes everything");
        String::from_utf8(out).expect("our own text")
    }

    fn block(size: u64, call_site: &str) -> Remaining {
        Remaining { addr: 0x5000, size, call_site: call_site.to_owned() }
    }

    #[test]
    fn everything_is_on_the_page_and_nothing_escapes_from_it() {
        let text = page(
            &[block(18, "f<int>"), block(5, ""), block(4, "")],
            &[Some(b"<script>alert(1)</"), None, Some(b"ab")],
        );
        for expected in [
            "./a.out &#39;&lt;b&gt;&#39;",
            "SIGSEGV illegal access: address 0x10",
            "3 events were not recorded",
            "3 remaining heap allocations",
            "0x5000 : 18 bytes  f&lt;int&gt;",
            "000000005000  3c 73 63",
            "&lt;script&gt;alert(1",
            "Its bytes were not recorded",
            "The last 2 bytes were not recorded",
        ] {
            assert!(text.contains(expected), "{expected} is missing in {text}");
        }
        assert!(!text.contains("<script") && !text.contains("<b>"));
    }

    #[test]
    fn what_is_left_out_is_said() {
        let big = vec![b'x'; SHOWN_BYTES + 100];
        let text = page(&[block(big.len() as u64, "")], &[Some(&big)]);
        assert!(text.contains("100 more bytes in <code>heap/0x5000"));
        let blocks = vec![block(0, ""); SHOWN_BLOCKS + 2];
        let text = page(&blocks, &vec![Some(b"".as_slice()); blocks.len()]);
        assert!(text.contains("2 more are not on this page"));
    }
}
