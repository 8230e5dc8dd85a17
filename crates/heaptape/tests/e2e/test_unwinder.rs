//! `HEAPTAPE_CHECK`: every backtrace of a program is that of the plain walk, and that of libgcc.

use super::build;
use super::run;
use std::path::Path;

/// What the check said.
#[derive(Debug)]
struct Said {
    checked: u64,
    differing: u64,
    unknown_to_libgcc: u64,
}

/// Runs a script whose `$W` is `heaptape run` with `HEAPTAPE_CHECK=mode`, in a target that has libgcc.
fn checked(mode: &str, script: &str) -> Said {
    let environment = format!("HEAPTAPE_CHECK={mode} LD_PRELOAD=libgcc_s.so.1 $W");
    let outcome = run::script(&script.replace("$W", &environment), true);
    let line = outcome
        .stderr
        .lines()
        .find(|line| line.contains("checked, "))
        .unwrap_or_else(|| panic!("no word of the check: {}", outcome.stderr));
    let numbers: Vec<u64> =
        line.split(' ').filter_map(|word| word.replace(',', "").parse().ok()).collect();
    let said = Said {
        checked: numbers[0],
        differing: numbers[1],
        unknown_to_libgcc: numbers.get(2).copied().unwrap_or(0),
    };
    assert_eq!(said.differing, 0, "{}", outcome.stderr);
    assert_ne!(outcome.status.code(), Some(125), "{}", outcome.stderr);
    said
}

/// All backtraces agree, and of nearly all libgcc knows as much as we.
fn agrees(script: &str) {
    let walk = checked("1", script);
    let libgcc = checked("libgcc", script);
    assert!(walk.checked > 1000, "{walk:?}");
    assert!(libgcc.checked > 1000 && libgcc.unknown_to_libgcc * 20 < libgcc.checked, "{libgcc:?}");
}

fn stress(program: &Path, threads: u32) {
    agrees(&format!("$W {} 1000 {threads}", program.display()));
}

#[test]
fn everything_that_changes_a_stack() {
    stress(&build::target("unwind_stress"), 1);
    stress(&build::target("unwind_stress"), 3);
}

#[test]
fn everything_that_changes_a_stack_with_frame_pointers() {
    stress(&build::variant("unwind_stress", "frame_pointer"), 2);
}

#[test]
fn everything_that_changes_a_stack_unoptimized() {
    stress(&build::variant("unwind_stress", "unoptimized"), 2);
}

#[test]
fn jumps_out_of_the_recorder() {
    checked("1", &format!("$W {}", build::target("jump_out").display()));
}

#[test]
fn forked_children() {
    checked("1", &format!("$W {}", build::target("fork_threads").display()));
}

#[test]
fn stacks_deeper_than_the_bound() {
    checked("1", &format!("$W {}", build::target("deeper").display()));
}

#[test]
fn code_without_unwind_tables() {
    checked("1", &format!("$W {}", build::target("jit").display()));
}

#[test]
fn python() {
    agrees(
        r#"export PYTHONMALLOC=malloc; $W python3 -c '
import json, re
rows = [{"id": i, "tags": [str(i * j) for j in range(5)]} for i in range(2000)]
text = json.dumps(rows); json.loads(text); re.findall("[0-9]+5", text)'"#,
    );
}

#[test]
fn perl() {
    agrees(
        r#"$W perl -e '
my %h; for my $i (1..9000) { $h{"k$i"} = "v" x ($i % 50) }
my $s = 0; $s += length $h{$_} for sort keys %h; print "$s\n"'"#,
    );
}

#[test]
fn sqlite() {
    agrees(
        r#"$W sqlite3 :memory: "create table t(a integer primary key, b text);
with recursive c(x) as (select 1 union all select x+1 from c where x < 9000)
insert into t select x, hex(x*7919) from c;
create index i on t(b); select count(*), sum(length(b)), max(b) from t;""#,
    );
}

#[test]
fn a_compiler() {
    agrees(
        r#"printf '#include <map>\n#include <string>\nstd::map<std::string, int> m; int f(){return m["x"];}\n' >a.cc
$W g++ -O1 -S -o a.s a.cc"#,
    );
}

/// Only what is known is taken for an answer.
#[test]
fn an_unknown_check_is_refused() {
    let outcome = run::script("HEAPTAPE_CHECK=yes $W true", true);
    assert_eq!(outcome.status.code(), Some(1), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("HEAPTAPE_CHECK"), "{}", outcome.stderr);
}
