//! Writes vizzyreport's plot. A page of ours is replaced; another file is not, unless forced.

use crate::cli::{ProcessChoice, TapeArgs};
use crate::failure::Failure;
use crate::glue::Reading;
use crate::glue::new_file::{Manner, write_whole};
use crate::glue::report::{Report, Wishes};
use crate::seeds::source::{self, Source, Usage};
use heaptape_report::seeds::usage_page::{self, UsageChart};
use heaptape_report::text::escape;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

/// Our mark stands in the first bytes of a page, this far at most.
const HEAD: u64 = 1024;

/// Draws the usage of every process of `source` on the page at `path`: of a tape, the whole report. Returns how to open it.
pub(crate) fn write(source: &Source, path: &Path, force: bool) -> Result<String, Failure> {
    let refuse = |why: String| {
        Failure::request(format!("{}: {why}", escape(path.as_os_str().as_encoded_bytes())))
    };
    if !force && !may_replace(path).map_err(|e| refuse(e.to_string()))? {
        return Err(refuse(
            "is there and is no page of heaptape's; give another name with -o, or --force".into(),
        ));
    }
    let manner = Manner { replace: true, private: true };
    match source {
        Source::Tape(_, tape) => {
            let args = TapeArgs::unbounded(tape.clone(), ProcessChoice::All);
            let reading = Reading::open(args)?;
            let mut report = Report::gather(&reading, &Wishes::usual(&reading, false))?;
            write_whole(path, manner, |out| report.write(out))
                .map_err(|e| refuse(e.to_string()))?;
            Ok(format!("open {}#/summary in a browser", url(path)))
        }
        Source::Log(log) => {
            let usage = source::log_usage(log)?;
            write_whole(path, manner, |out| write_page(log, &usage, out))
                .map_err(|e| refuse(e.to_string()))?;
            Ok("open it in a browser".to_owned())
        }
    }
}

fn write_page(log: &Path, usage: &Usage, out: &mut dyn Write) -> io::Result<()> {
    let Usage { process, curve, notes } = usage;
    let log = escape(log.as_os_str().as_encoded_bytes());
    usage_page::write_usage_page(out, &log, &[], &[UsageChart { process, curve, notes }])
}

/// The file as a browser takes it.
fn url(path: &Path) -> String {
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut url = "file://".to_owned();
    for &byte in whole.as_os_str().as_encoded_bytes() {
        match byte {
            b'/' | b'-' | b'.' | b'_' | b'~' => url.push(byte.into()),
            byte if byte.is_ascii_alphanumeric() => url.push(byte.into()),
            byte => url.push_str(&format!("%{byte:02X}")),
        }
    }
    url
}

/// Whether nothing is there, or a page that says it is ours.
fn may_replace(path: &Path) -> io::Result<bool> {
    let mut head = Vec::new();
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        Err(error) => return Err(error),
        Ok(metadata) if !metadata.is_file() => return Ok(false),
        Ok(_) => File::open(path)?.take(HEAD).read_to_end(&mut head)?,
    };
    Ok(String::from_utf8_lossy(&head).contains(usage_page::GENERATOR))
}

#[cfg(test)]
mod tests {
    use super::url;
    use std::path::Path;

    #[test]
    fn files_as_browsers_take_them() {
        assert_eq!(url(Path::new("/tmp/a b#?%.html")), "file:///tmp/a%20b%23%3F%25.html");
    }
}
