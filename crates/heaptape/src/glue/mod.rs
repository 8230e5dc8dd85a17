//! Joins the crates: names from symbols, the progress of a read.
