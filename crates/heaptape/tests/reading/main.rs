//! The reading commands from outside: the real binary over tapes made here.

mod commands_test;
mod contents_test;
mod manners_test;
mod report_test;
mod tapes;
mod ui_test;
