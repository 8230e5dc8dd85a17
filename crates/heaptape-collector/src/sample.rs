//! What `/proc` tells about a process: memory, names, command line.

use crate::maps;
use heaptape_tape::{Private, Sample, TimeNs};
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::time::Instant;

/// What `/proc` knew of a process when it said hello. All empty where there is no `/proc`.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    pub(crate) exe: Vec<u8>,
    pub(crate) argv: Vec<Vec<u8>>,
    pub(crate) ppid: u32,
}

/// Looks at a process; a pid of 0 is not known.
pub(crate) fn facts(pid: u32) -> Facts {
    if pid == 0 {
        return Facts::default();
    }
    let exe = fs::read_link(format!("/proc/{pid}/exe"));
    let mut argv: Vec<Vec<u8>> = fs::read(format!("/proc/{pid}/cmdline"))
        .unwrap_or_default()
        .split(|&b| b == 0)
        .map(<[u8]>::to_vec)
        .collect();
    // Every argument ends with a zero byte: what follows the last is none.
    argv.pop();
    Facts {
        exe: exe.map(|path| path.into_os_string().into_vec()).unwrap_or_default(),
        argv,
        ppid: stat_fields(pid).and_then(|(_, ppid)| ppid).unwrap_or(0),
    }
}

/// Which file a process runs: device and inode, which stay when it is renamed.
pub(crate) type Image = (u64, u64);

/// The file that a process runs; `None` where it cannot be seen.
pub(crate) fn image(pid: u32) -> Option<Image> {
    if pid == 0 {
        return None;
    }
    let file = fs::metadata(format!("/proc/{pid}/exe")).ok()?;
    Some((file.dev(), file.ino()))
}

/// Whether the process is stopped by a signal.
pub(crate) fn is_stopped(pid: u32) -> bool {
    stat_fields(pid).is_some_and(|(state, _)| matches!(state, b'T' | b't'))
}

/// The parent of a process, as far as `/proc` tells.
pub(crate) fn parent(pid: u32) -> Option<u32> {
    stat_fields(pid)?.1
}

/// Whether a process has one thread, which is seen at once.
pub(crate) fn is_alone(pid: u32) -> bool {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).map(|tasks| tasks.count());
    tasks.is_ok_and(|tasks| tasks == 1)
}

/// State and parent. The name before them may hold anything, spaces and parentheses included.
fn stat_fields(pid: u32) -> Option<(u8, Option<u32>)> {
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let name_end = stat.iter().rposition(|&b| b == b')')?;
    let rest = String::from_utf8_lossy(&stat[name_end + 1..]).into_owned();
    let mut fields = rest.split_ascii_whitespace();
    Some((*fields.next()?.as_bytes().first()?, fields.next().and_then(|f| f.parse().ok())))
}

/// Takes a sample; `None` when the process is gone. With `pss`, the proportional set size too, which
/// costs the kernel a walk over the page tables.
pub(crate) fn sample(pid: u32, time: TimeNs, pss: bool) -> Option<Sample> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    // A zombie has no memory any more, and says so by silence.
    let rss = kibibytes(&status, "VmRSS:")?;
    let rollup = pss.then(|| fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok());
    Some(Sample {
        time,
        rss,
        rss_anon: kibibytes(&status, "RssAnon:").unwrap_or(0),
        rss_file: kibibytes(&status, "RssFile:").unwrap_or(0),
        rss_shmem: kibibytes(&status, "RssShmem:").unwrap_or(0),
        pss: rollup.flatten().and_then(|text| kibibytes(&text, "Pss:")).unwrap_or(0),
        swap: kibibytes(&status, "VmSwap:").unwrap_or(0),
        rss_peak: kibibytes(&status, "VmHWM:").unwrap_or(0),
        private: None,
    })
}

/// Looks now and then at what resident memory consists of: rarely enough to take next to no time.
#[derive(Debug, Default)]
pub(crate) struct Consists {
    /// Not before.
    next: Option<Instant>,
}

impl Consists {
    /// From the beginning of one look to that of the next, so many times as long as it took: 0.5 % of a processor. Meanwhile
    /// the process may wait with its own changes of mappings.
    const RARELY: u32 = 200;

    /// What it consists of, where that is due.
    pub(crate) fn look(&mut self, pid: u32) -> Option<Private> {
        let now = Instant::now();
        if self.next.is_some_and(|next| now < next) {
            return None;
        }
        let looked = maps::with_residence(pid);
        self.next = now.checked_add(now.elapsed() * Consists::RARELY);
        let (mappings, resident) = looked.ok()?;
        (!resident.is_empty()).then(|| maps::private(&mappings, &resident))
    }
}

/// The value of a line `Name:   123 kB`, in bytes.
fn kibibytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let number: u64 = line.split_ascii_whitespace().next()?.parse().ok()?;
    number.checked_mul(1024)
}

/// The names of the threads that are alive, by kernel id.
pub(crate) fn thread_names(pid: u32) -> impl Iterator<Item = (u32, Vec<u8>)> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    tasks.filter_map(|task| {
        let tid = task.file_name().to_str()?.parse().ok()?;
        let mut name = fs::read(task.path().join("comm")).ok()?;
        if name.last() == Some(&b'\n') {
            name.pop();
        }
        Some((tid, name))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_facts_and_memory() {
        let pid = std::process::id();
        let facts = facts(pid);
        assert_eq!(facts.exe, std::env::current_exe().unwrap().into_os_string().into_vec());
        assert_eq!(facts.argv.len(), std::env::args().count());
        assert_eq!(facts.ppid, std::os::unix::process::parent_id());
        let sample = sample(pid, TimeNs(7), true).unwrap();
        assert!(sample.rss >= sample.rss_anon && sample.rss_anon > 0 && sample.pss > 0);
        assert!(sample.rss_peak > 0);
        assert!(!is_stopped(pid));
    }

    /// At most every 200th part of the time is spent.
    #[test]
    fn what_it_consists_of_is_looked_at_rarely() {
        let mut consists = Consists::default();
        let first = consists.look(std::process::id()).unwrap();
        assert!(first.heap + first.arenas + first.other > 0);
        assert!(consists.next.unwrap() > Instant::now());
        consists.next = Some(Instant::now() + std::time::Duration::from_secs(3600));
        assert_eq!(consists.look(std::process::id()), None);
    }

    #[test]
    fn lines_of_proc_are_read_by_name() {
        let text = "VmPeak:\t  99 kB\nVmRSS:\t     12 kB\n";
        assert_eq!(kibibytes(text, "VmRSS:"), Some(12 * 1024));
        assert_eq!(kibibytes(text, "VmSwap:"), None);
    }
}
