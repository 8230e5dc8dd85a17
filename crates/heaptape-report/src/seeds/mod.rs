//! The texts and pages of heaptape's two seeds, vizzy and crunch, in the form their users know.

pub mod crunch;
pub mod usage_page;
pub mod vizzy;
