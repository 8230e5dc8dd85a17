//! Every view of a fixed recording, character by character, and of a hostile one.
//!
//! `UPDATE_GOLDENS=1 cargo test -p heaptape-report --test views` writes the goldens anew; read the diff.

mod fixture;
mod golden_test;
mod hostile_test;
