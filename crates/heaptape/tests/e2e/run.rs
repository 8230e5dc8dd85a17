//! Runs a command to its end, bare or recorded, and keeps all it left behind.

use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Nothing here takes more than seconds: after this a run is taken for hanging.
const PATIENCE: Duration = Duration::from_secs(120);

/// What a run left behind.
pub(crate) struct Outcome {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// The pages of all processes, in the order they were written; empty when none was.
    pub(crate) ledger: String,
    /// Where the run took place: its working directory.
    pub(crate) folder: tempfile::TempDir,
}

impl Outcome {
    /// Where the tape of a recorded run is.
    pub(crate) fn tape(&self) -> PathBuf {
        self.folder.path().join("T.tape")
    }
}

/// Runs `words` as it is.
pub(crate) fn bare(words: &[OsString]) -> Outcome {
    run(|_| words.to_vec())
}

/// Runs `words` under `heaptape run` with these options.
pub(crate) fn recorded(options: &[&str], words: &[OsString]) -> Outcome {
    run(|folder| {
        let mut all: Vec<OsString> = recorder(folder).into();
        all.extend(options.iter().map(OsString::from));
        all.push("--".into());
        all.extend_from_slice(words);
        all
    })
}

/// The words of `heaptape run -o T.tape` in `folder`.
fn recorder(folder: &std::path::Path) -> [OsString; 4] {
    let tape = folder.join("T.tape");
    [env!("CARGO_BIN_EXE_heaptape").into(), "run".into(), "-o".into(), tape.into()]
}

/// Runs a shell script, in which `$W` stands before the command in question; `$W` is empty or the
/// words that record it.
pub(crate) fn script(text: &str, record: bool) -> Outcome {
    run(|folder| {
        let prefix = recorder(folder).join(" ".as_ref());
        let mut text: OsString = if record {
            text.replace("$W", &format!("{} --", prefix.to_str().expect("a plain path"))).into()
        } else {
            text.replace("$W", "").into()
        };
        text.push("\n");
        vec!["bash".into(), "-c".into(), text]
    })
}

fn run(words: impl FnOnce(&std::path::Path) -> Vec<OsString>) -> Outcome {
    let folder = tempfile::tempdir().expect("a scratch folder");
    // The argument `{folder}` stands for an empty directory of this run.
    let inside = folder.path().join("inside");
    fs::create_dir(&inside).expect("a folder");
    let words: Vec<OsString> = words(folder.path())
        .into_iter()
        .map(|word| if word == "{folder}" { inside.clone().into() } else { word })
        .collect();
    // A program that changes its root writes its ledger there.
    let rooted = words.last().is_some_and(|word| *word == inside);
    let ledger = if rooted { &inside } else { folder.path() }.join("ledger");
    // Files, not pipes: a daemon that outlives the run must not keep us reading.
    let file = |name: &str| File::create(folder.path().join(name)).expect("an output file");
    let child = Command::new(&words[0])
        .args(&words[1..])
        .current_dir(folder.path())
        .env("LEDGER", &ledger)
        .env("LC_ALL", "C")
        .env("TZ", "UTC")
        .env_remove("LD_PRELOAD")
        .stdin(Stdio::null())
        .stdout(file("stdout"))
        .stderr(file("stderr"))
        .process_group(0)
        .spawn()
        .unwrap_or_else(|error| panic!("{words:?}: {error}"));
    let status = wait(child, &words);
    let text = |name: &str| {
        String::from_utf8_lossy(&fs::read(folder.path().join(name)).unwrap_or_default())
            .into_owned()
    };
    Outcome {
        status,
        stdout: text("stdout"),
        stderr: text("stderr"),
        ledger: fs::read_to_string(&ledger).unwrap_or_default(),
        folder,
    }
}

/// Waits for the end; after [`PATIENCE`] kills the whole group and fails.
fn wait(mut child: Child, words: &[OsString]) -> ExitStatus {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("our own child") {
            return status;
        }
        if start.elapsed() > PATIENCE {
            let group = format!("-{}", child.id());
            let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
            let _ = child.wait();
            panic!("hangs: {words:?}");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
