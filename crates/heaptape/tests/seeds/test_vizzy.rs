//! vizzy's command lines, as its README shows them, on programs and on logs of vizzy.

use super::harness::{Ran, compile, heaptape, linked, run};
use std::fs;

const LOG: &str = "\
1700000000,0,malloc,0x55550000,100
1700000000,250000,malloc,0x55550070,24
1700000000,500000,free,0x55550000,
1700000001,0,calloc,0x55550200,3000
1700000002,0,free,0x55550070,
1700000002,100000,free,0x55550070,
";

#[test]
fn a_log_of_vizzy_is_summarised_in_vizzys_form() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("log"), LOG).unwrap();
    let Ran { stdout, stderr, code, .. } = run(heaptape(dir.path(), &["vizzyreport", "log"]));
    assert_eq!(code, Some(0), "{stderr}");
    assert_eq!(
        stdout,
        "Double free @ 55550070?\nHEAP SUMMARY:\n    in use at exit   : 3000 bytes in 1 blocks\n    \
         total heap usage : 3 allocs, 2 frees, 3124 bytes allocated\n"
    );
    assert_eq!(stderr, "");
}

#[test]
fn the_layout_of_a_log_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("log"), LOG).unwrap();
    let at = |time: &str| {
        run(heaptape(dir.path(), &["vizzyreport", "--heap-layout-time", time, "log"])).stdout
    };
    assert_eq!(
        at("0.3"),
        "HEAP VMEM LAYOUT @0.3s:\n...\n0x55550000 - 100 (malloc)\n0x55550070 - 24 (malloc)\n"
    );
    assert_eq!(
        at("1"),
        "HEAP VMEM LAYOUT @1.0s:\n...\n0x55550070 - 24 (malloc)\n...\n0x55550200 - 3000 (calloc)\n"
    );
}

#[test]
fn the_usage_of_a_log_is_a_page_that_needs_nothing() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("<b>log"), LOG).unwrap();
    for _ in 0..2 {
        let ran = run(heaptape(dir.path(), &["vizzyreport", "--mem-usage", "<b>log"]));
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    }
    let page = fs::read_to_string(dir.path().join("<b>log.html")).unwrap();
    assert!(page.contains("<svg") && page.contains("3024 bytes"), "{page}");
    assert!(page.contains("Content-Security-Policy"));
    assert!(!page.contains("<script") && !page.contains("<b>") && !page.contains("://"), "{page}");

    fs::write(dir.path().join("mine.html"), "mine").unwrap();
    let ran =
        run(heaptape(dir.path(), &["vizzyreport", "--mem-usage", "-o", "mine.html", "<b>log"]));
    assert_eq!(ran.code, Some(1));
    assert_eq!(fs::read_to_string(dir.path().join("mine.html")).unwrap(), "mine");
}

#[test]
fn senseless_lines_are_told_and_a_senseless_file_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("log"), format!("what is this\n{LOG}1,2\n")).unwrap();
    let ran = run(heaptape(dir.path(), &["vizzyreport", "log"]));
    assert_eq!(ran.code, Some(0));
    assert!(ran.stdout.contains("3 allocs, 2 frees"), "{}", ran.stdout);
    assert!(ran.stderr.contains("2 of 8 lines make no sense"), "{}", ran.stderr);
    assert!(ran.stderr.contains("line 1"), "{}", ran.stderr);

    for senseless in ["", "\x7fELF\0\0\0\nwhat\n"] {
        fs::write(dir.path().join("log"), senseless).unwrap();
        let ran = run(heaptape(dir.path(), &["vizzyreport", "log"]));
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{}", ran.stderr);
    }
    assert_eq!(run(heaptape(dir.path(), &["vizzyreport", "missing"])).code, Some(2));
}

const PROGRAM: &str = r#"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
int main(int argc, char **argv) {
    char *kept = malloc(1000), *text = strdup("twelve bytes");
    free(malloc(500));
    kept = realloc(kept, 2000);
    free(text);
    memset(kept, 1, 2000);
    if (write(1, "working\n", 8) != 8) return 9;
    if (argc > 1) abort();
    return 3;
}
"#;

#[test]
fn a_program_is_traced_and_reported() {
    let dir = tempfile::tempdir().unwrap();
    let program = compile(dir.path(), "prog.c", PROGRAM);
    let ran = run(linked(dir.path(), "vizzytrace", &["heap.trace", &program]));
    assert_eq!(ran.code, Some(3), "the exit status is the program's: {}", ran.stderr);
    let lines: Vec<&str> = ran.stdout.lines().filter(|l| l.starts_with("[*]")).collect();
    assert!(lines.iter().any(|l| l.starts_with("[*] Child process started (pid=")), "{lines:?}");
    assert_eq!(lines.last(), Some(&"[*] Child process exited with a return code of 3"));
    assert!(ran.stdout.contains("\nworking\n"), "{}", ran.stdout);

    let ran = run(linked(dir.path(), "vizzyreport", &["heap.trace"]));
    assert_eq!(
        ran.stdout,
        "HEAP SUMMARY:\n    in use at exit   : 2000 bytes in 1 blocks\n    \
         total heap usage : 4 allocs, 3 frees, 3513 bytes allocated\n",
        "{}",
        ran.stderr
    );
    let ran = run(linked(dir.path(), "vizzyreport", &["--heap-layout-time", "60", "heap.trace"]));
    assert!(ran.stdout.starts_with("HEAP VMEM LAYOUT @60.0s:\n...\n0x"), "{}", ran.stdout);
    assert!(ran.stdout.ends_with(" - 2000 (realloc)\n"), "{}", ran.stdout);
    let ran =
        run(linked(dir.path(), "vizzyreport", &["--mem-usage", "-o", "p.html", "heap.trace"]));
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let page = fs::read_to_string(dir.path().join("p.html")).unwrap();
    assert!(page.contains("2,000 B, 1 block never freed"), "the summary can be read as it is");
    let link = "/p.html#/summary in a browser\n";
    assert!(ran.stdout.contains("open file:///") && ran.stdout.ends_with(link), "{}", ran.stdout);
}

#[test]
fn a_death_by_signal_is_told_and_passed_on() {
    let dir = tempfile::tempdir().unwrap();
    let program = compile(dir.path(), "prog.c", PROGRAM);
    let ran = run(linked(dir.path(), "vizzytrace", &["heap.trace", &program, "abort"]));
    assert_eq!(ran.code, None, "died of a signal, as the program did");
    assert!(ran.stdout.ends_with("[*] Child process exited via signal 6\n"), "{}", ran.stdout);
}

#[test]
fn only_recordings_are_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let program = compile(dir.path(), "prog.c", PROGRAM);
    for _ in 0..2 {
        assert_eq!(run(linked(dir.path(), "vizzytrace", &["100%p", &program])).code, Some(3));
    }
    assert!(dir.path().join("100%p").exists(), "the log is exactly where it was asked for");
    fs::write(dir.path().join("log"), LOG).unwrap();
    assert_eq!(run(linked(dir.path(), "vizzytrace", &["log", &program])).code, Some(3));

    let before = fs::read(&program).unwrap();
    let ran = run(linked(dir.path(), "vizzytrace", &[&program, &program]));
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert_eq!(fs::read(&program).unwrap(), before);
}
