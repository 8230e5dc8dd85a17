//! The memory of a process's cgroup, as far as it can be read: a process that was killed for want of memory tells
//! nothing any more, its cgroup does.

use heaptape_tape::{CgroupMemory, ProcessId, TimeNs};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Version 1 says that there is no limit by a number as large as can be.
const NO_LIMIT: u64 = 1 << 62;

/// The files of a cgroup.
#[derive(Debug)]
pub(crate) struct Cgroup {
    /// As `/proc/PID/cgroup` names it.
    path: Vec<u8>,
    folder: PathBuf,
    names: &'static Names,
}

/// What the files are called.
#[derive(Debug)]
struct Names {
    max: &'static str,
    high: &'static str,
    current: &'static str,
    peak: &'static str,
    events: &'static str,
}

const VERSION_2: Names = Names {
    max: "memory.max",
    high: "memory.high",
    current: "memory.current",
    peak: "memory.peak",
    events: "memory.events",
};

const VERSION_1: Names = Names {
    max: "memory.limit_in_bytes",
    high: "memory.soft_limit_in_bytes",
    current: "memory.usage_in_bytes",
    peak: "memory.max_usage_in_bytes",
    events: "memory.oom_control",
};

impl Cgroup {
    /// The cgroup of a process that counts its memory; `None` where its files cannot be seen.
    pub(crate) fn of(pid: u32) -> Option<Cgroup> {
        if pid == 0 {
            return None;
        }
        let text = fs::read(format!("/proc/{pid}/cgroup")).ok()?;
        let roots: [(&'static Names, &str); 3] = [
            (&VERSION_1, "/sys/fs/cgroup/memory"),
            (&VERSION_2, "/sys/fs/cgroup"),
            (&VERSION_2, "/sys/fs/cgroup/unified"),
        ];
        roots.into_iter().find_map(|(names, root)| {
            let path = path_in(&text, std::ptr::eq(names, &VERSION_1))?;
            let inside = OsStr::from_bytes(path.strip_prefix(b"/")?);
            // In a container the root may be the group itself, under its name outside.
            [Path::new(root).join(inside), PathBuf::from(root)]
                .into_iter()
                .find(|folder| folder.join(names.current).is_file())
                .map(|folder| Cgroup { path: path.to_vec(), folder, names })
        })
    }

    /// What the kernel says now.
    pub(crate) fn read(&self, process: ProcessId, time: TimeNs) -> CgroupMemory {
        let text = |name: &str| fs::read_to_string(self.folder.join(name)).ok();
        let number = |name: &str| text(name)?.trim().parse().ok().filter(|&value| value < NO_LIMIT);
        CgroupMemory {
            process,
            time,
            path: self.path.clone(),
            max: number(self.names.max),
            high: number(self.names.high),
            current: number(self.names.current),
            peak: number(self.names.peak),
            oom_kills: text(self.names.events).and_then(|text| oom_kills(&text)),
        }
    }
}

/// The path in `/proc/PID/cgroup`: of the memory controller of version 1 (`4:memory:/path`), or of version 2
/// (`0::/path`).
fn path_in(text: &[u8], version_1: bool) -> Option<&[u8]> {
    text.split(|&byte| byte == b'\n').find_map(|line| {
        let mut fields = line.splitn(3, |&byte| byte == b':');
        let (_, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
        let mut controllers = controllers.split(|&byte| byte == b',');
        let wanted: &[u8] = if version_1 { b"memory" } else { b"" };
        controllers.any(|controller| controller == wanted).then_some(path)
    })
}

/// The line `oom_kill 3`.
fn oom_kills(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_name_the_group() {
        let mixed = b"9:name=systemd:/\n4:cpu,memory:/a:b\n0::/c\n";
        assert_eq!(path_in(mixed, true), Some(&b"/a:b"[..]));
        assert_eq!(path_in(mixed, false), Some(&b"/c"[..]));
        assert_eq!(path_in(b"0::/c\n", true), None);
        assert_eq!(path_in(b"x\n\n", false), None);
    }

    #[test]
    fn deaths_are_counted() {
        assert_eq!(oom_kills("low 0\noom 4\noom_kill 3\noom_group_kill 1\n"), Some(3));
        assert_eq!(oom_kills("under_oom 0\n"), None);
    }
}
