//! The harness and the tests that use it.

mod harness;

mod test_crunch;
mod test_run;
mod test_vizzy;
