//! Every result against a slow and obvious computation of the same, on random histories.

mod address_test;
mod crash_test;
mod errors_test;
mod history;
mod index_test;
mod layout_test;
mod lifetimes_test;
mod overwrites_test;
mod pictures_test;
mod sample_test;
mod summary_test;
mod tree_test;
