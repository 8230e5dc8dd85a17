//! Real programs behave the same with and without recording, and nothing is lost.

use super::check::{lost_nothing, open};
use super::history::replay;
use super::{run, wrong};
use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt;

/// Runs the script bare and recorded; every process of the tape must replay without a contradiction.
fn same(script: &str) -> heaptape_tape::Tape {
    let bare = run::script(script, false);
    let recorded = run::script(script, true);
    let said = format!("stderr: {}", recorded.stderr);
    assert_eq!(bare.stdout, recorded.stdout, "stdout; {said}");
    assert_eq!(bare.status.code(), recorded.status.code(), "exit code; {said}");
    assert_eq!(bare.status.signal(), recorded.status.signal(), "signal; {said}");
    let tape = open(&recorded);
    lost_nothing(&tape, true);
    wrong::none(&recorded.tape());
    for process in tape.processes() {
        replay(&tape, process.id, &BTreeSet::new());
    }
    assert!(tape.processes().iter().any(|process| tape.event_count(process.id) > 0));
    tape
}

#[test]
fn python() {
    same(
        r#"$W python3 -c '
import json, hashlib, threading, subprocess
rows = [{"n": i, "text": str(i) * 9} for i in range(5000)]
threads = [threading.Thread(target=lambda: json.loads(json.dumps(rows))) for _ in range(4)]
[t.start() for t in threads]; [t.join() for t in threads]
print(hashlib.sha256(json.dumps(rows).encode()).hexdigest())
print(subprocess.run(["echo", "child"], capture_output=True).stdout)
'"#,
    );
}

#[test]
fn python_that_forks_workers() {
    same(
        r#"$W python3 -c '
import multiprocessing
pool = multiprocessing.get_context("fork").Pool(3)
print(sum(pool.map(abs, range(-2000, 0))))
pool.close(); pool.join()
'"#,
    );
}

#[test]
fn perl() {
    same(
        r#"$W perl -e '
my %h; for my $i (1..30000) { $h{"k$i"} = "v" x ($i % 50) }
my $s = 0; $s += length $h{$_} for sort keys %h; print "$s\n"'"#,
    );
}

#[test]
fn perl_that_forks() {
    same(
        r#"$W perl -e '
my $s = 0;
for (1..40) { my $p = fork; if (!$p) { my @a = map { "x" x $_ } 1..200; exit(@a % 7) }
  waitpid $p, 0; $s += $? >> 8 }
print "$s\n"'"#,
    );
}

#[test]
fn git() {
    same(
        r#"export HOME=$PWD GIT_CONFIG_NOSYSTEM=1
git init -q r && cd r && git config user.email a@b && git config user.name n
for i in $(seq 40); do echo $i >f$i; done; git add .
export GIT_AUTHOR_DATE="2020-01-01T00:00:00Z" GIT_COMMITTER_DATE="2020-01-01T00:00:00Z"
git commit -qm x
$W git log -p"#,
    );
}

#[test]
fn a_compiler() {
    same(
        r#"printf '#include <stdio.h>\n#include <stdlib.h>\nint main(){return puts("x");}\n' >a.c
$W gcc -O1 -S -o a.s a.c; echo $?; md5sum <a.s"#,
    );
}

#[test]
fn sqlite() {
    same(
        r#"$W sqlite3 :memory: "create table t(a integer primary key, b text);
with recursive c(x) as (select 1 union all select x+1 from c where x < 20000)
insert into t select x, hex(x*7919) from c;
create index i on t(b); select count(*), sum(length(b)), max(b) from t;""#,
    );
}

#[test]
fn a_shell_that_forks() {
    // bash brings its own malloc: what it does with it is recorded by its exported functions or not
    // at all, but its children and output are its own.
    same(
        r#"$W bash -c 'for i in {1..60}; do x=$(echo $i | tr 0-9 a-j); s=$s$x; done; echo $s; exit 3'"#,
    );
}

#[test]
fn a_pipeline_of_tools() {
    same(
        r#"mkdir d; for i in $(seq 50); do seq $i >d/$i; done
$W sh -c 'tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -c d | xz -T2 | xz -d | md5sum
seq 50000 | sort -R --random-source=/bin/sh | sort -n --parallel=2 | tail -1
find d -type f | LC_ALL=C sort | head -3'"#,
    );
}

#[test]
fn make_with_jobs() {
    same(
        r#"printf 'all:%s\nt%%:;@echo $* >o$*\n' "$(seq -f ' t%g' -s '' 30)" >Makefile
$W make -s -j4; cat o* | sort -n | tail -2"#,
    );
}

#[test]
fn an_interpreter_killed_from_within() {
    same(r#"$W perl -e 'my @a; for (1..20000) { push @a, "x" x 20 } kill 9, $$'; echo $?"#);
}

#[test]
fn standard_streams_closed() {
    same(
        r#"$W perl -e 'print STDERR "x"; open(F, ">", "f"); print F fileno(F); close F' <&- >&- 2>&-
cat f"#,
    );
}

#[test]
fn a_loader_run_as_a_program() {
    let recorded = run::script("$W /lib64/ld-linux-x86-64.so.2 /bin/echo by hand", true);
    assert_eq!(recorded.stdout, "by hand\n", "{}", recorded.stderr);
    assert_eq!(recorded.status.code(), Some(0));
}
