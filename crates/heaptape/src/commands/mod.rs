//! The commands, one file each: `Args` (its help teaches by example) and `run`.

pub(crate) mod addr;
pub(crate) mod at;
pub(crate) mod contents;
pub(crate) mod crash;
pub(crate) mod crunch;
pub(crate) mod doctor;
pub(crate) mod errors;
pub(crate) mod events;
pub(crate) mod info;
pub(crate) mod install_aliases;
pub(crate) mod layout;
pub(crate) mod leaks;
pub(crate) mod report;
pub(crate) mod run;
pub(crate) mod snapshot;
pub(crate) mod strip;
pub(crate) mod summary;
pub(crate) mod tree;
pub(crate) mod ui;
pub(crate) mod vizzyreport;
pub(crate) mod vizzytrace;
