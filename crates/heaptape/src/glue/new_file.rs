//! Files that are there whole or not at all.

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// How a file is to be written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    /// It may take the place of another.
    pub(crate) replace: bool,
    /// Nobody but its owner may read it.
    pub(crate) private: bool,
}

/// Writes a new file beside `path` and puts it there when it is whole. Without [`Manner::replace`], the error is
/// [`io::ErrorKind::AlreadyExists`] if something is there by then.
pub(crate) fn write_whole(
    path: &Path,
    manner: Manner,
    content: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> io::Result<()> {
    if manner.replace && is_device(path) {
        // `-o /dev/null` or a pipe: it is written to; nothing may stand in its place.
        let mut out = BufWriter::new(OpenOptions::new().write(true).open(path)?);
        return content(&mut out).and_then(|()| out.flush());
    }
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}.new", std::process::id()));
    let beside = PathBuf::from(beside);
    let mode = if manner.private { 0o600 } else { 0o666 };
    let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&beside)?;
    let mut out = BufWriter::new(file);
    content(&mut out)
        .and_then(|()| out.flush())
        .and_then(|()| publish(&beside, path, manner.replace))
        .inspect_err(|_| {
            let _ = std::fs::remove_file(&beside);
        })
}

/// Whether a device or a pipe is there.
fn is_device(path: &Path) -> bool {
    let kind = std::fs::metadata(path).map(|there| there.file_type());
    kind.is_ok_and(|kind| !kind.is_file() && !kind.is_dir())
}

fn publish(from: &Path, to: &Path, replace: bool) -> io::Result<()> {
    if replace {
        return std::fs::rename(from, to);
    }
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // A file system that cannot promise it.
        Err(Errno::INVAL | Errno::NOSYS) if std::fs::symlink_metadata(to).is_err() => {
            std::fs::rename(from, to)
        }
        Err(Errno::INVAL | Errno::NOSYS) => Err(io::ErrorKind::AlreadyExists.into()),
        result => Ok(result?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    const NEW: Manner = Manner { replace: false, private: false };

    #[test]
    fn a_file_is_whole_or_not_there() {
        let place = tempfile::tempdir().expect("a place for files");
        let path = place.path().join("page.html");
        let failed = write_whole(&path, NEW, |out| {
            out.write_all(b"half")?;
            Err(io::ErrorKind::StorageFull.into())
        });
        assert!(failed.is_err());
        assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
        write_whole(&path, NEW, |out| out.write_all(b"one")).unwrap();
        let again = write_whole(&path, NEW, |out| out.write_all(b"two")).unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&path).unwrap(), b"one");
        let manner = Manner { replace: true, private: true };
        write_whole(&path, manner, |out| out.write_all(b"two")).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 1);
    }

    /// A forced report on /dev/null, by root, had made a file of it.
    #[test]
    fn a_device_stays_one() {
        let place = tempfile::tempdir().expect("a place for files");
        let pipe = place.path().join("pipe");
        rustix::fs::mknodat(CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        let reader = std::thread::spawn({
            let pipe = pipe.clone();
            move || std::fs::read(pipe).unwrap()
        });
        let manner = Manner { replace: true, private: false };
        write_whole(&pipe, manner, |out| out.write_all(b"page")).unwrap();
        assert_eq!(reader.join().unwrap(), b"page");
        assert!(is_device(&pipe));
    }
}
