//! `cargo xtask test`: everything a change must pass, in the order of cheapness.

use crate::bench;
use crate::cases;
use crate::command::{cargo, root, succeed, succeed_reading};
use crate::tidy;
use crate::ui;

/// All of it.
pub(crate) fn run() -> Result<(), String> {
    succeed(&mut cargo(&["fmt", "--all", "--check"]))?;
    tidy::run()?;
    succeed(&mut cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
    let mut documentation = cargo(&["doc", "--workspace", "--no-deps"]);
    succeed(documentation.env("RUSTDOCFLAGS", "-D warnings"))?;
    let mut count = Count::default();
    succeed_reading(&mut cargo(&["test", "--workspace"]), |line| count.note(line))?;
    let mut modelled = Count::default();
    succeed_reading(&mut loom_command(), |line| modelled.note(line))?;
    ui::check()?;
    cases::short()?;
    bench::short()?;
    println!(
        "==> all good: {} tests passed, {} ignored, and {} models under loom",
        count.passed, count.ignored, modelled.passed
    );
    Ok(())
}

/// The wire's protocol, model-checked.
pub(crate) fn loom() -> Result<(), String> {
    succeed(&mut loom_command())
}

fn loom_command() -> std::process::Command {
    let mut command = cargo(&["test", "--package", "heaptape-wire", "--release", "--test", "loom"]);
    // A folder of its own: other flags would have everything built anew each time.
    command.env("RUSTFLAGS", "--cfg loom").env("CARGO_TARGET_DIR", root().join("target/loom"));
    command
}

/// The wire's tests under Miri, which only nightly toolchains have.
pub(crate) fn miri() -> Result<(), String> {
    let present = cargo(&["miri", "--version"]).output().is_ok_and(|it| it.status.success());
    if !present {
        return Err("Miri is not part of this toolchain, so nothing was checked; use: \
                    rustup toolchain install nightly --component miri,rust-src && \
                    cargo +nightly xtask miri"
            .to_owned());
    }
    let mut command = cargo(&["miri", "test", "--package", "heaptape-wire", "--test", "ring"]);
    // proptest looks for files of earlier failures; Miri hides the file system.
    command.env("PROPTEST_CASES", "8").env("MIRIFLAGS", "-Zmiri-disable-isolation");
    succeed(&mut command)
}

/// How many tests ran, summed over test binaries.
#[derive(Default)]
struct Count {
    passed: u64,
    ignored: u64,
}

impl Count {
    /// Adds up lines like `test result: ok. 3 passed; 0 failed; 1 ignored; …`.
    fn note(&mut self, line: &str) {
        let Some(result) = line.strip_prefix("test result: ok. ") else { return };
        for part in result.split("; ") {
            match part.split_once(' ') {
                Some((number, "passed")) => self.passed += number.parse().unwrap_or(0),
                Some((number, "ignored")) => self.ignored += number.parse().unwrap_or(0),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_add_up() {
        let mut count = Count::default();
        for line in [
            "running 2 tests",
            "test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out",
            "test result: ok. 40 passed; 0 failed; 0 ignored; 0 measured; 3 filtered out",
        ] {
            count.note(line);
        }
        assert_eq!((count.passed, count.ignored), (42, 1));
    }
}
