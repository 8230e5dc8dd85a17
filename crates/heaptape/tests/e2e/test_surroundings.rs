//! Unfriendly surroundings: no descriptors, no /proc, little memory.

use super::build;
use super::check::{Check, check};
use super::run;

#[test]
fn started_with_standard_streams_closed() {
    check("closed_at_start");
}

#[test]
fn standard_streams_closed_on_the_way() {
    check("stdout_closed");
}

#[test]
fn few_descriptors() {
    Check::of("limited").arg("nofile").run();
}

#[test]
fn little_address_space() {
    Check::of("limited").arg("as").run();
}

#[test]
fn a_root_without_proc() {
    let probe = run::bare(&[build::target("no_proc").into(), "{folder}".into()]);
    if probe.status.code() == Some(77) {
        eprintln!("skipped: changing the root directory needs root");
        return;
    }
    Check::of("no_proc").arg("{folder}").run();
}

#[test]
fn libraries_that_come_and_go() {
    let libraries = [build::target("plugin_a"), build::target("plugin_b")];
    let [a, b] = libraries;
    Check::of("dlopen").arg(a).arg(b).run();
}
