//! crunch's command line, as its README shows it, on programs that do what those of its test folder do.

use super::harness::{Ran, compile, linked, run};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Compiles and crunches a program.
fn crunch(dir: &Path, source: &str) -> Ran {
    let program = compile(dir, "prog.c", source);
    run(linked(dir, "crunch", &[&program]))
}

/// The sizes on the list of remaining allocations.
fn remaining(ran: &Ran) -> Vec<u64> {
    let (_, list) = ran.stderr.split_once("=== crunch ===\n").expect("the list is printed");
    let sizes: Vec<u64> = list
        .lines()
        .filter_map(|line| line.strip_prefix("  0x")?.split(' ').nth(2)?.parse().ok())
        .collect();
    let count = format!("{} remaining heap allocations\n", sizes.len());
    assert!(list.starts_with(&count), "{list}");
    sizes
}

/// The contents of the files in `crunch_out/heap`.
fn heap(dir: &Path) -> Vec<Vec<u8>> {
    let mut files: Vec<_> = fs::read_dir(dir.join("crunch_out/heap")).unwrap().collect();
    files.sort_by_key(|file| file.as_ref().unwrap().file_name());
    files.into_iter().map(|file| fs::read(file.unwrap().path()).unwrap()).collect()
}

fn read(dir: &Path, name: &str) -> String {
    fs::read_to_string(dir.join("crunch_out").join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

#[test]
fn the_example_of_crunchs_readme() {
    let dir = tempfile::tempdir().unwrap();
    let ran = crunch(
        dir.path(),
        "#include <stdlib.h>\nint main() {\n  char *buf = malloc(10);\n  buf[0xffffff] = 'a';\n  \
         free(buf);\n  return 0;\n}\n",
    );
    assert_eq!(ran.signal, Some(11));
    assert_eq!(remaining(&ran), [10]);
    let listed = ran.stderr.split("  0x").nth(1).unwrap().split(' ').next().unwrap();
    let block = u64::from_str_radix(listed, 16).unwrap();
    let fatal = format!("SIGSEGV illegal access: address {:#x}", block + 0xff_ffff);
    assert!(ran.stderr.contains(&format!("\ncrunch: {fatal}\n")), "{}", ran.stderr);
    assert_eq!(read(dir.path(), "fatal"), format!("{fatal}\n"));
    assert_eq!(read(dir.path(), "stats"), "1\n0\n10\n10\n");
    assert_eq!(heap(dir.path()).len(), 1);
    assert_eq!(heap(dir.path())[0].len(), 10);
    let page = read(dir.path(), "report.html");
    assert!(page.contains("SIGSEGV at ") && page.contains(&format!("{:#x}", block + 0xff_ffff)));
}

#[test]
fn the_last_of_three_blocks_is_never_freed() {
    let dir = tempfile::tempdir().unwrap();
    let ran = crunch(
        dir.path(),
        "#include <stdlib.h>\nint main() {\n  int *m = malloc(12), *n = malloc(13);\n  \
         char *z = calloc(1, 25);\n  free(m); free(n);\n  z[24] = 'z';\n  return 7;\n}\n",
    );
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(7), ""));
    assert_eq!(remaining(&ran), [25]);
    assert_eq!(read(dir.path(), "stats"), "3\n2\n50\n25\n");
    let mut expected = vec![0; 25];
    expected[24] = b'z';
    assert_eq!(heap(dir.path()), [expected]);
    assert!(!dir.path().join("crunch_out/fatal").exists());
    assert!(ran.stderr.contains(" : 25 bytes  main ("), "the call site is named: {}", ran.stderr);
}

#[test]
fn a_string_without_its_end_is_kept_whole() {
    let dir = tempfile::tempdir().unwrap();
    let ran = crunch(
        dir.path(),
        "#include <stdlib.h>\n#include <string.h>\nint main() {\n  char *c = malloc(8);\n  \
         memcpy(c, \"<b>bA&z\\\"\", 8);\n  return 0;\n}\n",
    );
    assert_eq!(remaining(&ran), [8]);
    assert_eq!(heap(dir.path()), [b"<b>bA&z\""]);
    let page = read(dir.path(), "report.html");
    // Its bytes are in the page's data, and none of them in its text.
    assert!(page.contains("id=\"p0-contents\"") && !page.contains("<b>"));
}

#[test]
fn an_abort_is_told_and_passed_on() {
    let dir = tempfile::tempdir().unwrap();
    let ran = crunch(
        dir.path(),
        "#include <signal.h>\n#include <stdlib.h>\nint main() {\n  int *n = malloc(sizeof(int));\n  \
         *n = SIGABRT;\n  raise(*n);\n  return 0;\n}\n",
    );
    assert_eq!(ran.signal, Some(6));
    assert_eq!(remaining(&ran), [4]);
    assert!(read(dir.path(), "fatal").starts_with("SIGABRT abort: address 0x"));
    assert_eq!(heap(dir.path()), [6i32.to_ne_bytes()]);
}

#[test]
fn a_wild_write_names_its_address() {
    let dir = tempfile::tempdir().unwrap();
    let ran = crunch(
        dir.path(),
        "#include <stdlib.h>\nint main() {\n  int *p = (int *)0xdeadbeef;\n  *p = 12;\n}\n",
    );
    assert_eq!(ran.signal, Some(11));
    assert_eq!(read(dir.path(), "fatal"), "SIGSEGV illegal access: address 0xdeadbeef\n");
}

#[test]
fn what_is_freed_is_not_listed() {
    for source in [
        "#include <stdlib.h>\nint main() { int *n = malloc(4); *n = 12; free(n); }\n",
        "#include <stdlib.h>\nint main() { free(NULL); }\n",
        "#include <stdlib.h>\n#include <pthread.h>\n#include <unistd.h>\n\
         void *routine(void *a) { void *p = malloc(17); free(p); return NULL; }\n\
         int main() { pthread_t t[100]; for (int i = 0; i < 100; ++i) \
         pthread_create(&t[i], NULL, routine, NULL); \
         for (int i = 0; i < 100; ++i) pthread_join(t[i], NULL); }\n",
    ] {
        let dir = tempfile::tempdir().unwrap();
        let ran = crunch(dir.path(), source);
        assert_eq!(ran.code, Some(0));
        // What the threads leave are their own control blocks, kept by libc for the next thread.
        assert!(remaining(&ran).iter().all(|&size| size != 4 && size != 17), "{}", ran.stderr);
        assert!(!dir.path().join("crunch_out/fatal").exists());
    }
}

#[test]
fn cpp_programs() {
    let dir = tempfile::tempdir().unwrap();
    let program = compile(
        dir.path(),
        "leak.cpp",
        "#include <memory>\nstruct node { int n; double v; char z; };\nnode *kept;\n\
         int main() { auto n = std::make_shared<int>(12); delete new int; kept = new node; }\n",
    );
    let ran = run(linked(dir.path(), "crunch", &[&program]));
    assert_eq!(ran.code, Some(0));
    let sizes = remaining(&ran);
    assert!(sizes.contains(&24) && !sizes.contains(&4), "{sizes:?}");
}

#[test]
fn input_and_output_are_files() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("in"), "b\na\n").unwrap();
    let ran = run(linked(dir.path(), "crunch", &["-i", "in", "-o", "out", "/usr/bin/sort", "-r"]));
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), ""), "{}", ran.stderr);
    assert_eq!(fs::read_to_string(dir.path().join("out")).unwrap(), "b\na\n");
}

#[test]
fn without_a_report_nothing_is_written_or_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let program =
        compile(dir.path(), "prog.c", "#include <stdlib.h>\nint main() { malloc(33); }\n");
    for flag in ["-n", "--no-report"] {
        let ran = run(linked(dir.path(), "crunch", &[flag, &program]));
        assert_eq!(remaining(&ran), [33]);
        assert!(!dir.path().join("crunch_out").exists());
        assert!(!ran.stderr.contains("dumping heap"), "{}", ran.stderr);
    }
}

#[test]
fn everything_is_private_and_an_earlier_run_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let leak = "#include <stdlib.h>\nint main() { malloc(33); abort(); }\n";
    crunch(dir.path(), leak);
    crunch(dir.path(), &leak.replace("abort();", ""));
    assert!(!dir.path().join("crunch_out/fatal").exists(), "it is the earlier run's");
    for (name, mode) in [
        ("", 0o700),
        ("heap", 0o700),
        ("recording.tape", 0o600),
        ("stats", 0o600),
        ("report.html", 0o600),
    ] {
        let metadata = fs::metadata(dir.path().join("crunch_out").join(name)).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, mode, "{name}");
    }
    fs::write(dir.path().join("crunch_out/mine"), "mine").unwrap();
    let ran = crunch(dir.path(), leak);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("mine"), "{}", ran.stderr);
    assert_eq!(read(dir.path(), "mine"), "mine");
}

#[test]
fn nobody_reading_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let program = compile(
        dir.path(),
        "prog.c",
        "#include <stdlib.h>\nint main() { malloc(33); return 4; }\n",
    );
    let mut command = linked(dir.path(), "crunch", &[&program]);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    command.stderr(writer);
    assert_eq!(command.status().unwrap().code(), Some(4));
    assert_eq!(heap(dir.path())[0].len(), 33);
}

#[test]
fn no_list_is_made_up_for_a_program_that_cannot_be_recorded() {
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("static");
    fs::write(dir.path().join("s.c"), "int main() { return 3; }\n").unwrap();
    let compiled = std::process::Command::new("gcc")
        .args(["-static", "-o"])
        .args([&program, &dir.path().join("s.c")])
        .status()
        .unwrap();
    assert!(compiled.success());
    let exec = format!("exec {}", program.display());
    for args in [&["./static"][..], &["-n", "./static"], &["sh", "-c", &exec]] {
        let ran = run(linked(dir.path(), "crunch", args));
        assert_eq!(ran.code, Some(3), "{args:?}");
        assert!(ran.stderr.contains("nothing is known of the heap of"), "{}", ran.stderr);
        assert!(ran.stderr.contains("statically linked"), "{}", ran.stderr);
        assert!(!ran.stderr.contains("=== crunch ==="), "{args:?}: {}", ran.stderr);
        assert!(!dir.path().join("crunch_out/stats").exists());
    }
    let ran = run(linked(dir.path(), "vizzytrace", &["s.trace", "./static"]));
    assert_eq!(ran.stderr.matches("statically linked").count(), 1, "said once: {}", ran.stderr);
    let ran = run(linked(dir.path(), "vizzyreport", &["s.trace"]));
    assert!(ran.stderr.contains("nothing is known of the heap of"), "{}", ran.stderr);
}
