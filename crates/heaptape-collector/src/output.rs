//! The tape's file: its name spelt out, made so that nothing else is ever overwritten, and written so
//! that a full disk leaves a whole tape.

use crate::launch::LaunchError;
use crate::sys::fd;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// What the escapes in a tape's name stand for.
pub(crate) struct Names<'a> {
    pub(crate) pid: u32,
    pub(crate) program: &'a OsStr,
    pub(crate) host: &'a str,
    pub(crate) unix_seconds: u64,
}

/// Most numbers tried for `%n`.
const MAX_NUMBER: u32 = 100_000;

/// Spells out `%p` (pid), `%e` (program), `%h` (host), `%t` (seconds since 1970), `%n` (`number`),
/// `%q{VAR}` (environment) and `%%`. Slashes in what is put in become underscores: an escape never
/// leads into another directory. Says whether `%n` was there.
fn spell(template: &Path, names: &Names<'_>, number: u32) -> Result<(PathBuf, bool), String> {
    let mut out = Vec::new();
    let mut numbered = false;
    let mut rest = template.as_os_str().as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let Some((&escape, after)) = rest.split_first() else {
            return Err("the name ends with a single %: write %% for a percent sign".into());
        };
        rest = after;
        let value: Vec<u8> = match escape {
            b'%' => b"%".to_vec(),
            b'p' => names.pid.to_string().into(),
            b'e' => names.program.as_bytes().to_vec(),
            b'h' => names.host.into(),
            b't' => names.unix_seconds.to_string().into(),
            b'n' => {
                numbered = true;
                number.to_string().into()
            }
            b'q' => {
                let braced = rest.strip_prefix(b"{").and_then(|rest| {
                    let end = rest.iter().position(|&b| b == b'}')?;
                    Some((&rest[..end], &rest[end + 1..]))
                });
                let (variable, after) = braced.ok_or("write %q{VARIABLE}")?;
                rest = after;
                std::env::var_os(OsStr::from_bytes(variable))
                    .ok_or_else(|| format!("%q{{{}}}: not set", String::from_utf8_lossy(variable)))?
                    .into_vec()
            }
            other => {
                return Err(format!(
                    "%{} means nothing: use %p %e %h %t %n %q{{VAR}} or %%",
                    char::from(other).escape_default()
                ));
            }
        };
        out.extend(value.iter().map(|&b| if b == b'/' || b == 0 { b'_' } else { b }));
    }
    if out.is_empty() {
        return Err("the name of the tape is empty".into());
    }
    Ok((PathBuf::from(OsString::from_vec(out)), numbered))
}

/// What to do when the name is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Clash {
    /// Say so.
    Refuse,
    /// Replace it, if it is a regular file, by a new one under its name.
    Replace,
    /// Take the next free name: `x.1.tape` beside `x.tape`.
    NextFree,
}

/// A tape's file, just made.
pub(crate) struct Created {
    pub(crate) path: PathBuf,
    /// Where it lies until [`Place::take`], when it is to replace another.
    fresh: Option<PathBuf>,
    pub(crate) file: TapeFile,
    /// The name that was asked for, when it was taken.
    pub(crate) taken: Option<PathBuf>,
}

/// The name of a tape whose program does not run yet.
pub(crate) struct Place {
    path: PathBuf,
    fresh: Option<PathBuf>,
}

impl Created {
    /// The file, and its name to be settled when the program runs.
    pub(crate) fn split(self) -> (Place, TapeFile, Option<PathBuf>) {
        (Place { path: self.path, fresh: self.fresh }, self.file, self.taken)
    }
}

impl Place {
    /// The name.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The program runs: an old tape of that name is replaced now.
    pub(crate) fn take(self) -> io::Result<PathBuf> {
        if let Some(fresh) = &self.fresh {
            fs::rename(fresh, &self.path)?;
        }
        Ok(self.path)
    }

    /// The program does not run: the file goes, an old tape stays.
    pub(crate) fn give_up(self) {
        // What matters is the error that the caller reports.
        let _ = fs::remove_file(self.fresh.as_ref().unwrap_or(&self.path));
    }
}

/// Makes the tape's file, mode 0600 whatever the umask.
pub(crate) fn create(
    template: &Path,
    names: &Names<'_>,
    clash: Clash,
) -> Result<Created, LaunchError> {
    let mut taken: Option<PathBuf> = None;
    for number in 1..=MAX_NUMBER {
        let (mut path, numbered) = spell(template, names, number)
            .map_err(|why| LaunchError::Output { path: template.to_path_buf(), why })?;
        if let Some(taken) = &taken {
            path = beside(taken, number - 1);
        }
        match open_new(&path) {
            Ok(file) => {
                return Ok(Created { path, fresh: None, file: TapeFile::new(file), taken });
            }
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => {
                return Err(LaunchError::Output { path, why: e.to_string() });
            }
            Err(_) if numbered => {}
            Err(_) => match clash {
                Clash::NextFree if taken.is_none() && !is_regular(&path) => {
                    return Err(LaunchError::Exists(path));
                }
                Clash::NextFree => taken = taken.or(Some(path)),
                Clash::Refuse => return Err(LaunchError::Exists(path)),
                Clash::Replace => {
                    let (fresh, file) = beside_old(&path)?;
                    let file = TapeFile::new(file);
                    return Ok(Created { path, fresh: Some(fresh), file, taken });
                }
            },
        }
    }
    Err(LaunchError::Output {
        path: template.to_path_buf(),
        why: format!("all numbers up to {MAX_NUMBER} are taken"),
    })
}

fn is_regular(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.is_file())
}

/// `x.1.tape` for `x.tape` and 1.
fn beside(path: &Path, number: u32) -> PathBuf {
    let mut name = path.file_stem().unwrap_or_default().to_os_string();
    name.push(format!(".{number}"));
    if let Some(extension) = path.extension() {
        name.push(".");
        name.push(extension);
    }
    path.with_file_name(name)
}

fn open_new(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC)
        .open(path)?;
    fd::set_mode(&file, 0o600)?;
    // Tells readers that the tape is being written; where files cannot be locked it only looks cut until its end.
    let _ = file.try_lock();
    Ok(file)
}

/// A new file that is to take the place of an old regular one, under a name of its own until
/// [`Place::take`].
fn beside_old(path: &Path) -> Result<(PathBuf, File), LaunchError> {
    let failed = |why: String| LaunchError::Output { path: path.to_path_buf(), why };
    let old = fs::symlink_metadata(path).map_err(|e| failed(e.to_string()))?;
    if !old.is_file() {
        return Err(failed("it is not a regular file; --force replaces nothing else".into()));
    }
    let random = crate::sys::random_bytes::<8>().map_err(|e| failed(e.to_string()))?;
    let mut fresh = path.as_os_str().to_os_string();
    fresh.push(format!(".{:016x}", u64::from_ne_bytes(random)));
    let fresh = PathBuf::from(fresh);
    let file = open_new(&fresh).map_err(|e| failed(e.to_string()))?;
    Ok((fresh, file))
}

/// The tape's file. One write is written whole or not at all: one that fails is taken back, so that
/// the file ends with the last whole block.
pub(crate) struct TapeFile {
    file: File,
    bytes: u64,
}

impl TapeFile {
    fn new(file: File) -> TapeFile {
        TapeFile { file, bytes: 0 }
    }
}

impl Write for TapeFile {
    fn write(&mut self, block: &[u8]) -> io::Result<usize> {
        match self.file.write_all(block) {
            Ok(()) => {
                self.bytes += block.len() as u64;
                Ok(block.len())
            }
            Err(e) => {
                // If this fails too, the reader salvages what is whole.
                let _ = self.file.set_len(self.bytes);
                Err(e)
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt, symlink};

    fn names() -> Names<'static> {
        Names { pid: 7, program: OsStr::new("ls"), host: "a/b", unix_seconds: 12 }
    }

    fn spelt(template: &str) -> Result<String, String> {
        spell(Path::new(template), &names(), 3).map(|(path, _)| path.to_string_lossy().into_owned())
    }

    #[test]
    fn escapes_are_spelt_out() {
        assert_eq!(spelt("d/heaptape.%e.%p.tape").unwrap(), "d/heaptape.ls.7.tape");
        assert_eq!(spelt("%h-%t-%n-%%").unwrap(), "a_b-12-3-%");
        let home = std::env::var("PATH").unwrap().replace('/', "_");
        assert_eq!(spelt("x%q{PATH}y").unwrap(), format!("x{home}y"));
    }

    #[test]
    fn escapes_that_mean_nothing_are_refused() {
        for bad in ["%", "a%", "%x", "%q", "%q{PATH", "%q{NO_SUCH_VARIABLE_HERE}", "", "%\u{7f}"] {
            assert!(spelt(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn nothing_is_overwritten_without_force() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.tape");
        fs::write(&path, "mine").unwrap();
        assert!(
            matches!(create(&path, &names(), Clash::Refuse), Err(LaunchError::Exists(p)) if p == path)
        );
        assert_eq!(fs::read(&path).unwrap(), b"mine");

        let (place, mut tape, _) = create(&path, &names(), Clash::Replace).unwrap().split();
        tape.write_all(b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"mine", "the program does not run yet");
        place.take().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn the_next_free_name_lies_beside_the_taken_one() {
        let dir = tempfile::tempdir().unwrap();
        for (name, second) in [("t.tape", "t.1.tape"), ("plain", "plain.1"), ("a.b.c", "a.b.1.c")] {
            let path = dir.path().join(name);
            fs::write(&path, "mine").unwrap();
            let made = create(&path, &names(), Clash::NextFree).unwrap();
            let found = made.path;
            assert_eq!(found, dir.path().join(second));
            assert_eq!(made.taken.as_ref(), Some(&path));
            let third = create(&path, &names(), Clash::NextFree).unwrap().path;
            assert!(third != found && third != path);
            assert_eq!(fs::read(&path).unwrap(), b"mine");
        }
    }

    #[test]
    fn only_regular_files_are_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let victim = dir.path().join("victim");
        fs::write(&victim, "mine").unwrap();
        let link = dir.path().join("link");
        symlink(&victim, &link).unwrap();
        assert!(create(&link, &names(), Clash::Replace).is_err());
        assert!(create(dir.path(), &names(), Clash::Replace).is_err());
        assert_eq!(fs::read(&victim).unwrap(), b"mine");
    }

    #[test]
    fn numbers_are_free_ones() {
        let dir = tempfile::tempdir().unwrap();
        let template = dir.path().join("%n");
        for expected in ["1", "2", "3"] {
            let path = create(&template, &names(), Clash::Refuse).unwrap().path;
            assert_eq!(path, dir.path().join(expected));
        }
    }

    #[test]
    fn a_write_that_fails_leaves_whole_blocks() {
        // A device that is always full: the first block cannot be written and is not half there.
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut tape = TapeFile::new(full);
        assert!(tape.write(b"block").is_err());
        assert_eq!(tape.bytes, 0);
    }
}
