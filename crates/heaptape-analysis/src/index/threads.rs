//! Work that several threads share.

use super::AskError;
use std::panic;
use std::thread::{self, Builder};

/// Threads at most.
const MOST: usize = 8;

/// Lets as many threads as there are cores do the same work, each taking of it what the others have not; what each made
/// of it. Where a thread cannot be had the others do its part.
pub(super) fn each_does<A: Send>(
    work: impl Fn() -> Result<A, AskError> + Sync,
) -> Result<Vec<A>, AskError> {
    let count = thread::available_parallelism().map_or(1, usize::from).min(MOST);
    thread::scope(|scope| {
        let start = |_| Builder::new().spawn_scoped(scope, &work).ok();
        let others: Vec<_> = (1..count).map_while(start).collect();
        let mut all = vec![work()];
        for other in others {
            all.push(other.join().unwrap_or_else(|why| panic::resume_unwind(why)));
        }
        all.into_iter().collect()
    })
}
