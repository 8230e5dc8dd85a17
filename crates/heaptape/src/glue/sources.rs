//! Source lines, read from the files that debug information names.
//!
//! A tape may come from anybody, and a page be given to anybody: a file is read only if it is a regular file with the
//! name of a source, so that nothing private finds its way from one to the other.

use crate::failure::Failure;
use heaptape_analysis::stacks::Stacks;
use heaptape_tape::Tape;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use heaptape_report::page::source::{Piece, SourceFile, Sources};

/// Lines on either side of one that is named.
const AROUND: u32 = 5;
/// Bytes of a file that is read.
const MOST_OF_A_FILE: u64 = 8 << 20;
/// Bytes of all lines of a process.
const MOST: usize = 4 << 20;
/// Bytes of a line that are shown.
const MOST_OF_A_LINE: usize = 400;
/// How names of source files end. Those of C++'s library have no ending.
const ENDINGS: &[&str] = &[
    "c", "cc", "cpp", "cxx", "c++", "C", "h", "hh", "hpp", "hxx", "h++", "H", "inc", "inl", "ipp",
    "tcc", "def", "m", "mm", "rs", "go", "s", "S", "asm", "y", "l", "py", "pyx", "pxd", "d", "zig",
    "swift", "f", "f90", "f95", "for", "adb", "ads", "pas", "nim", "cr", "ml", "hs", "v", "cu",
    "cuh", "java", "kt", "vala", "x", "gperf",
];
const WITHOUT_ENDING: &str = "/usr/include/c++/";

/// Which lines are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Wanted {
    /// None.
    None,
    /// Those around the lines that backtraces name.
    Sites,
    /// Whole files that backtraces name.
    Files,
}

/// `FROM=TO`: files below FROM, as debug information names them, lie below TO.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SourceMap {
    from: String,
    to: PathBuf,
}

impl std::str::FromStr for SourceMap {
    type Err = String;

    fn from_str(text: &str) -> Result<SourceMap, String> {
        match text.split_once('=') {
            Some((from, to)) if !from.is_empty() => {
                Ok(SourceMap { from: from.trim_end_matches('/').to_owned(), to: to.into() })
            }
            _ => Err("expected FROM=TO, such as /build/demo=/home/me/demo".to_owned()),
        }
    }
}

/// Where source files are looked for.
#[derive(Clone, Debug)]
pub(crate) struct SourcePaths {
    maps: Vec<SourceMap>,
    sysroot: Option<PathBuf>,
    /// What names without a leading slash begin at.
    cwd: PathBuf,
}

impl SourcePaths {
    /// For the files of a tape.
    pub(crate) fn new(tape: &Tape, maps: Vec<SourceMap>, sysroot: Option<PathBuf>) -> SourcePaths {
        let cwd = PathBuf::from(OsStr::from_bytes(&tape.header().cwd));
        SourcePaths { maps, sysroot, cwd }
    }

    /// Where a file may lie, in the order in which it is looked for.
    pub(crate) fn places(&self, file: &str) -> Vec<PathBuf> {
        let mut places = Vec::new();
        for SourceMap { from, to } in &self.maps {
            let rest = file.strip_prefix(from.as_str());
            if let Some(rest) = rest.and_then(|rest| rest.strip_prefix('/')) {
                places.push(to.join(rest));
            }
        }
        let whole = self.cwd.join(file);
        if let Some(sysroot) = &self.sysroot {
            places.push(sysroot.join(whole.strip_prefix("/").unwrap_or(&whole)));
        }
        places.push(whole);
        places
    }

    /// The lines of a file; `None` where it is not found, or is none that may be shown.
    pub(crate) fn read(&self, file: &str) -> Option<Vec<String>> {
        if !is_source(file) {
            return None;
        }
        self.places(file).iter().find_map(|place| read(place))
    }

    /// The lines that the frames of some stacks name.
    pub(crate) fn of(&self, stacks: &Stacks, wanted: Wanted) -> Sources {
        let mut lines: BTreeMap<&str, BTreeSet<u32>> = BTreeMap::new();
        for frame in stacks.frames.iter().map(|it| &it.frame).filter(|frame| frame.line > 0) {
            if let Some(file) = &frame.file {
                lines.entry(file).or_default().insert(frame.line);
            }
        }
        let mut sources = Sources::default();
        let mut bytes = 0;
        for (file, lines) in lines {
            let Some(text) = self.read(file) else { continue };
            let pieces = match wanted {
                Wanted::None => Vec::new(),
                Wanted::Sites => around(&lines, &text),
                Wanted::Files => vec![Piece { first: 1, lines: text }],
            };
            let all = pieces.iter().flat_map(|piece| &piece.lines);
            bytes += all.map(|line| line.len() + 4).sum::<usize>();
            if bytes > MOST {
                sources.left_out_files += 1;
            } else if !pieces.is_empty() {
                sources.files.push(SourceFile { file: file.to_owned(), pieces });
            }
        }
        sources
    }
}

/// The pieces of a text around some lines, those that touch as one.
fn around(lines: &BTreeSet<u32>, text: &[String]) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    for &line in lines {
        let last = line.saturating_add(AROUND).min(text.len() as u32);
        let next = pieces.last().map_or(1, |piece| piece.first + piece.lines.len() as u32);
        let first = line.saturating_sub(AROUND).max(next);
        if first > last {
            continue;
        }
        let more = text[first as usize - 1..last as usize].iter().cloned();
        match pieces.last_mut() {
            Some(piece) if first == next => piece.lines.extend(more),
            _ => pieces.push(Piece { first, lines: more.collect() }),
        }
    }
    pieces
}

fn is_source(file: &str) -> bool {
    let ending = Path::new(file).extension().and_then(OsStr::to_str);
    match ending {
        Some(ending) => ENDINGS.contains(&ending),
        None => file.starts_with(WITHOUT_ENDING) && !file.contains("/../"),
    }
}

fn read(place: &Path) -> Option<Vec<String>> {
    // What is opened must be what is named: a link may lead to anything.
    let place = place.canonicalize().ok().filter(|it| it.to_str().is_some_and(is_source))?;
    // Opening what is no file, such as a pipe, might wait for ever.
    if !std::fs::metadata(&place).is_ok_and(|file| file.is_file()) {
        return None;
    }
    let mut bytes = Vec::new();
    File::open(place).ok()?.take(MOST_OF_A_FILE).read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    Some(text.lines().map(shortened).collect())
}

fn shortened(line: &str) -> String {
    let most = (0..=MOST_OF_A_LINE).rev().find(|&end| line.is_char_boundary(end));
    line[..most.unwrap_or(0).min(line.len())].to_owned()
}

/// Tells of a map that leads nowhere, before minutes of reading.
pub(crate) fn check(maps: &[SourceMap]) -> Result<(), Failure> {
    match maps.iter().find(|map| !map.to.is_dir()) {
        None => Ok(()),
        Some(map) => {
            let to = crate::recording::shown(&map.to);
            Err(Failure::request(format!("--source-map: {to}: no such folder")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_merged_and_end_with_the_file() {
        let text: Vec<String> = (1..=40).map(|line| line.to_string()).collect();
        let pieces = around(&[3, 8, 30, 39, 77].into(), &text);
        let spans: Vec<(u32, usize)> = pieces.iter().map(|it| (it.first, it.lines.len())).collect();
        assert_eq!(spans, [(1, 13), (25, 16)]);
        assert_eq!(pieces[1].lines[0], "25");
        assert_eq!(around(&[77].into(), &text), []);
    }

    /// A hostile tape cannot have private files put into a page.
    #[test]
    fn only_sources_are_read() {
        let place = tempfile::tempdir().expect("a place for files");
        let path = |name: &str| place.path().join(name).to_str().unwrap().to_owned();
        std::fs::write(path("id_rsa"), "secret").unwrap();
        std::fs::write(path("a.c"), "int a;\n\u{fffd}\n").unwrap();
        std::os::unix::fs::symlink(path("id_rsa"), path("link.c")).unwrap();
        let paths = SourcePaths { maps: Vec::new(), sysroot: None, cwd: place.path().into() };
        assert_eq!(
            paths.read(&path("a.c")),
            Some(vec!["int a;".to_owned(), "\u{fffd}".to_owned()])
        );
        assert_eq!(paths.read("a.c"), paths.read(&path("a.c")), "from the folder it ran in");
        assert_eq!(paths.read(&path("id_rsa")), None);
        assert_eq!(paths.read(&path("link.c")), None);
        assert_eq!(paths.read("/usr/include/c++/../../../etc/passwd"), None);
        assert_eq!(paths.read("/dev/zero.c"), None);
    }

    #[test]
    fn files_are_looked_for_where_they_were_moved() {
        let maps = vec!["/build/demo/=/home/me/demo".parse().unwrap()];
        let paths = SourcePaths { maps, sysroot: Some("/root".into()), cwd: "/run".into() };
        let places = |file: &str| -> Vec<String> {
            paths.places(file).iter().map(|place| place.display().to_string()).collect()
        };
        assert_eq!(
            places("/build/demo/a.c"),
            ["/home/me/demo/a.c", "/root/build/demo/a.c", "/build/demo/a.c"]
        );
        assert_eq!(
            places("/build/demolition/a.c"),
            ["/root/build/demolition/a.c", "/build/demolition/a.c"]
        );
        assert_eq!(places("a.c"), ["/root/run/a.c", "/run/a.c"]);
        assert!("=x".parse::<SourceMap>().is_err());
    }
}
