//! The folder `crunch_out`: made anew for each run, readable by its owner only.
//!
//! What an earlier run left is removed, and nothing else: a folder that holds anything crunch does not
//! write, that is someone else's, or that is a link, is refused untouched. All of it goes through the
//! opened folder, so that it stays the one that was checked.

use heaptape_report::text::escape;
use rustix::fs::{AtFlags, CWD, Dir, FileType, FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use std::ffi::CStr;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// The folder's name.
const NAME: &str = "crunch_out";
/// The folder in it that holds a file for every remaining block.
const HEAP: &str = "heap";
/// The recording.
const TAPE: &str = "recording.tape";
/// Every other file that is written into it.
const FILES: [&str; 4] = ["stats", "fatal", "report.html", TAPE];

const PRIVATE_DIR: Mode = Mode::RWXU;
const PRIVATE_FILE: Mode = Mode::RUSR.union(Mode::WUSR);

/// An empty `crunch_out`, ours for this run.
#[derive(Debug)]
pub(crate) struct CrunchOut {
    path: PathBuf,
    dir: OwnedFd,
    heap: OwnedFd,
}

impl CrunchOut {
    /// Makes `crunch_out` in `parent`, in place of one that an earlier run left. The error is a sentence
    /// for the user.
    pub(crate) fn create(parent: &Path) -> Result<CrunchOut, String> {
        let path = parent.join(NAME);
        CrunchOut::open(path.clone())
            .map_err(|why| format!("{}: {why}", escape(path.as_os_str().as_encoded_bytes())))
    }

    fn open(path: PathBuf) -> Result<CrunchOut, String> {
        match rustix::fs::mkdir(&path, PRIVATE_DIR) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(format!("cannot be made: {error}")),
        }
        let dir = open_dir(CWD, &path).map_err(|error| match error {
            Errno::LOOP | Errno::NOTDIR => {
                "is not a folder; crunch does not replace it. Remove it first".to_owned()
            }
            error => error.to_string(),
        })?;
        claim(&dir)?;
        check(&dir, |name, kind| match kind {
            FileType::Directory => name == HEAP.as_bytes(),
            FileType::RegularFile => FILES.iter().any(|file| name == file.as_bytes()),
            _ => false,
        })?;
        let heap = open_heap(&dir)?;
        check(&heap, |name, kind| kind == FileType::RegularFile && is_block_name(name))?;
        empty(&heap).and_then(|()| empty(&dir)).map_err(|e| format!("cannot be emptied: {e}"))?;
        Ok(CrunchOut { path, dir, heap })
    }

    /// Where the recording goes.
    pub(crate) fn tape(&self) -> PathBuf {
        self.path.join(TAPE)
    }

    /// The folder with the blocks.
    pub(crate) fn heap(&self) -> PathBuf {
        self.path.join(HEAP)
    }

    /// Writes one of its files.
    pub(crate) fn write(
        &self,
        name: &str,
        content: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> io::Result<PathBuf> {
        let mut file = BufWriter::new(create_file(&self.dir, name)?);
        content(&mut file)?;
        file.flush()?;
        Ok(self.path.join(name))
    }

    /// Writes the bytes of the block at `addr`.
    pub(crate) fn write_block(&self, addr: u64, bytes: &[u8]) -> io::Result<()> {
        create_file(&self.heap, &block_name(addr))?.write_all(bytes)
    }
}

fn open_dir(
    parent: impl std::os::fd::AsFd,
    path: impl rustix::path::Arg,
) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(parent, path, flags, Mode::empty())
}

fn open_heap(dir: &OwnedFd) -> Result<OwnedFd, String> {
    match rustix::fs::mkdirat(dir, HEAP, PRIVATE_DIR) {
        Ok(()) | Err(Errno::EXIST) => open_dir(dir, HEAP).map_err(|e| format!("heap: {e}")),
        Err(error) => Err(format!("heap: {error}")),
    }
}

/// Makes sure that the folder is this user's, that no other run is using it, and that nobody else reads it.
fn claim(dir: &OwnedFd) -> Result<(), String> {
    let owner = rustix::fs::fstat(dir).map_err(|e| e.to_string())?.st_uid;
    if owner != rustix::process::geteuid().as_raw() {
        return Err(format!("belongs to user {owner}; run crunch in a folder of your own"));
    }
    // Other errors: a file system without locks, where two runs at once are the user's own affair.
    if rustix::fs::flock(dir, FlockOperation::NonBlockingLockExclusive) == Err(Errno::WOULDBLOCK) {
        return Err("another crunch is writing here; wait for it".into());
    }
    rustix::fs::fchmod(dir, PRIVATE_DIR).map_err(|e| e.to_string())
}

/// Names the first entry of the folder that crunch would not have written.
fn check(dir: &OwnedFd, ours: impl Fn(&[u8], FileType) -> bool) -> Result<(), String> {
    for_each_entry(dir, |name, kind| match ours(name.to_bytes(), kind) {
        true => Ok(()),
        false => Err(Stranger::Entry(escape(name.to_bytes()))),
    })
    .map_err(|stranger| match stranger {
        Stranger::Entry(name) => format!(
            "holds {name}, which is not crunch's; crunch replaces only what it wrote. Move it away first"
        ),
        Stranger::Unreadable(error) => error.to_string(),
    })
}

enum Stranger {
    Entry(String),
    Unreadable(Errno),
}

impl From<Errno> for Stranger {
    fn from(error: Errno) -> Stranger {
        Stranger::Unreadable(error)
    }
}

/// Removes every file of the folder; folders in it stay.
fn empty(dir: &OwnedFd) -> Result<(), Errno> {
    for_each_entry(dir, |name, kind| match kind {
        FileType::Directory => Ok(()),
        _ => rustix::fs::unlinkat(dir, name, AtFlags::empty()),
    })
}

fn for_each_entry<E: From<Errno>>(
    dir: &OwnedFd,
    mut visit: impl FnMut(&CStr, FileType) -> Result<(), E>,
) -> Result<(), E> {
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let stat = rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?;
        visit(name, FileType::from_raw_mode(stat.st_mode))?;
    }
    Ok(())
}

fn create_file(dir: &OwnedFd, name: &str) -> io::Result<File> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(File::from(rustix::fs::openat(dir, name, flags, PRIVATE_FILE)?))
}

fn block_name(addr: u64) -> String {
    format!("{addr:#x}")
}

fn is_block_name(name: &[u8]) -> bool {
    name.strip_prefix(b"0x")
        .is_some_and(|digits| !digits.is_empty() && digits.iter().all(u8::is_ascii_hexdigit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn fill(out: &CrunchOut) {
        out.write("stats", |w| w.write_all(b"1\n0\n4\n4\n")).expect("writable");
        out.write_block(0x5000, b"abcd").expect("writable");
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("it is there").permissions().mode() & 0o777
    }

    #[test]
    fn a_second_run_replaces_the_first() {
        let parent = tempfile::tempdir().expect("a place for files");
        let first = CrunchOut::create(parent.path()).expect("nothing in the way");
        fill(&first);
        assert_eq!(fs::read(first.heap().join("0x5000")).expect("readable"), b"abcd");
        drop(first);

        let second = CrunchOut::create(parent.path()).expect("only crunch's files in the way");
        assert!(!second.path.join("stats").exists());
        assert!(!second.heap().join("0x5000").exists());
        fill(&second);
        assert_eq!(mode(&second.path), 0o700);
        assert_eq!(mode(&second.heap()), 0o700);
        assert_eq!(mode(&second.path.join("stats")), 0o600);
        assert_eq!(mode(&second.heap().join("0x5000")), 0o600);
    }

    #[test]
    fn what_crunch_did_not_write_is_left_alone() {
        for (foreign, in_heap) in [("notes.txt", false), ("0x5000", false), ("stats", true)] {
            let parent = tempfile::tempdir().expect("a place for files");
            let out = CrunchOut::create(parent.path()).expect("nothing in the way");
            fill(&out);
            let folder = if in_heap { out.heap() } else { out.path.clone() };
            fs::write(folder.join(foreign), "mine").expect("writable");
            drop(out);
            let refusal = CrunchOut::create(parent.path()).expect_err("a foreign file is there");
            assert!(refusal.contains(foreign), "{refusal}");
            assert!(parent.path().join("crunch_out/stats").exists());
            assert!(parent.path().join("crunch_out/heap/0x5000").exists());
        }
    }

    #[test]
    fn links_are_not_followed() {
        let parent = tempfile::tempdir().expect("a place for files");
        let elsewhere = tempfile::tempdir().expect("a place for files");
        fs::write(elsewhere.path().join("stats"), "mine").expect("writable");
        symlink(elsewhere.path(), parent.path().join(NAME)).expect("linkable");
        let refusal = CrunchOut::create(parent.path()).expect_err("a link is there");
        assert!(refusal.contains("not a folder"), "{refusal}");
        assert!(elsewhere.path().join("stats").exists());
    }

    #[test]
    fn a_linked_file_inside_is_refused() {
        let parent = tempfile::tempdir().expect("a place for files");
        let path = parent.path().join(NAME);
        fs::create_dir(&path).expect("writable");
        symlink("/etc/passwd", path.join("stats")).expect("linkable");
        let refusal = CrunchOut::create(parent.path()).expect_err("a link is there");
        assert!(refusal.contains("stats"), "{refusal}");
    }

    #[test]
    fn two_runs_at_once_are_kept_apart() {
        let parent = tempfile::tempdir().expect("a place for files");
        let _first = CrunchOut::create(parent.path()).expect("nothing in the way");
        let refusal = CrunchOut::create(parent.path()).expect_err("the first still writes");
        assert!(refusal.contains("another crunch"), "{refusal}");
    }
}
