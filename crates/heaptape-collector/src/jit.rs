//! Names of code that lies in no file: a just-in-time compiler tells them in `/tmp/perf-PID.map`.
//!
//! The convention is Linux perf's (`tools/perf/Documentation/jit-interface.txt`): a line for each piece of code, `START
//! SIZE NAME` with hexadecimal numbers. Node.js (`--perf-basic-prof`), Python (`-X perf`), .NET
//! (`DOTNET_PerfMapEnabled=1`), the JVM with an agent and LLVM's listeners write it. Where code was replaced by other
//! code, the last line is taken.

use crate::convert::Strays;
use crate::sys::fd;
use heaptape_tape::BacktraceId;
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};

/// Most bytes of a map that are read.
const MOST_BYTES: u64 = 1 << 28;
/// Longest name that is kept, bytes.
const LONGEST: usize = 1 << 12;

/// Which of the nodes have a name in the map of the first process that has written one: (name, nodes).
pub(crate) fn names(pids: &[u32], strays: &Strays) -> Vec<(Vec<u8>, Vec<BacktraceId>)> {
    if strays.is_empty() {
        return Vec::new();
    }
    match pids.iter().find_map(|pid| open(&format!("/tmp/perf-{pid}.map")).ok()) {
        Some(map) => named(BufReader::new(map.take(MOST_BYTES)), strays),
        None => Vec::new(),
    }
}

/// Opens a file that we own, and nothing that only looks like one: anybody may put something there.
fn open(path: &str) -> io::Result<File> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let found = file.metadata()?;
    if found.is_file() && found.uid() == fd::user() {
        Ok(file)
    } else {
        Err(io::ErrorKind::PermissionDenied.into())
    }
}

fn named(mut map: impl BufRead, strays: &Strays) -> Vec<(Vec<u8>, Vec<BacktraceId>)> {
    let mut last: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
    let mut line = Vec::new();
    while matches!(map.read_until(b'\n', &mut line), Ok(read) if read > 0) {
        if let Some((start, end, name)) = entry(&line) {
            // A call lies before the address that it returns to.
            for (&address, _) in strays.range(start.saturating_add(1)..=end) {
                last.insert(address, name.to_vec());
            }
        }
        line.clear();
    }
    let mut named: BTreeMap<Vec<u8>, Vec<BacktraceId>> = BTreeMap::new();
    for (address, name) in last {
        named.entry(name).or_default().extend(&strays[&address]);
    }
    named.into_iter().collect()
}

/// First address, first address after it, name.
fn entry(line: &[u8]) -> Option<(u64, u64, &[u8])> {
    let mut fields = line.trim_ascii().splitn(3, |&byte| byte == b' ');
    let mut number = || {
        let digits = std::str::from_utf8(fields.next()?).ok()?;
        u64::from_str_radix(digits.trim_start_matches("0x"), 16).ok()
    };
    let (start, size) = (number()?, number()?);
    let name = fields.next()?.trim_ascii();
    let end = start.checked_add(size)?;
    (start < end && !name.is_empty()).then_some((start, end, &name[..name.len().min(LONGEST)]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn return_addresses_belong_to_the_code_that_calls() {
        let strays: Strays = [0x1000, 0x1001, 0x1010, 0x1011, 0x2000]
            .into_iter()
            .map(|address| (address, vec![BacktraceId(address as u32)]))
            .collect();
        let map =
            b"1000 10 first of two\n1ff0 20 replaced\nnonsense\n1ff0 10 LazyCompile:~f /a b.js:1\n\
            ffffffffffffffff 10 past the end\n1000 0 nothing\n1000 10 \n";
        let nodes = |ids: &[u32]| ids.iter().map(|&id| BacktraceId(id)).collect::<Vec<_>>();
        assert_eq!(
            named(&map[..], &strays),
            [
                (b"LazyCompile:~f /a b.js:1".to_vec(), nodes(&[0x2000])),
                (b"first of two".to_vec(), nodes(&[0x1001, 0x1010])),
            ]
        );
    }

    #[test]
    fn only_a_file_of_our_own_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
        fs::write(path("map"), "1000 10 f\n").unwrap();
        std::os::unix::fs::symlink(path("map"), path("link")).unwrap();
        assert!(open(&path("map")).is_ok());
        assert!(open(&path("link")).is_err());
        assert!(open(dir.path().to_str().unwrap()).is_err());
    }
}
