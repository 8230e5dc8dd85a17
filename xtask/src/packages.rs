//! Programs that others bring: whether they are there, and installing them where they are not.

use crate::command::{checked, output};
use std::process::Command;

/// Whether a program is on the path; joining a whole path gives that path.
pub(crate) fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// Installs Debian packages with apt-get, as root or over sudo.
pub(crate) fn install(packages: &[&str]) -> Result<(), String> {
    if !on_path("apt-get") {
        return Err("there is no apt-get; please install them yourself".into());
    }
    let is_root = output(Command::new("id").arg("-u"))?.trim() == "0";
    if !is_root && !on_path("sudo") {
        return Err("not root, and there is no sudo".into());
    }
    println!("xtask: installing {}", packages.join(" "));
    let apt = |words: &[&str]| {
        let prefix: &[&str] = if is_root { &["env"] } else { &["sudo", "env"] };
        let mut command = Command::new(prefix[0]);
        command.args(&prefix[1..]).arg("DEBIAN_FRONTEND=noninteractive").arg("apt-get");
        checked(command.args(words))
    };
    apt(&["update", "-qq"])?;
    apt(&[&["install", "-y", "-qq", "--no-install-recommends"], packages].concat())
}
