//! Writes vizzyreport's plot. A page of ours is replaced; another file is not, unless forced.

use crate::failure::Failure;
use crate::seeds::source::{Known, Source, Usage};
use heaptape_report::seeds::usage_page::{self, UsageChart};
use heaptape_report::text::escape;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Our mark stands in the first bytes of a page, this far at most.
const HEAD: u64 = 1024;

/// Draws the usage of every process of `source` on the page at `path`.
pub(crate) fn write(source: &Source, path: &Path, force: bool) -> Result<(), Failure> {
    let refuse = |why: String| {
        Failure::request(format!("{}: {why}", escape(path.as_os_str().as_encoded_bytes())))
    };
    if !force && !may_replace(path).map_err(|e| refuse(e.to_string()))? {
        return Err(refuse(
            "is there and is no page of heaptape's; give another name with -o, or --force".into(),
        ));
    }
    let usages = source.usages()?;
    write_beside(path, |out| write_page(source, &usages, out)).map_err(|e| refuse(e.to_string()))
}

fn write_page(source: &Source, usages: &Known<Usage>, out: &mut dyn Write) -> io::Result<()> {
    let charts: Vec<UsageChart<'_>> = usages
        .processes
        .iter()
        .map(|Usage { process, curve, notes }| UsageChart { process, curve, notes })
        .collect();
    let log = escape(source.path().as_os_str().as_encoded_bytes());
    usage_page::write_usage_page(out, &log, &usages.unknown, &charts)
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

/// Writes a new file and puts it in the place of the old one when it is whole.
fn write_beside(
    path: &Path,
    content: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}.new", std::process::id()));
    let beside = PathBuf::from(beside);
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
    let mut out = BufWriter::new(file);
    content(&mut out)
        .and_then(|()| out.flush())
        .and_then(|()| std::fs::rename(&beside, path))
        .inspect_err(|_| {
            let _ = std::fs::remove_file(&beside);
        })
}
