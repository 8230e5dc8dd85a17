//! The page of `heaptape report` and `heaptape ui`: its data and the file they are put into (`docs/page.md`).
//!
//! * [`columns`]: tables as packed columns; [`coded`]: as a file has them; [`seven`]: bytes as text.
//! * [`tables`]: the tables of a process.
//! * [`leaks`]: leaks with the numbers of their stacks.
//! * [`source`]: source lines.
//! * [`overview`]: what is known before they are opened.
//! * [`mod@file`]: the report: one HTML file that holds everything.

pub mod coded;
pub mod columns;
pub mod file;
pub mod leaks;
pub mod overview;
pub mod seven;
pub mod source;
mod still;
pub mod tables;

/// The page's program, made of `ui/` by `cargo xtask ui`.
pub const APP_JS: &str = include_str!("../../assets/app.js");
/// The page's style sheet, made of the same.
pub const APP_CSS: &str = include_str!("../../assets/app.css");
/// Licences of what is in [`APP_JS`].
pub const THIRD_PARTY: &str = include_str!("../../assets/THIRD_PARTY.txt");

#[cfg(test)]
mod tests {
    use super::THIRD_PARTY;

    #[test]
    fn what_the_page_is_made_of_is_named() {
        let package = include_str!("../../../../ui/package.json");
        let package: serde_json::Value = serde_json::from_str(package).unwrap();
        for (name, version) in package["dependencies"].as_object().unwrap() {
            let entry = format!("{name} {}", version.as_str().unwrap());
            assert!(THIRD_PARTY.contains(&entry), "{entry} is not in THIRD_PARTY.txt");
        }
    }
}
