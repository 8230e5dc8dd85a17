//! `cargo xtask tidy`: the rules of the house that no compiler checks.

mod floors;
mod sources;
mod targets;

use crate::command::root;

/// Checks everything and names every offence.
pub(crate) fn run() -> Result<(), String> {
    println!("==> tidy");
    let root = root();
    let mut offences = floors::check(&root)?;
    offences.extend(sources::check(&root)?);
    offences.extend(targets::check(&root)?);
    if offences.is_empty() {
        return Ok(());
    }
    offences.push(format!("tidy: {} offences", offences.len()));
    Err(offences.join("\n"))
}
