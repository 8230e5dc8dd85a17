//! Asks the launcher of a running recording to do something, from another process of the same user.
//!
//! Nothing but a pid is needed: a recorded program's environment tells where its launcher listens, and the
//! token that opens it. Of the launcher itself the programs that it has started are asked.

use crate::sys::socket;
use crate::{hello, sample};
use heaptape_wire::handshake::*;
use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::time::Duration;

/// How long an answer may take: whoever copies much must be waited for.
const PATIENCE: Duration = Duration::from_secs(300);
/// Longest answer that is taken.
const MAX_ANSWER: usize = 128 << 10;
/// Numbers of a [`Taken`] in an answer.
const TAKEN_NUMBERS: usize = 10;

/// Why a launcher did not do what was asked.
#[derive(Debug)]
pub enum ControlError {
    /// There is no process with that pid.
    NoProcess(u32),
    /// Its environment may not be read: it belongs to somebody else.
    Forbidden(u32),
    /// No recording knows that process.
    NotRecorded(u32),
    /// The launcher is another version of heaptape.
    OtherBuild,
    /// The launcher could not be talked to.
    Io(io::Error),
}

impl fmt::Display for ControlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ControlError::NoProcess(pid) => write!(f, "there is no process {pid}"),
            ControlError::Forbidden(pid) => {
                write!(f, "process {pid} is not yours to look at")
            }
            ControlError::NotRecorded(pid) => {
                write!(f, "process {pid} is not being recorded, and records nothing itself")
            }
            ControlError::OtherBuild => {
                write!(f, "the recording was started by another version of heaptape: use that one")
            }
            ControlError::Io(e) => write!(f, "the recording does not answer: {e}"),
        }
    }
}

impl std::error::Error for ControlError {}

/// A snapshot that was taken because it was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// The pid.
    pub pid: u32,
    /// The process's number on the tape.
    pub process: u32,
    /// The snapshot's number.
    pub number: u32,
    /// When, ns since the recording began.
    pub time_ns: u64,
    /// How long the process stood still, ns.
    pub pause_ns: u64,
    /// Whether all its threads did.
    pub one_instant: bool,
    /// Bytes of the live blocks.
    pub considered: u64,
    /// Bytes of pages that were stored, as they had changed.
    pub stored: u64,
    /// Bytes of pages that could not be read.
    pub unreadable: u64,
    /// Bytes of pages beyond the budget.
    pub over_budget: u64,
}

impl Taken {
    fn numbers(&self) -> [u64; TAKEN_NUMBERS] {
        [
            self.pid.into(),
            self.process.into(),
            self.number.into(),
            self.time_ns,
            self.pause_ns,
            self.one_instant.into(),
            self.considered,
            self.stored,
            self.unreadable,
            self.over_budget,
        ]
    }

    fn of(numbers: [u64; TAKEN_NUMBERS]) -> Taken {
        let [
            pid,
            process,
            number,
            time_ns,
            pause_ns,
            instant,
            considered,
            stored,
            unreadable,
            over_budget,
        ] = numbers;
        let one_instant = instant != 0;
        let [pid, process, number] = [pid, process, number].map(|number| number as u32);
        Taken {
            pid,
            process,
            number,
            time_ns,
            pause_ns,
            one_instant,
            considered,
            stored,
            unreadable,
            over_budget,
        }
    }
}

/// What came of asking for a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotAnswer {
    /// The tape, as its launcher names it.
    pub tape: PathBuf,
    /// A snapshot of each process asked for, but for those that ended before it could be made.
    pub taken: Vec<Taken>,
}

impl SnapshotAnswer {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = (self.taken.len() as u64).to_ne_bytes().to_vec();
        let numbers = self.taken.iter().flat_map(Taken::numbers);
        numbers.for_each(|number| out.extend(number.to_ne_bytes()));
        out.extend(self.tape.as_os_str().as_encoded_bytes());
        out
    }

    fn parse(bytes: &[u8]) -> Option<SnapshotAnswer> {
        let (count, mut rest) = bytes.split_first_chunk::<8>()?;
        let mut taken = Vec::new();
        for _ in 0..u64::from_ne_bytes(*count) {
            let (one, after) = rest.split_first_chunk::<{ 8 * TAKEN_NUMBERS }>()?;
            rest = after;
            taken.push(Taken::of(std::array::from_fn(|at| hello::word(one, 8 * at))));
        }
        Some(SnapshotAnswer { tape: OsString::from_vec(rest.to_vec()).into(), taken })
    }
}

/// A search for leaks that was made because it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SearchMade {
    /// The process's number on the tape.
    pub process: u32,
    /// The search's number on the tape.
    pub number: u32,
}

/// What came of asking for a search for leaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaksAnswer {
    /// The tape, as its launcher names it; the searches are on it.
    pub tape: PathBuf,
    /// A search of each process asked for, but for those that ended before it could be made, or cannot be read.
    pub searches: Vec<SearchMade>,
}

impl LeaksAnswer {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = (self.searches.len() as u64).to_ne_bytes().to_vec();
        for search in &self.searches {
            out.extend(search.process.to_ne_bytes());
            out.extend(search.number.to_ne_bytes());
        }
        out.extend(self.tape.as_os_str().as_encoded_bytes());
        out
    }

    fn parse(bytes: &[u8]) -> Option<LeaksAnswer> {
        let (count, mut rest) = bytes.split_first_chunk::<8>()?;
        let mut searches = Vec::new();
        for _ in 0..u64::from_ne_bytes(*count) {
            let (process, after) = rest.split_first_chunk()?;
            let (number, after) = after.split_first_chunk()?;
            rest = after;
            let [process, number] = [process, number].map(|bytes| u32::from_ne_bytes(*bytes));
            searches.push(SearchMade { process, number });
        }
        Some(LeaksAnswer { tape: OsString::from_vec(rest.to_vec()).into(), searches })
    }
}

/// Has a recorded process searched for leaks, or, by its launcher's pid, all processes of the recording; they go
/// on afterwards. Waits until that is done.
pub fn leaks(pid: u32) -> Result<LeaksAnswer, ControlError> {
    let answer = ask(pid, ASK_LEAKS)?;
    LeaksAnswer::parse(&answer).ok_or(ControlError::OtherBuild)
}

/// Has the contents of a recorded process copied onto its tape, or, by its launcher's pid, of all processes of
/// the recording. Waits until that is done.
pub fn snapshot(pid: u32) -> Result<SnapshotAnswer, ControlError> {
    let answer = ask(pid, ASK_SNAPSHOT)?;
    SnapshotAnswer::parse(&answer).ok_or(ControlError::OtherBuild)
}

/// Asks the recording of `pid` for something: `purpose` is one of the `ASK_*`. The payload is that pid, or 0 when
/// it is the launcher's, which means all that it records. Returns what follows the welcome.
pub(crate) fn ask(pid: u32, purpose: u32) -> Result<Vec<u8>, ControlError> {
    if let Some(link) = link_of(pid)?
        && let Some(answer) = say(&link, purpose, pid)?
    {
        return Ok(answer);
    }
    for child in children(pid) {
        if let Ok(Some(link)) = link_of(child)
            && let Some(answer) = say(&link, purpose, 0)?
        {
            return Ok(answer);
        }
    }
    Err(ControlError::NotRecorded(pid))
}

/// The value of [`ENV`] in a process's environment.
fn link_of(pid: u32) -> Result<Option<[u8; LINK_LEN]>, ControlError> {
    let environment = match fs::read(format!("/proc/{pid}/environ")) {
        Ok(environment) => environment,
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied => {
            return Err(ControlError::Forbidden(pid));
        }
        Err(_) => return Err(ControlError::NoProcess(pid)),
    };
    let name = format!("{ENV}=");
    let mut values =
        environment.split(|&b| b == 0).filter_map(|entry| entry.strip_prefix(name.as_bytes()));
    Ok(values.find_map(|value| value.try_into().ok()))
}

/// The processes that a process has started and that still run.
fn children(pid: u32) -> Vec<u32> {
    let all = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|&child| sample::parent(child) == Some(pid)).collect()
}

/// Says it to the collector that listens at `link`; `None` when there is none, or it does not know the process.
fn say(link: &[u8; LINK_LEN], purpose: u32, pid: u32) -> Result<Option<Vec<u8>>, ControlError> {
    let Some(token) = hello::unhex(&link[33..]) else { return Ok(None) };
    let name = [NAME_PREFIX.as_bytes(), &link[..32]].concat();
    let connection = match socket::connect(&name, PATIENCE) {
        Ok(connection) => connection,
        Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => return Ok(None),
        Err(e) => return Err(ControlError::Io(e)),
    };
    let packet = hello::packet(token, purpose, &pid.to_ne_bytes());
    socket::send(&connection, &packet, &[]).map_err(ControlError::Io)?;
    let mut answer = vec![0; MAX_ANSWER];
    let length = loop {
        match socket::receive(&connection, &mut answer) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            result => break result.map_err(ControlError::Io)?,
        }
    };
    match answer.get(..length).and_then(hello::welcome) {
        Some((ACCEPTED, results)) => Ok(Some(results.to_vec())),
        Some((OTHER_BUILD, _)) => Err(ControlError::OtherBuild),
        Some(_) => Ok(None),
        // It has ended meanwhile.
        None => Err(ControlError::Io(io::ErrorKind::UnexpectedEof.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_come_back() {
        let taken =
            |pid| Taken { pid, number: 3, stored: 1 << 40, one_instant: true, ..Taken::default() };
        let answer =
            SnapshotAnswer { tape: "/tmp/a b.tape".into(), taken: vec![taken(7), taken(9)] };
        let bytes = answer.encode();
        assert_eq!(SnapshotAnswer::parse(&bytes).as_ref(), Some(&answer));
        assert_eq!(SnapshotAnswer::parse(&bytes[..100]), None);
        assert_eq!(SnapshotAnswer::parse(&[255; 9]), None);
    }

    #[test]
    fn searches_come_back() {
        let searches =
            [(0, 3), (7, u32::MAX)].map(|(process, number)| SearchMade { process, number });
        let answer = LeaksAnswer { tape: "/tmp/a b.tape".into(), searches: searches.to_vec() };
        let bytes = answer.encode();
        assert_eq!(LeaksAnswer::parse(&bytes).as_ref(), Some(&answer));
        assert_eq!(LeaksAnswer::parse(&bytes[..20]), None);
        assert_eq!(LeaksAnswer::parse(&[255; 9]), None);
    }

    #[test]
    fn who_is_not_recorded_is_told_so() {
        let not_us = ask(std::process::id(), ASK_SNAPSHOT);
        assert!(matches!(not_us, Err(ControlError::NotRecorded(_))), "{not_us:?}");
        assert!(matches!(ask(u32::MAX, ASK_SNAPSHOT), Err(ControlError::NoProcess(_))));
    }
}
