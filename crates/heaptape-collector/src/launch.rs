//! Launches a program and records it: what to record, what came of it, what can go wrong.

use crate::book::Book;
use crate::check::{Check, Checks};
use crate::contents::Copied;
use crate::guard::Guard;
use crate::output::{self, Clash, Names, Place, TapeFile};
use crate::preflight::{self, Missing};
use crate::session::{Closing, Session, Settings, Snapshots};
use crate::sys::memory::ProcessMemory;
use crate::sys::signals::{self, Held};
use crate::sys::{clock, fd, priority, spawn};
use crate::workdir::Library;
use heaptape_tape::*;
use heaptape_wire::handshake::*;
use heaptape_wire::layout::PROCESS_BYTES;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Times on the tape are multiples of this many nanoseconds.
const TICK_NS: u64 = 1000;

/// What cannot be done under a hard limit on file sizes, which counts memory as well.
const SHARE_LIMITED: &str = "share memory with the program (the hard limit on file sizes, \
    ulimit -Hf, must allow 18 GB of address space; a soft one, ulimit -Sf, may be lower)";
const _: () = assert!(PROCESS_BYTES < 18_000_000_000);

/// Which processes that the program starts are recorded too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Follow {
    /// Forked ones and executed programs.
    #[default]
    All,
    /// Forked ones, as long as they run the same program.
    Fork,
    /// None.
    None,
}

/// Which frees are recorded with their backtraces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FreeBacktraces {
    /// The first [`FreeBacktraces::FIRST`] of each thread, reallocs included; threads that come one after
    /// another may share them.
    #[default]
    First,
    /// All.
    All,
    /// None.
    None,
}

impl FreeBacktraces {
    /// How many frees the first ones are.
    pub const FIRST: usize = FIRST_FREES;

    /// Its value among a tape's options.
    fn on_tape(self) -> String {
        match self {
            FreeBacktraces::First => format!("first-{FIRST_FREES}"),
            FreeBacktraces::All => "all".to_owned(),
            FreeBacktraces::None => "none".to_owned(),
        }
    }
}

/// What to launch and how to record it.
pub struct Launch {
    /// Program and arguments; the program as the user typed it.
    pub command: Vec<OsString>,
    /// The tape's name. `%p` pid, `%e` program, `%h` host, `%t` seconds since 1970, `%n` a free
    /// number, `%q{VAR}` environment, `%%` a percent sign.
    pub output: PathBuf,
    /// Replace an existing tape.
    pub force: bool,
    /// Without `force`: an existing tape is no error, the new one gets the next free name beside it
    /// (`x.tape`, `x.1.tape`, …) and a warning says so.
    pub next_free: bool,
    /// The image of the preload library; empty: nothing is preloaded.
    pub preload: &'static [u8],
    /// Which children are recorded.
    pub follow: Follow,
    /// Which frees are recorded with their backtraces.
    pub free_backtraces: FreeBacktraces,
    /// Record backtraces at all: without, of frees neither.
    pub backtraces: bool,
    /// Record mmap, munmap, mremap, brk and sbrk.
    pub mmap: bool,
    /// Record a sample only: an allocation of `s` bytes with probability 1 − exp(−`s` / this); 0: everything. At
    /// most [`Launch::MAX_SAMPLE_BYTES`].
    pub sample_bytes: u64,
    /// Time between memory samples; zero: none.
    pub sample_interval: Duration,
    /// Sample the proportional set size too, at most once a second.
    pub pss: bool,
    /// Search for leaks when a process exits or crashes.
    pub leaks: bool,
    /// When to copy the contents of the live blocks onto the tape.
    pub snapshots: Snapshots,
    /// Copy the bytes of the blocks that are live at exit onto the tape.
    pub contents_at_exit: bool,
    /// What allocator the program gets in place of its own.
    pub guard: Guard,
    /// Report fatal signals.
    pub crash: bool,
    /// Compare every backtrace with another unwinder's.
    pub check: Check,
    /// Record until everything the program started has ended, not only the program.
    pub wait_for_all: bool,
    /// The program's standard input, if not the launcher's.
    pub stdin: Option<File>,
    /// The program's standard output, if not the launcher's.
    pub stdout: Option<File>,
    /// Called with the pid when the program runs.
    pub on_start: Option<Box<dyn FnOnce(u32)>>,
    /// Say on standard error what is done behind the scenes.
    pub verbose: bool,
}

impl Launch {
    /// Most of [`Launch::sample_bytes`]: more than any program allocates.
    pub const MAX_SAMPLE_BYTES: u64 = MAX_SAMPLE_BYTES - 1;

    /// A launch with the defaults: everything followed, backtraces of allocations, samples every
    /// 50 ms.
    pub fn new(command: Vec<OsString>, output: PathBuf, preload: &'static [u8]) -> Launch {
        Launch {
            command,
            output,
            force: false,
            next_free: false,
            preload,
            follow: Follow::All,
            free_backtraces: FreeBacktraces::First,
            backtraces: true,
            mmap: false,
            sample_bytes: 0,
            sample_interval: Duration::from_millis(50),
            pss: false,
            leaks: true,
            snapshots: Snapshots::default(),
            contents_at_exit: false,
            guard: Guard::default(),
            crash: true,
            check: Check::Off,
            wait_for_all: false,
            stdin: None,
            stdout: None,
            on_start: None,
            verbose: false,
        }
    }

    /// `OPT_*` for the recorders.
    fn wire_options(&self) -> u32 {
        [
            (self.free_backtraces == FreeBacktraces::First, OPT_FIRST_FREE_BACKTRACES),
            (self.free_backtraces == FreeBacktraces::All, OPT_ALL_FREE_BACKTRACES),
            (self.mmap, OPT_MMAP),
            (self.snapshots.at_exit, OPT_FREEZE_AT_EXIT),
            (self.crash, OPT_CRASH),
            (self.leaks, OPT_LEAKS),
            (self.follow == Follow::All, OPT_FOLLOW_EXEC),
            (!self.backtraces, OPT_NO_BACKTRACES),
        ]
        .into_iter()
        .filter_map(|(wanted, option)| wanted.then_some(option))
        .sum::<u32>()
            | self.check.wire_options()
    }

    fn settings(&self) -> Settings {
        Settings {
            follow: self.follow,
            options: self.wire_options(),
            sample_bytes: self.sample_bytes.min(Launch::MAX_SAMPLE_BYTES),
            guard: self.guard.wire(),
            sample_interval: self.sample_interval,
            pss: self.pss,
            wait_for_all: self.wait_for_all,
            snapshots: self.snapshots.clone(),
        }
    }

    fn header(&self) -> Header {
        let on = |wanted: bool| if wanted { "on" } else { "off" }.to_string();
        let free_backtraces =
            if self.backtraces { self.free_backtraces } else { FreeBacktraces::None };
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Header {
            version: 0,
            writer: concat!("heaptape ", env!("CARGO_PKG_VERSION")).into(),
            tick_ns: TICK_NS,
            epoch_unix_ns: unix.as_nanos() as u64,
            host: fd::host_name(),
            command: self.command.iter().map(|word| word.as_bytes().to_vec()).collect(),
            cwd: std::env::current_dir()
                .map(|cwd| cwd.as_os_str().as_bytes().to_vec())
                .unwrap_or_default(),
            page_size: fd::page_size(),
            sample_bytes: self.sample_bytes.min(Launch::MAX_SAMPLE_BYTES),
            options: vec![
                ("follow".into(), format!("{:?}", self.follow).to_lowercase()),
                ("backtraces".into(), on(self.backtraces)),
                ("free-backtraces".into(), free_backtraces.on_tape()),
                ("mmap".into(), on(self.mmap)),
                ("sample-interval-ms".into(), self.sample_interval.as_millis().to_string()),
                ("pss".into(), on(self.pss)),
                ("leaks".into(), on(self.leaks)),
                ("contents-at-exit".into(), on(self.snapshots.at_exit)),
                ("snapshots".into(), self.snapshots.words()),
            ]
            .into_iter()
            .chain(self.guard.option())
            .collect(),
        }
    }

    /// The environment of the program: the launcher's, and the two variables that lead back here.
    fn environment(
        &self,
        session: &Session,
        library: Option<&Library>,
    ) -> Vec<(OsString, OsString)> {
        let ours = |name: &OsStr| name == ENV || (library.is_some() && name == "LD_PRELOAD");
        let mut env: Vec<_> = std::env::vars_os().filter(|(name, _)| !ours(name)).collect();
        env.push((ENV.into(), session.link()));
        if let Some(library) = library {
            let users = std::env::var_os("LD_PRELOAD");
            env.push(("LD_PRELOAD".into(), library.preload(users.as_deref())));
        }
        env
    }
}

/// What came of a recording.
#[derive(Debug)]
pub struct Outcome {
    /// How the program ended.
    pub ending: Ending,
    /// Its pid.
    pub pid: u32,
    /// The tape.
    pub tape: PathBuf,
    /// Events on it, of all processes.
    pub events: u64,
    /// Its length in bytes.
    pub bytes: u64,
    /// Processes on it.
    pub processes: usize,
    /// Frees and reallocs of what was no live block, in all processes.
    pub unmatched_frees: u64,
    /// Programs that could not be recorded.
    pub unrecorded: Vec<Unrecorded>,
    /// What could not be recorded, over all processes.
    pub losses: Losses,
    /// What came of comparing backtraces, if that was wanted.
    pub checks: Checks,
    /// How blocks were guarded, a process each, where they were to be.
    pub guarded: Vec<Guarded>,
    /// Overwrites that were found.
    pub overwrites: u64,
    /// Sentences the user should read.
    pub warnings: Vec<String>,
    /// Most bytes of records that were out of the program's memory and not yet on the tape.
    pub most_behind: u64,
    /// How long a process waited at its end to be looked at, at most: its history does not count that.
    pub longest_end: Duration,
    /// What was copied of the program's memory.
    pub copied: Copied,
    /// How long the recording took.
    pub elapsed: Duration,
}

/// Why nothing was launched.
#[derive(Debug)]
pub enum LaunchError {
    /// There is no such program.
    NotFound(OsString),
    /// The program cannot be executed, and why.
    NotExecutable(PathBuf, String),
    /// The tape's file exists.
    Exists(PathBuf),
    /// The tape's file cannot be made.
    Output {
        /// Its name.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// Something the launcher needs failed.
    Setup(&'static str, io::Error),
}

impl LaunchError {
    /// The exit status of a launcher that could not launch: as a shell's where a shell has one.
    pub fn exit_code(&self) -> i32 {
        match self {
            LaunchError::NotFound(_) => 127,
            LaunchError::NotExecutable(..) => 126,
            _ => 125,
        }
    }
}

impl fmt::Display for LaunchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LaunchError::NotFound(program) => {
                write!(f, "{}: program not found", program.to_string_lossy())
            }
            LaunchError::NotExecutable(path, why) => {
                write!(f, "{}: cannot be executed: {why}", path.display())
            }
            LaunchError::Exists(path) => {
                write!(f, "{}: exists already; --force replaces it", path.display())
            }
            LaunchError::Output { path, why } => {
                write!(f, "{}: cannot write the tape: {why}", path.display())
            }
            LaunchError::Setup(what, error) => write!(f, "cannot {what}: {error}"),
        }
    }
}

impl std::error::Error for LaunchError {}

/// Launches the program, records it until it ends, and writes the tape.
///
/// When the machine does not let us record (descriptors, memory, file sizes), the program runs all the same,
/// unrecorded, in the launcher's place: this returns only if that is not possible either.
pub fn run(mut launch: Launch) -> Result<Outcome, LaunchError> {
    let began = Instant::now();
    let program = find(launch.command.first().map_or(OsStr::new(""), OsString::as_os_str))?;
    let held = Held::take().map_err(|e| LaunchError::Setup("hold signals back", e))?;
    let old_limit = spawn::raise_open_files();
    let (mut session, mut library) = match prepare(&launch) {
        Ok(prepared) => prepared,
        Err(trouble) => return Err(run_unrecorded(launch, program, &held, old_limit, &trouble)),
    };
    let setup = |what| move |error| LaunchError::Setup(what, error);
    if launch.verbose
        && let Some(library) = &library
    {
        tell(&format!("recorder at {}", library.path().display()));
    }

    // A program that cannot live with the library is not given it. One whose loader ignores it is: its
    // children may be recorded.
    let loading = preflight::loading(program.as_os_str(), Path::new("."));
    let given = library.as_ref().filter(|_| !loading.harmed);
    let environment = launch.environment(&session, given);
    let mut image = spawn::Image::new(&program, &launch.command, environment, held.inherited())
        .map_err(setup("prepare the program"))?;
    image.redirect(launch.stdin.take(), launch.stdout.take());
    image.limit_open_files(old_limit);
    let paused = spawn::fork(&image).map_err(setup("fork"))?;
    let pid = paused.pid();

    let (place, mut book, taken) = match open_tape(&launch, &program, pid) {
        Ok(opened) => opened,
        Err(error) => {
            paused.abandon();
            return Err(error);
        }
    };
    if let Err(error) = paused.exec() {
        // The tape says nothing; what went wrong is said here.
        place.give_up();
        return Err(exec_error(program, &error));
    }
    drop(image);
    let path = place.path().to_path_buf();
    session.set_tape(&path);
    if let Err(error) = place.take() {
        session.warn(format!("{}: could not be replaced: {error}", path.display()));
    }
    if let Some(taken) = taken {
        let (taken, path) = (taken.display(), path.display());
        session.warn(format!("{taken} was there already: this is {path} (--force replaces)"));
    }
    if let Some(on_start) = launch.on_start.take() {
        on_start(pid);
    }

    if let Err(reason) = loading.recordable()
        && !launch.preload.is_empty()
    {
        session.launched_unrecorded(&mut book, pid, program.as_os_str(), reason);
    }

    let ending = session.run(&mut book, &held, pid).map_err(setup("wait for the program"))?;
    let closing = session.close();
    if let Some(library) = library.as_mut().filter(|_| closing.left_running) {
        library.keep();
        if launch.verbose {
            let kept = library.path();
            tell(&format!("processes still run; {} stays for them", kept.display()));
        }
    }
    Ok(conclude(&launch, book, closing, Ended { pid, ending, program, tape: path, began }))
}

/// What recording takes.
fn prepare(launch: &Launch) -> Result<(Session, Option<Library>), LaunchError> {
    let setup = |what| move |error| LaunchError::Setup(what, error);
    // Every process will need one: better known before the program runs.
    ProcessMemory::new().map_err(|error| match error.kind() {
        io::ErrorKind::FileTooLarge => setup(SHARE_LIMITED)(error),
        _ => setup("share memory with the program")(error),
    })?;
    let session =
        Session::open(launch.settings()).map_err(setup("open the recording's address"))?;
    let library = match launch.preload {
        [] => None,
        image => Some(Library::lay(image).map_err(setup("lay down the recorder"))?),
    };
    Ok((session, library))
}

/// Says why nothing is recorded and becomes the program; returns why that was not possible.
fn run_unrecorded(
    mut launch: Launch,
    program: PathBuf,
    held: &Held,
    old_limit: Option<spawn::OpenFiles>,
    trouble: &LaunchError,
) -> LaunchError {
    let environment = std::env::vars_os();
    let mut image =
        match spawn::Image::new(&program, &launch.command, environment, held.inherited()) {
            Ok(image) => image,
            Err(error) => return LaunchError::Setup("prepare the program", error),
        };
    image.redirect(launch.stdin.take(), launch.stdout.take());
    image.limit_open_files(old_limit);
    tell(&format!("{trouble}: the program runs unrecorded"));
    exec_error(program, &spawn::become_in_place(&image))
}

/// A line on standard error. Nobody reading it is no reason to do anything else than without it.
fn tell(line: &str) {
    let _ = writeln!(io::stderr(), "heaptape: {line}");
}

/// The path that will be executed.
fn find(program: &OsStr) -> Result<PathBuf, LaunchError> {
    preflight::resolve(program, Path::new(".")).map_err(|missing| match missing {
        Missing::NotFound => LaunchError::NotFound(program.to_os_string()),
        Missing::NotExecutable(path, why) => LaunchError::NotExecutable(path, why),
    })
}

fn exec_error(program: PathBuf, error: &io::Error) -> LaunchError {
    match error.kind() {
        io::ErrorKind::NotFound => LaunchError::NotFound(program.into_os_string()),
        _ => LaunchError::NotExecutable(program, error.to_string()),
    }
}

fn open_tape(
    launch: &Launch,
    program: &Path,
    pid: u32,
) -> Result<(Place, Book<TapeFile>, Option<PathBuf>), LaunchError> {
    let header = launch.header();
    let names = Names {
        pid,
        program: program.file_name().unwrap_or_default(),
        host: &header.host,
        unix_seconds: header.epoch_unix_ns / 1_000_000_000,
    };
    let clash = match (launch.force, launch.next_free) {
        (true, _) => Clash::Replace,
        (false, true) => Clash::NextFree,
        (false, false) => Clash::Refuse,
    };
    let (place, file, taken) = output::create(&launch.output, &names, clash)?.split();
    let began = clock::monotonic_ns();
    match TapeWriter::packed_after(file, &header, priority::give_way) {
        Ok(writer) => Ok((place, Book::new(writer, began), taken)),
        Err(error) => {
            let path = place.path().to_path_buf();
            place.give_up();
            Err(LaunchError::Output { path, why: error.to_string() })
        }
    }
}

/// What is known when the program has ended.
struct Ended {
    pid: u32,
    ending: Ending,
    program: PathBuf,
    tape: PathBuf,
    began: Instant,
}

/// Ends the tape and tells what came of it.
fn conclude(
    launch: &Launch,
    mut book: Book<TapeFile>,
    mut closing: Closing,
    ended: Ended,
) -> Outcome {
    let (mut events, processes) = (book.events, book.processes() as usize);
    let unmatched_frees = book.unmatched_frees();
    let overwrites = book.overwrites;
    if processes == 0 && !launch.preload.is_empty() && closing.unrecorded.is_empty() {
        closing.warnings.push("no process loaded the recorder: nothing was recorded".into());
    }
    if processes > 0
        && let Some(what) = preflight::blind_spot(ended.program.as_os_str(), Path::new("."))
    {
        closing.warnings.push(format!("{}: {what}", ended.program.display()));
    }
    let written = match closing.broken.take() {
        Some(error) => {
            // Its packer still writes: what is on the tape is known when it has ended.
            drop(book);
            Err(error)
        }
        None => {
            bare_process(launch, &mut book, &ended).and_then(|()| book.writer.finish()).map(drop)
        }
    };
    if let Err(error) = written {
        events = events_on(&ended.tape);
        closing.warnings.push(format!(
            "{}: {error}: the tape is incomplete, the program ran on unrecorded",
            ended.tape.display()
        ));
    }
    Outcome {
        ending: ended.ending,
        pid: ended.pid,
        events,
        bytes: fs::metadata(&ended.tape).map_or(0, |file| file.len()),
        tape: ended.tape,
        processes,
        unmatched_frees,
        unrecorded: closing.unrecorded,
        losses: closing.losses,
        checks: closing.checks,
        guarded: closing.guarded,
        overwrites,
        warnings: closing.warnings,
        most_behind: closing.most_behind as u64,
        longest_end: closing.longest_end,
        copied: closing.copied,
        elapsed: ended.began.elapsed(),
    }
}

/// The events that made it onto a tape.
fn events_on(tape: &Path) -> u64 {
    let Ok(tape) = Tape::open(tape) else { return 0 };
    tape.processes().iter().map(|process| tape.event_count(process.id)).sum()
}

/// A tape on which no process has begun tells at least what the launcher knows.
fn bare_process(launch: &Launch, book: &mut Book<TapeFile>, ended: &Ended) -> io::Result<()> {
    if book.processes() > 0 {
        return Ok(());
    }
    let end = book.time(clock::monotonic_ns());
    let exe = fs::canonicalize(&ended.program).unwrap_or_else(|_| ended.program.clone());
    let id = book.process(Process {
        id: ProcessId(0),
        pid: ended.pid,
        ppid: std::process::id(),
        forked_from: None,
        exe: exe.into_os_string().into_encoded_bytes(),
        argv: launch.command.iter().map(|word| word.as_bytes().to_vec()).collect(),
        start: TimeNs(0),
        end,
        ending: ended.ending,
        losses: Losses::default(),
    })?;
    book.writer.process_end(id, end, ended.ending, &Losses::default())
}

/// Ends this process as the program ended: with its exit status, or by its signal.
pub fn die_as(ending: Ending) -> ! {
    match ending {
        Ending::Exited(code) => std::process::exit(code),
        Ending::Signalled(signal, _) => {
            signals::die_by(signal);
            // Still here: the signal is one that does not kill us.
            std::process::exit(128 + signal)
        }
        Ending::Unknown | Ending::Exec | Ending::Gone | Ending::Running => std::process::exit(125),
    }
}
