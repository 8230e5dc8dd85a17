//! The programs that are recorded: small ones of our own, each one way of using memory, and real ones.

use super::Bench;
use super::needs::{self, Programs};
use super::options::Options;
use crate::command::{checked, output, root};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A program to record.
pub(super) struct Workload {
    pub(super) name: &'static str,
    pub(super) command: Vec<String>,
    /// Beside what all workloads get.
    pub(super) environment: &'static [(&'static str, &'static str)],
    /// A shell script that uses the program from outside while it runs, and ends it.
    pub(super) client: Option<String>,
    /// Whether it does the same each time, to the event.
    pub(super) same_events: bool,
}

/// Our own programs: name, program, arguments of the whole and of the short bench. Bare, the whole takes 0.1 to
/// 0.5 s.
const OWN: [(&str, &str, &str, &str); 11] = [
    ("tree", "tree", "5 1 5", "1 1 4"),
    ("tree, 2 threads", "tree", "5 2 5", "1 2 4"),
    ("pairs (python-like)", "pairs", "6000000 1", "100000 1"),
    ("pairs, 2 threads", "pairs", "3000000 2", "50000 2"),
    ("compiler-like", "compiler", "400", "30"),
    ("stress", "stress", "40000 1", "3000 1"),
    (STRESS_THREADS, "stress", "20000 2", "2000 2"),
    ("deep (200 frames)", "deep", "3000", "200"),
    ("storm, 2 threads", "storm", "1000000 2", "50000 2"),
    ("storm, 8 threads", "storm", "250000 8", "10000 8"),
    ("growth (realloc)", "growth", "300", "10"),
];

/// Its threads load one library: who is first allocates.
const STRESS_THREADS: &str = "stress, 2 threads";

/// The names of workloads that goals speak of.
pub(super) const PYTHON: &str = "python3 json";
pub(super) const TREE: &str = "tree";
pub(super) const GCC: &str = "cc1plus -O2";
pub(super) const SQLITE: &str = "sqlite3";
pub(super) const CLANG: &str = "clang++ -O1";
pub(super) const PERL: &str = "perl hash";
pub(super) const GIT: &str = "git log --stat";
pub(super) const PAIRS: &str = "pairs (python-like)";
pub(super) const PAIRS_THREADS: &str = "pairs, 2 threads";

/// All that were asked for and can be run; a note for each that cannot. Builds what they need.
pub(super) fn all(
    bench: &Bench,
    options: &Options,
    programs: &Programs,
    notes: &mut Vec<String>,
) -> Result<Vec<Workload>, String> {
    let all = chosen(bench, options.short, &|name| options.wants(name), programs, notes)?;
    if all.is_empty() { Err("bench: there is no such workload".into()) } else { Ok(all) }
}

/// All whose names are wanted and can be run; a note for each that cannot. Builds what they need.
pub(super) fn chosen(
    bench: &Bench,
    short: bool,
    wanted: &dyn Fn(&str) -> bool,
    programs: &Programs,
    notes: &mut Vec<String>,
) -> Result<Vec<Workload>, String> {
    build_tools(bench)?;
    let mut all = Vec::new();
    for (name, program, whole, small) in OWN {
        if wanted(name) {
            let program = built(bench, program)?.display().to_string();
            let arguments = if short { small } else { whole };
            let words = [&program].into_iter().map(String::as_str).chain(arguments.split(' '));
            all.push(Workload {
                same_events: name != STRESS_THREADS,
                ..plain(name, words.map(str::to_owned).collect())
            });
        }
    }
    for (needed, real) in real(bench, programs, short)? {
        if !wanted(real.name) {
        } else if programs.has(needed) {
            all.push(real);
        } else {
            notes.push(format!("{}: skipped, {needed} is not installed", real.name));
        }
    }
    Ok(all)
}

fn plain(name: &'static str, command: Vec<String>) -> Workload {
    Workload { name, command, environment: &[], client: None, same_events: false }
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// Real programs, each with the one that must be installed. The short bench leaves out the slow ones.
fn real(
    bench: &Bench,
    programs: &Programs,
    short: bool,
) -> Result<Vec<(&'static str, Workload)>, String> {
    let commits = if short { 40 } else { 1500 };
    let repository = bench.scratch.join(format!("history-{commits}"));
    if programs.has("git") && !repository.exists() {
        make_history(bench, &repository, commits)?;
    }
    let records = if short { "500" } else { "20000" };
    let python = Workload {
        environment: &[("PYTHONMALLOC", "malloc"), ("PYTHONHASHSEED", "0")],
        ..plain(PYTHON, owned(&[needs::PYTHON, &source("documents.py"), records]))
    };
    let perl_hash = Workload {
        environment: &[("PERL_HASH_SEED", "0"), ("PERL_PERTURB_KEYS", "0")],
        ..plain(PERL, owned(&["perl", "-e", &perl(short)]))
    };
    let mut real = vec![
        (needs::PYTHON, python),
        ("sqlite3", plain(SQLITE, owned(&["sqlite3", ":memory:", &sql(short)]))),
        ("perl", perl_hash),
        ("git", git_log(&repository)),
    ];
    if short {
        return Ok(real);
    }
    let cc1plus = output(Command::new("g++").arg("-print-prog-name=cc1plus"))?;
    let include = output(Command::new("g++").arg("-print-multiarch"))?;
    let compile =
        format!("{} -quiet -O2 -D_GNU_SOURCE -imultiarch {}", cc1plus.trim(), include.trim());
    let words = compile.split_whitespace().map(str::to_owned);
    // Of larger sources, Debian's heaptrack_interpret 1.4.0 dies with bad_alloc.
    let gcc = words.chain(owned(&[&source("tree.cpp"), "-o", "/dev/null"])).collect();
    let clang = ["clang++", "-std=c++17", "-O1", "-c", "-o", "/dev/null", &source("big.cpp")];
    real.push(("g++", plain(GCC, gcc)));
    real.push(("clang++", plain(CLANG, owned(&clang))));
    real.push(("redis-benchmark", redis(bench)));
    Ok(real)
}

fn sql(short: bool) -> String {
    let rows = if short { 4000 } else { 300_000 };
    format!(
        "create table t(a integer primary key,b text);with recursive c(x) as(select 1 union all \
         select x+1 from c where x<{rows}) insert into t select x,hex(x*7919) from c;create index \
         i on t(b);select count(*),max(b) from t;"
    )
}

fn perl(short: bool) -> String {
    let keys = if short { 5000 } else { 300_000 };
    format!(
        "my %h;for my $i(1..{keys}){{$h{{\"k$i\"}}=\"v\" x ($i%50)}}my $s=0;$s+=length($h{{$_}}) for \
         sort keys %h;print \"$s\\n\""
    )
}

fn git_log(repository: &Path) -> Workload {
    let folder = repository.display().to_string();
    let words = ["git", "-C", &folder, "log", "--stat", "--no-color", "main"];
    let environment = &[("GIT_CONFIG_GLOBAL", "/dev/null"), ("GIT_CONFIG_NOSYSTEM", "1")];
    Workload { environment, ..plain(GIT, owned(&words)) }
}

/// A repository that is the same each time.
fn make_history(bench: &Bench, repository: &Path, commits: u32) -> Result<(), String> {
    // Made beside and moved, so that one that was interrupted is not taken for whole.
    let unfinished = bench.scratch.join("history-unfinished");
    let _ = fs::remove_dir_all(&unfinished);
    let stream = bench.scratch.join("history");
    fs::write(&stream, history(commits)).map_err(|e| e.to_string())?;
    checked(Command::new("git").args(["init", "-q", "--bare"]).arg(&unfinished))?;
    let input = fs::File::open(&stream).map_err(|e| e.to_string())?;
    let mut import = Command::new("git");
    import.arg("-C").arg(&unfinished).args(["fast-import", "--quiet"]).stdin(input);
    checked(&mut import)?;
    fs::rename(&unfinished, repository).map_err(|e| e.to_string())
}

/// A made-up history for `git fast-import`: each commit changes a few lines of five of fifty files.
fn history(commits: u32) -> String {
    let mut text = String::new();
    for commit in 0..commits {
        let message = format!("Change number {commit}");
        let _ = write!(
            text,
            "commit refs/heads/main\ncommitter A <a@b.c> {} +0000\ndata {}\n{message}\n",
            1_700_000_000 + commit * 60,
            message.len()
        );
        for part in 0..5 {
            let file = (commit * 7 + part * 11) % 50;
            let lines = (0..60).map(|line| {
                let changed = (line * 13 + commit) % 60 < 4;
                format!("line {line} of {file}: {}\n", if changed { commit } else { 0 })
            });
            let content: String = lines.collect();
            let _ =
                write!(text, "M 100644 inline src/{file}.txt\ndata {}\n{content}\n", content.len());
        }
    }
    text
}

/// A server under load: what is measured is the server; the client runs beside it.
fn redis(bench: &Bench) -> Workload {
    let socket = bench.scratch.join("redis.socket").display().to_string();
    let server = ["redis-server", "--port", "0", "--unixsocket", &socket, "--save", ""];
    let client = format!(
        "i=0; until redis-cli -s {socket} ping; do i=$((i+1)); [ $i -lt 200 ] || exit 1; sleep 0.02; done\n\
         redis-benchmark -s {socket} -q -n 30000 -c 8 -P 4 -r 20000 -d 100 -t set,get,lpush,lpop,sadd,hset,zadd\n\
         redis-cli -s {socket} shutdown nosave"
    );
    let more = ["--appendonly", "no", "--daemonize", "no", "--dir"];
    let mut command = owned(&[&server[..], &more[..]].concat());
    command.push(bench.scratch.display().to_string());
    Workload { client: Some(client), ..plain("redis-server", command) }
}

/// The program that measures, and the library that counts.
fn build_tools(bench: &Bench) -> Result<(), String> {
    let compile = |words: &[&str], from: &str, to: &str| {
        let mut command = Command::new("gcc");
        checked(command.args(words).arg("-o").arg(bench.scratch.join(to)).arg(source(from)))
    };
    compile(&["-O2", "-static"], "measure.c", "measure")?;
    let library = ["-O2", "-shared", "-fPIC", "-ftls-model=initial-exec"];
    compile(&library, "count.c", "count.so")
}

/// Compiles one of our own programs.
pub(super) fn built(bench: &Bench, program: &str) -> Result<PathBuf, String> {
    built_with(bench, program, &[], "")
}

/// Compiles one of our own programs with more options, as a program whose name is longer by `suffix`.
pub(super) fn built_with(
    bench: &Bench,
    program: &str,
    options: &[&str],
    suffix: &str,
) -> Result<PathBuf, String> {
    let is_c = Path::new(&source(&format!("{program}.c"))).exists();
    let (compiler, extension) = if is_c { ("gcc", "c") } else { ("g++", "cpp") };
    let to = bench.scratch.join(format!("{program}{suffix}"));
    let mut command = Command::new(compiler);
    command.args(["-O2", "-g", "-pthread"]).args(options).arg("-o").arg(&to);
    checked(command.arg(source(&format!("{program}.{extension}"))))?;
    Ok(to)
}

fn source(name: &str) -> String {
    root().join("bench/workloads").join(name).display().to_string()
}
