//! `heaptape install-aliases`: links named vizzytrace, vizzyreport and crunch to this program.
//!
//! A link of ours is renewed; any other file of that name is refused, unless `--force`.

use crate::failure::{Failure, Outcome};
use heaptape_report::text::escape;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The names this program answers to.
const NAMES: [&str; 3] = ["vizzytrace", "vizzyreport", "crunch"];

/// Link vizzytrace, vizzyreport and crunch to this program
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: heaptape install-aliases ~/.local/bin")]
pub(crate) struct Args {
    /// The folder for the links, for example one that is in PATH; it is made where there is none
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// Replace other files of these names (folders never)
    #[arg(short, long)]
    force: bool,
}

pub(crate) fn run(args: Args) -> Outcome {
    let program = std::env::current_exe()
        .map_err(|e| Failure::request(format!("cannot tell where this program is: {e}")))?;
    // All three are looked at before the first is touched.
    for name in NAMES {
        check(&args.dir.join(name), &program, args.force).map_err(Failure::Request)?;
    }
    fs::create_dir_all(&args.dir)
        .map_err(|e| Failure::request(format!("{}: cannot be made: {e}", shown(&args.dir))))?;
    let mut out = io::stdout().lock();
    for name in NAMES {
        let link = args.dir.join(name);
        place(&link, &program)
            .map_err(|e| Failure::request(format!("{}: cannot be linked: {e}", shown(&link))))?;
        writeln!(out, "{} -> {}", shown(&link), shown(&program))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Whether the link may be placed: nothing is there, or a link of ours, or a file and `force`.
fn check(link: &Path, program: &Path, force: bool) -> Result<(), String> {
    match fs::symlink_metadata(link) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(format!("{}: {error}", shown(link))),
        Ok(_) if is_ours(link, program) => Ok(()),
        Ok(metadata) if force && !metadata.is_dir() => Ok(()),
        Ok(_) => Err(format!(
            "{}: is there and is not a link to heaptape; nothing was changed (a file is replaced with --force)",
            shown(link)
        )),
    }
}

/// A link to this program, or to a `heaptape` that has moved away since.
fn is_ours(link: &Path, program: &Path) -> bool {
    fs::read_link(link)
        .is_ok_and(|target| target == program || target.file_name() == program.file_name())
}

/// Links beside the name and renames, so that at no moment there is none.
fn place(link: &Path, program: &Path) -> io::Result<()> {
    let mut beside = link.as_os_str().to_owned();
    beside.push(format!(".{}.new", std::process::id()));
    symlink(program, &beside)?;
    fs::rename(&beside, link).inspect_err(|_| {
        let _ = fs::remove_file(&beside);
    })
}

fn shown(path: &Path) -> String {
    escape(path.as_os_str().as_encoded_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn install(dir: &Path, force: bool) -> Outcome {
        run(Args { dir: dir.to_owned(), force })
    }

    #[test]
    fn links_are_made_and_renewed() {
        let dir = tempfile::tempdir().expect("a place for files");
        let program = std::env::current_exe().expect("we run");
        symlink(
            Path::new("/gone").join(program.file_name().expect("a file")),
            dir.path().join("crunch"),
        )
        .expect("linkable");
        for _ in 0..2 {
            install(dir.path(), false).expect("nothing foreign in the way");
            for name in NAMES {
                assert_eq!(fs::read_link(dir.path().join(name)).expect("a link"), program);
            }
        }
        assert_eq!(fs::read_dir(dir.path()).expect("readable").count(), NAMES.len());
    }

    #[test]
    fn foreign_files_are_refused_before_anything_is_touched() {
        let dir = tempfile::tempdir().expect("a place for files");
        fs::write(dir.path().join("crunch"), "mine").expect("writable");
        assert!(install(dir.path(), false).is_err());
        assert_eq!(fs::read_dir(dir.path()).expect("readable").count(), 1);
        install(dir.path(), true).expect("forced");
        assert!(fs::read_link(dir.path().join("crunch")).is_ok());
    }

    #[test]
    fn a_folder_is_never_replaced() {
        let dir = tempfile::tempdir().expect("a place for files");
        fs::create_dir(dir.path().join("crunch")).expect("writable");
        assert!(install(dir.path(), true).is_err());
    }

    #[test]
    fn a_missing_folder_is_made() {
        let dir = tempfile::tempdir().expect("a place for files");
        let bin = dir.path().join("home/bin");
        install(&bin, false).expect("made");
        assert_eq!(fs::read_dir(bin).expect("readable").count(), NAMES.len());
        fs::write(dir.path().join("file"), "").expect("writable");
        assert!(install(&dir.path().join("file"), true).is_err());
    }
}
