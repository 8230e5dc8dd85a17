//! The harness (`build`, `run`, `ledger`, `history`, `frames`, `valgrind`,
//! `check`, `wrong`) and the tests that use it.

mod build;
mod check;
mod frames;
mod history;
mod ledger;
mod run;
mod valgrind;
mod wrong;

mod test_apis;
mod test_backtraces;
mod test_contents;
mod test_crashes;
mod test_endings;
mod test_errors;
mod test_faults;
mod test_guard;
mod test_leaks;
mod test_ledgers;
mod test_out_of_memory;
mod test_processes;
mod test_real_programs;
mod test_residence;
mod test_sampling;
mod test_stacks;
mod test_surroundings;
mod test_threads;
mod test_unwinder;
mod test_verdicts;
mod test_witness;
