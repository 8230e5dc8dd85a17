//! The report: one HTML file that holds page and data, loads nothing, and opens in any browser.
//!
//! What can be read without scripts comes first (`still`); data and program follow, deflated. The only script that is
//! there as it is unpacks the program. The file's policy lets the browser run these two and show these styles, known by
//! their hashes, and nothing else: whatever the recorded program's names and bytes say, none of it can run or reach out.

use super::columns::{Form, Table};
use super::overview::Overview;
use super::seven::SevenBits;
use super::{APP_CSS, APP_JS, still};
use crate::html::{GENERATOR, Text};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use flate2::Compression;
use flate2::write::DeflateEncoder;
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::io::{self, Read, Write};

/// Unpacks the program and begins it.
const LOADER_JS: &str = include_str!("loader.js");

/// Tables of processes, as a report holds them. They are written before the report is, to a file of their own, so that
/// those of one process only are in memory.
pub struct Blobs<W> {
    out: W,
    /// What the names of its tables begin with.
    letter: char,
}

impl<W: Write> Blobs<W> {
    /// None yet.
    pub fn new(out: W) -> Blobs<W> {
        Blobs { out, letter: 'p' }
    }

    /// Those of a second recording, to compare with; its overview is written with them.
    pub fn of_other(out: W) -> Blobs<W> {
        Blobs { out, letter: 'q' }
    }

    /// Writes the overview of a second recording.
    pub fn other_overview(&mut self, overview: &Overview) -> io::Result<()> {
        write_packed_json(&mut self.out, "other-overview", overview)
    }

    /// Writes a table of a process.
    pub fn table(&mut self, process: u32, name: &str, table: &Table<'_>) -> io::Result<()> {
        let id = format!("{}{process}-{name}", self.letter);
        write_packed(&mut self.out, &id, |out| table.write(out, Form::Compressible))
    }

    /// Writes what is JSON about a process.
    pub fn json(&mut self, process: u32, name: &str, value: &impl Serialize) -> io::Result<()> {
        let id = format!("{}{process}-{name}", self.letter);
        write_element(&mut self.out, &id, value)
    }

    /// What they were written to.
    pub fn into_inner(self) -> W {
        self.out
    }
}

/// Writes the report: what is known beforehand, and the blobs.
pub fn write(out: &mut dyn Write, overview: &Overview, blobs: &mut dyn Read) -> io::Result<()> {
    let policy = format!(
        "default-src 'none'; script-src '{}' '{}'; style-src '{}' '{}'; img-src data: blob:; worker-src blob:; \
         base-uri 'none'; form-action 'none'",
        hash(LOADER_JS),
        hash(APP_JS),
        hash(still::STYLE),
        hash(APP_CSS)
    );
    write!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n{GENERATOR}\n\
         <title>{}</title>\n<style>{}</style>\n</head>\n<body>\n",
        Text(&overview.title()),
        still::STYLE
    )?;
    still::write(out, overview)?;
    writeln!(out, "<div id=\"app\"></div>")?;
    write_packed_json(out, "overview", overview)?;
    io::copy(blobs, out)?;
    write_packed(out, "app-css", |out| out.write_all(APP_CSS.as_bytes()))?;
    write_packed(out, "app-js", |out| out.write_all(APP_JS.as_bytes()))?;
    // Behind all that is read: the program can begin at once.
    writeln!(out, "<script>{LOADER_JS}</script>\n</body>\n</html>")
}

/// How hard deflate tries. The level above takes half as long again for columns of what is random, to no avail.
const LEVEL: Compression = Compression::new(8);

/// Writes what `content` writes as an element of the page: deflate-raw, as text.
fn write_packed(
    out: &mut dyn Write,
    id: &str,
    content: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    write!(out, "<script type=\"application/octet-stream\" id=\"{id}\">")?;
    let mut deflate = DeflateEncoder::new(SevenBits::new(&mut *out), LEVEL);
    content(&mut deflate)?;
    deflate.finish()?.finish()?;
    writeln!(out, "</script>")
}

/// Writes JSON so.
fn write_packed_json(out: &mut dyn Write, id: &str, value: &impl Serialize) -> io::Result<()> {
    write_packed(out, id, |out| serde_json::to_writer(out, value).map_err(io::Error::from))
}

/// Writes JSON as an element of the page, as it is: it can be searched.
fn write_element(out: &mut dyn Write, id: &str, value: &impl Serialize) -> io::Result<()> {
    write!(out, "<script type=\"application/json\" id=\"{id}\">")?;
    write_json(out, value)?;
    writeln!(out, "</script>")
}

/// Writes JSON that can stand in a `<script>`: without `<`.
fn write_json(out: &mut dyn Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(WithoutLess(out), value).map_err(io::Error::from)
}

/// JSON has `<` in strings only, and there `\u003c` is the same.
struct WithoutLess<'a>(&'a mut dyn Write);

impl Write for WithoutLess<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for (nth, piece) in bytes.split(|byte| *byte == b'<').enumerate() {
            if nth > 0 {
                self.0.write_all(b"\\u003c")?;
            }
            self.0.write_all(piece)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// The hash by which a policy knows a script or a style.
fn hash(text: &str) -> String {
    format!("sha256-{}", BASE64_STANDARD.encode(Sha256::digest(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A browser reads them up to these, and hashes line ends as `\n`.
    #[test]
    fn what_is_there_as_it_is_can_stand_in_a_page() {
        assert!(!LOADER_JS.contains("</script") && !LOADER_JS.contains("<!--"));
        assert!(!still::STYLE.contains("</style"));
        assert!(![LOADER_JS, still::STYLE, APP_JS, APP_CSS].iter().any(|it| it.contains('\r')));
    }

    #[test]
    fn json_cannot_end_its_script() {
        let mut out = Vec::new();
        write_json(&mut out, &"</script><!--<").unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(!text.contains('<'));
        assert_eq!(serde_json::from_str::<String>(&text).unwrap(), "</script><!--<");
    }

    #[test]
    fn a_hash_is_that_of_openssl() {
        // printf %s abc | openssl dgst -sha256 -binary | base64
        assert_eq!(hash("abc"), "sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=");
    }
}
