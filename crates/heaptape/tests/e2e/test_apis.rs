//! Every function of the family, in every form.

use super::build;
use super::check::{Check, check, lost_nothing, open, same_behaviour};
use super::run;
use heaptape_tape::{Action, Api, Event, ProcessId};

#[test]
fn realloc_of_null_to_nothing_shrinking_growing_moving_failing() {
    check("realloc_forms");
}

#[test]
fn aligned_allocators_and_refused_alignments() {
    let recorded = check("alignment");
    let process = ProcessId(0);
    let largest = recorded
        .tape
        .events(process, 0)
        .map(|event| event.expect("a readable event"))
        .find(|event| event.size == 3 << 20)
        .expect("the 3 MiB block");
    assert_eq!((largest.api, largest.align_log2), (Api::AlignedAlloc, 21));
}

#[test]
fn overflowing_products_fail_and_keep_the_block() {
    let recorded = check("overflow");
    let events: Vec<_> =
        recorded.tape.events(ProcessId(0), 0).map(|event| event.expect("readable")).collect();
    let failed = |api, action| events.iter().filter(|e| (e.api, e.action) == (api, action)).count();
    assert_eq!(failed(Api::Calloc, Action::AllocFail), 3);
    assert_eq!(failed(Api::Malloc, Action::AllocFail), 1);
}

#[test]
fn blocks_of_no_bytes_and_usable_sizes() {
    check("zero");
}

#[test]
fn sized_frees_where_libc_or_the_recorder_has_them() {
    // The recorder exports them, so that the program's weak reference finds them.
    Check::of("sized_free").ledger_may_differ_from_bare().run();
}

#[test]
fn operator_new_and_delete_in_all_forms() {
    check("new_forms");
}

/// Frees without backtraces are recorded on a way of their own, which operators delete that only free take at once.
#[test]
fn operator_new_and_delete_without_backtraces_of_frees() {
    Check::of("new_forms").option("--free-backtraces=none").run();
    Check::of("own_new").option("--free-backtraces=none").run();
    Check::of("sized_free").option("--free-backtraces=none").ledger_may_differ_from_bare().run();
}

/// A runtime that is part of the program is called in place of ours: what is recorded is the mallocs
/// that it makes.
#[test]
fn operator_new_of_a_static_runtime() {
    let words = [build::variant("new_forms", "static_runtime").into()];
    let bare = run::bare(&words);
    let recorded = run::recorded(&[], &words);
    same_behaviour(&bare, &recorded);
    let tape = open(&recorded);
    lost_nothing(&tape, false);
    let made =
        |api| tape.events(ProcessId(0), 0).filter(|e| e.as_ref().unwrap().api == api).count();
    assert_eq!((made(Api::New), made(Api::Delete)), (0, 0));
    assert!(made(Api::Malloc) >= 8, "the forms without alignment");
    assert!(made(Api::AlignedAlloc) >= 7, "the aligned forms");
}

#[test]
fn an_operator_new_of_the_program_is_called() {
    check("own_new");
}

#[test]
fn mismatched_functions_are_told_apart() {
    Check::of("mismatch").frees_wrongly().run();
}

#[test]
fn what_libc_allocates_for_the_program() {
    check("inside_libc");
}

#[test]
fn a_rust_program() {
    check("rust");
}

#[test]
fn mappings_are_a_series_of_their_own() {
    const PAGE: u64 = 4096;
    let recorded = Check::of("mappings").option("--mmap").run();
    let mut mapped = Vec::new();
    for event in recorded.tape.events(ProcessId(0), 0) {
        let event = event.expect("a readable event");
        if matches!(event.action, Action::Map | Action::Unmap) {
            mapped.push((event.action, event.api, event.size / PAGE));
        }
    }
    for expected in [
        (Action::Map, Api::Mmap, 37),
        (Action::Unmap, Api::Munmap, 11),
        (Action::Unmap, Api::Munmap, 17),
        (Action::Unmap, Api::Mremap, 9),
        (Action::Map, Api::Mremap, 41),
        (Action::Unmap, Api::Munmap, 41),
        (Action::Map, Api::Mmap, 3),
        (Action::Map, Api::Sbrk, 5),
        (Action::Unmap, Api::Sbrk, 5),
    ] {
        assert!(mapped.contains(&expected), "{expected:?} is not in {mapped:?}");
    }
}

#[test]
fn mappings_are_not_recorded_unless_asked_for() {
    let recorded = check("mappings");
    for event in recorded.tape.events(ProcessId(0), 0) {
        let action = event.expect("a readable event").action;
        assert!(!matches!(action, Action::Map | Action::Unmap));
    }
}

/// libc's reallocarray calls realloc, which is ours too.
#[test]
fn reallocarray_is_recorded_once_and_its_overflow_as_a_failure() {
    let events = |name: &str| -> Vec<Event> {
        let events: Vec<_> = check(name).tape.events(ProcessId(0), 0).collect();
        events.into_iter().map(|event| event.expect("readable")).collect()
    };
    let forms = events("realloc_forms");
    let of_size = |size| forms.iter().filter(move |e| e.action.begins_block() && e.size == size);
    for size in [3 * 2011, 5 * 1009] {
        let apis: Vec<Api> = of_size(size).map(|event| event.api).collect();
        assert_eq!(apis, [Api::Reallocarray], "of {size} bytes");
    }
    let overflow = events("overflow");
    let by_realloc =
        |event: &&Event| matches!(event.api, Api::Realloc | Api::Reallocarray) && event.addr != 0;
    let acts: Vec<_> = overflow.iter().filter(by_realloc).map(|e| (e.api, e.action)).collect();
    let expected = [Action::ReallocRelease, Action::ReallocFail];
    assert_eq!(acts, expected.map(|action| (Api::Reallocarray, action)));
}

/// An operator delete that does not come by `free` left its note behind, and the next free of the same
/// address was taken for recorded.
#[test]
fn operators_of_an_allocator_that_do_not_come_by_its_malloc() {
    check("allocator_operators");
}
