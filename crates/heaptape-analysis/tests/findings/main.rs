//! Each rule of the findings: a history that it speaks of, and a twin, as alike as can be, of which it is silent.

mod rules_test;
mod story;
mod summary_test;
