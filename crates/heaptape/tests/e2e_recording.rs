//! End to end: programs run bare and recorded behave the same, and the tape says what they did.
//!
//! `targets/` holds small programs, one danger each, that keep their own ledger: how often which
//! function took or gave which size. Each is run bare and under `heaptape run`; output, exit status
//! and ledger must be the same, the tape must agree with the ledger exactly, lose nothing, and never
//! free what is not there. Real programs and an independent witness (valgrind) complete the picture.

mod e2e;
