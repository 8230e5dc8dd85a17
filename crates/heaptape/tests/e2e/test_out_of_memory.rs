//! A program that its cgroup's limit kills: the report says so, with what the kernel counted.

use super::{build, run};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the group may use; the program takes more.
const LIMIT: u64 = 64 << 20;

/// A cgroup of this test's own, which goes with it.
struct Group(PathBuf);

impl Group {
    /// A group with a limit; why there can be none.
    fn new() -> Result<Group, String> {
        let name = format!("heaptape-test-{}", std::process::id());
        // Version 1 where it has the memory controller, or else version 2.
        let (folder, limit) = match Path::new("/sys/fs/cgroup/memory").is_dir() {
            true => (Path::new("/sys/fs/cgroup/memory").join(name), "memory.limit_in_bytes"),
            false => (Path::new("/sys/fs/cgroup").join(name), "memory.max"),
        };
        fs::create_dir(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
        let group = Group(folder);
        let file = group.0.join(limit);
        match fs::write(&file, LIMIT.to_string()) {
            Ok(()) => Ok(group),
            Err(e) => Err(format!("{}: {e}", file.display())),
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // The last of its processes may be on its way out still.
        for _ in 0..100 {
            if fs::remove_dir(&self.0).is_ok() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
}

#[test]
fn a_death_for_want_of_memory_is_told_with_the_figures_of_the_group() {
    let group = match Group::new() {
        Ok(group) => group,
        Err(why) => {
            eprintln!("SKIPPED: no cgroup with a limit can be made here: {why}");
            return;
        }
    };
    let enter = format!("echo $$ > {}/cgroup.procs && exec \"$0\" eat", group.0.display());
    let words = ["sh".into(), "-c".into(), enter.into(), build::target("crashes").into()];
    let outcome = run::recorded(&[], &words);
    assert_eq!(outcome.status.signal(), Some(9), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("for want of memory"), "{}", outcome.stderr);
    let crash = |json: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_heaptape"));
        let output = command.arg("crash").arg(outcome.tape()).args(json).output();
        String::from_utf8(output.expect("heaptape crash").stdout).expect("UTF-8")
    };
    let document: Value = serde_json::from_str(&crash(&["--json"])).expect("JSON");
    let death = &document["results"][0]["death"];
    assert_eq!((&death["signal"], &death["out_of_memory"]), (&json!(9), &json!(true)), "{death:#}");
    let last = death["cgroup"].as_array().expect("figures").last().expect("after the death");
    assert_eq!((&last["max_bytes"], &last["oom_kills"]), (&json!(LIMIT), &json!(1)), "{death:#}");
    assert!(last["peak_bytes"].as_u64() > Some(LIMIT / 2), "{death:#}");
    let text = crash(&[]).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains("limit 64.0 MiB") && text.contains("1 killed for want"), "{text}");
}
