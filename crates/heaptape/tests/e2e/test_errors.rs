//! Wrong frees: each kind is found, with the right acts, and nothing right is called wrong.

use super::{build, run, wrong};
use serde_json::Value;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;

/// What is expected of an act of `targets/errors/…`.
struct Expected {
    act: &'static str,
    /// Kind, function called, the target's function that did it, and what is told of the block or place.
    errors: &'static [(&'static str, &'static str, &'static str, Told)],
}

/// What an error tells beside the wrong act.
enum Told {
    /// Functions that allocated the block and, if it had ended before, ended it.
    Block(&'static str, Option<&'static str>),
    /// The same, and the offset into the block.
    At(u64, &'static str, Option<&'static str>),
    /// Where the address lies, and in which symbol.
    Place(&'static str, Option<&'static str>),
}

use Told::{At, Block, Place};

const fn expected(
    act: &'static str,
    errors: &'static [(&'static str, &'static str, &'static str, Told)],
) -> Expected {
    Expected { act, errors }
}

const FREES: &[Expected] = &[
    expected("good", &[]),
    expected(
        "double_free",
        &[("double_free", "free", "second_free", Block("allocate", Some("first_free")))],
    ),
    expected(
        "double_free_unseen",
        &[("double_free", "free", "second_free", Block("allocate", Some("first_free")))],
    ),
    expected(
        "realloc_freed",
        &[("realloc_of_freed", "realloc", "realloc_freed", Block("allocate", Some("first_free")))],
    ),
    expected("inside", &[("inside_block", "free", "second_free", At(16, "allocate", None))]),
    expected(
        "inside_freed",
        &[("inside_freed", "free", "second_free", At(24, "allocate", Some("first_free")))],
    ),
    expected(
        "realloc_inside",
        &[("inside_block", "realloc", "realloc_inside", At(16, "allocate", None))],
    ),
    expected("stack", &[("no_block", "free", "second_free", Place("stack", None))]),
    expected("thread_stack", &[("no_block", "free", "second_free", Place("stack", None))]),
    expected("data", &[("no_block", "free", "second_free", Place("module", Some("table")))]),
    expected(
        "constants",
        &[("no_block", "free", "second_free", Place("module", Some("constant")))],
    ),
    expected("code", &[("no_block", "free", "second_free", Place("module", Some("double_free")))]),
    expected("mapping", &[("no_block", "free", "second_free", Place("mapping", None))]),
    expected("never_mapped", &[("no_block", "free", "second_free", Place("unmapped", None))]),
    expected("small_number", &[("no_block", "free", "second_free", Place("null_page", None))]),
    expected(
        "moved",
        &[("freed_after_move", "free", "second_free", Block("allocate", Some("moved")))],
    ),
    expected(
        "to_nothing",
        &[("double_free", "free", "second_free", Block("allocate", Some("to_nothing")))],
    ),
    expected("sized", &[("wrong_size", "free_sized", "sized", Block("allocate", None))]),
    expected(
        "aligned_sized",
        &[
            (
                "wrong_alignment",
                "free_aligned_sized",
                "aligned_sized",
                Block("aligned_sized", None),
            ),
            ("wrong_size", "free_aligned_sized", "aligned_sized", Block("aligned_sized", None)),
            ("wrong_alignment", "free_sized", "aligned_sized", Block("aligned_sized", None)),
        ],
    ),
    expected(
        "other_thread",
        &[("double_free", "free", "second_free", Block("allocate", Some("first_free")))],
    ),
    expected(
        "in_child",
        &[("double_free", "free", "second_free", Block("allocate", Some("first_free")))],
    ),
    expected(
        "freed_before_fork",
        &[("double_free", "free", "second_free", Block("allocate", Some("first_free")))],
    ),
    expected("many", &[("wrong_size", "free_sized", "many", Block("allocate", None))]),
];

const DELETES: &[Expected] = &[
    expected("good", &[]),
    expected(
        "malloc_delete",
        &[("mismatched", "operator delete", "malloc_delete()", Block("malloc_delete()", None))],
    ),
    expected("new_free", &[("mismatched", "free", "new_free()", Block("operator new", None))]),
    expected("array_free", &[("mismatched", "free", "array_free()", Block("operator new", None))]),
    expected(
        "new_array_delete",
        &[("mismatched", "operator delete[]", "new_array_delete()", Block("operator new", None))],
    ),
    expected(
        "array_delete",
        &[("mismatched", "operator delete", "array_delete()", Block("operator new", None))],
    ),
    expected(
        "malloc_array_delete",
        &[(
            "mismatched",
            "operator delete[]",
            "malloc_array_delete()",
            Block("malloc_array_delete()", None),
        )],
    ),
    expected(
        "new_realloc",
        &[("mismatched", "realloc", "new_realloc()", Block("operator new", None))],
    ),
    expected(
        "aligned_plain",
        &[("wrong_alignment", "operator delete", "aligned_plain()", Block("operator new", None))],
    ),
    expected(
        "plain_aligned",
        &[("wrong_alignment", "operator delete", "plain_aligned()", Block("operator new", None))],
    ),
    expected(
        "wrong_size",
        &[("wrong_size", "operator delete", "wrong_size()", Block("operator new", None))],
    ),
    expected(
        "not_virtual",
        &[("wrong_size", "operator delete", "not_virtual()", Block("operator new", None))],
    ),
    expected(
        "double_delete",
        &[(
            "double_free",
            "operator delete",
            "double_delete()",
            Block("operator new", Some("double_delete()")),
        )],
    ),
    expected("in_thread", &[("mismatched", "free", "", Block("operator new", None))]),
    expected("often", &[("mismatched", "free", "often()", Block("operator new", None))]),
];

/// Whether a backtrace passes through a function of that name.
fn passes(act: &Value, function: &str) -> bool {
    let frames = act["backtrace"].as_array().expect("frames");
    frames.iter().any(|frame| frame["function"].as_str().expect("a name").starts_with(function))
}

fn check(program: &Path, expected: &Expected, by_name: bool) {
    let Expected { act, errors } = expected;
    let recorded = run::recorded(&[], &[program.into(), act.into()]);
    let found = wrong::all_errors(&recorded);
    let kinds: Vec<&str> =
        found.iter().map(|error| error["kind"].as_str().expect("kind")).collect();
    let wanted: Vec<&str> = errors.iter().map(|(kind, ..)| *kind).collect();
    assert_eq!(kinds, wanted, "{act}: {found:#?}; {}", recorded.stderr);
    for (error, (_, function, by, told)) in found.iter().zip(*errors) {
        assert_eq!(error["confidence"], "certain", "{act}: {error:#}");
        assert_eq!(error["act"]["function"], *function, "{act}: {error:#}");
        assert!(!by_name || passes(&error["act"], by), "{act}: {error:#}");
        let block = |block: &Value, offset: u64, allocated: &str, freed: Option<&str>| {
            assert_eq!(block["offset"], offset, "{act}: {error:#}");
            assert!(!by_name || passes(&block["allocated"], allocated), "{act}: {error:#}");
            match freed {
                Some(by) => assert!(!by_name || passes(&block["freed"], by), "{act}: {error:#}"),
                None => assert!(block["freed"].is_null(), "{act}: {error:#}"),
            }
        };
        match told {
            Block(allocated, freed) => block(&error["block"], 0, allocated, *freed),
            At(offset, allocated, freed) => block(&error["block"], *offset, allocated, *freed),
            Place(place, symbol) => {
                assert!(error["block"].is_null(), "{act}: {error:#}");
                assert_eq!(error["place"]["where"], *place, "{act}: {error:#}");
                let held = &error["place"]["held"]["symbol"];
                assert_eq!(held.as_str(), *symbol, "{act}: {error:#}");
            }
        }
        let killed = recorded.status.signal();
        let died_of_it = error["fatal_signal"].as_i64();
        assert!(killed.is_none() || died_of_it == killed.map(i64::from), "{act}: {error:#}");
    }
}

#[test]
fn every_wrong_free_of_c() {
    let program = build::target("errors/wrong_frees");
    FREES.iter().for_each(|expected| check(&program, expected, true));
}

#[test]
fn every_wrong_delete_of_cpp() {
    let program = build::target("errors/wrong_deletes");
    // Calls in tail position leave no frame.
    DELETES.iter().for_each(|expected| check(&program, expected, false));
    let plain = build::variant("errors/wrong_deletes", "plain");
    DELETES.iter().for_each(|expected| check(&plain, expected, true));
}

/// Operators that are part of the program are seen as the `malloc` and `free` that they call; where calls leave
/// frames, they are told apart all the same. Sizes and alignments are not.
#[test]
fn operators_of_a_static_runtime() {
    let of = |program: &Path, act: &str| {
        let found = wrong::all_errors(&run::recorded(&[], &[program.into(), act.into()]));
        found.iter().map(|e| e["kind"].as_str().expect("kind").to_owned()).collect::<Vec<_>>()
    };
    let optimised = build::variant("errors/wrong_deletes", "static_runtime");
    let plain = build::variant("errors/wrong_deletes", "static_plain");
    for Expected { act, errors } in DELETES {
        let seen = |kind| ["mismatched", "double_free"].contains(&kind);
        let wanted: Vec<_> = errors.iter().map(|e| e.0).filter(|kind| seen(*kind)).collect();
        assert_eq!(of(&plain, act), wanted, "{act}");
        let found = of(&optimised, act);
        assert!(found.is_empty() || found == wanted, "{act}: {found:?}");
    }
    assert_eq!(of(&optimised, "often"), ["mismatched"]);
}

#[test]
fn two_runtimes_in_one_program_are_no_error() {
    let library = build::target("errors/two_runtimes_plugin");
    let programs = [
        build::target("errors/two_runtimes"),
        build::variant("errors/two_runtimes", "stripped"),
        build::variant("errors/two_runtimes", "plain"),
    ];
    for program in programs {
        let recorded = run::recorded(&[], &[(&program).into(), (&library).into()]);
        assert!(recorded.status.success(), "{}", recorded.stderr);
        assert_eq!(wrong::all_errors(&recorded), [] as [Value; 0], "{}", program.display());
    }
}

/// Each is in the middle of its own when the other begins.
#[test]
fn two_reallocs_of_one_block() {
    let program = build::target("errors/wrong_frees");
    let found = wrong::all_errors(&run::recorded(&[], &[program.into(), "race".into()]));
    let [race, ..] = &found[..] else { panic!("no error") };
    assert_eq!(
        (&race["kind"], &race["act"]["function"]),
        (&"realloc_race".into(), &"realloc".into())
    );
    let other = &race["block"]["freed"];
    assert_ne!(other["tid"], race["act"]["tid"], "{race:#}");
    assert!(passes(other, "reallocates") && passes(&race["act"], "reallocates"), "{race:#}");
}

#[test]
fn errors_that_are_alike_are_one() {
    let recorded =
        run::recorded(&[], &[build::target("errors/wrong_deletes").into(), "often".into()]);
    let found = wrong::errors(&recorded.tape());
    assert_eq!(found[0]["total"], 1000);
    assert_eq!(found[0]["errors"].as_array().expect("errors").len(), 1);
    assert_eq!(found[0]["errors"][0]["times"], 1000);
}

#[test]
fn frees_without_backtraces_say_why() {
    let program = build::target("errors/wrong_frees");
    let words = [program.into(), "double_free_unseen".into()];
    let of = |options: &[&str]| wrong::errors(&run::recorded(options, &words).tape()).remove(0);
    let frames = |result: &Value| {
        let error = &result["errors"][0];
        let acts = [&error["act"], &error["block"]["freed"], &error["block"]["allocated"]];
        acts.map(|act| act["backtrace"].as_array().expect("frames").len() > 1)
    };
    let first = of(&[]);
    assert_eq!((frames(&first), &first["free_backtraces"]), ([true; 3], &Value::Null));
    let all = of(&["--free-backtraces"]);
    assert_eq!((frames(&all), &all["free_backtraces"]), ([true; 3], &Value::Null));
    let none = of(&["--free-backtraces=none"]);
    assert_eq!(frames(&none), [false, false, true]);
    assert_eq!(none["free_backtraces"]["which"], "none");
    let neither = of(&["--no-backtraces"]);
    assert_eq!(
        (frames(&neither), &neither["free_backtraces"]["which"]),
        ([false; 3], &"none".into())
    );
}

#[test]
fn the_first_frees_of_a_thread_have_backtraces() {
    let program = build::target("errors/wrong_frees");
    let result =
        wrong::errors(&run::recorded(&[], &[program.into(), "late".into()]).tape()).remove(0);
    let errors = result["errors"].as_array().expect("errors");
    let told: Vec<(i64, bool)> = errors
        .iter()
        .map(|error| {
            (error["stated_bytes"].as_i64().expect("bytes"), passes(&error["act"], "late"))
        })
        .collect();
    assert_eq!(told, [(60, true), (61, true), (62, false)]);
    assert_eq!(result["free_backtraces"]["which"], "first");
    assert_eq!(result["free_backtraces"]["frees"], 1 << 18);
}

/// What they had said was taken for that of the next `malloc` or `free` of the program.
#[test]
fn operators_that_keep_a_pool() {
    let recorded = run::recorded(&[], &[build::target("errors/pooled").into()]);
    assert!(recorded.status.success(), "{}", recorded.stderr);
    wrong::none(&recorded.tape());
}

#[test]
fn the_exit_code_says_whether_there_were_errors() {
    let program = build::target("errors/wrong_frees");
    let code = |options: &[&str], act: &str| {
        let recorded = run::recorded(options, &[(&program).into(), act.into()]);
        (recorded.status.code(), recorded.status.signal(), recorded.stderr)
    };
    let gate = &["--error-exitcode", "9"][..];
    assert_eq!(code(gate, "good").0, Some(0));
    assert_eq!(code(gate, "unknown").0, Some(2), "its own status");
    let (status, signal, said) = code(gate, "double_free");
    assert_eq!((status, signal), (Some(9), None), "it wins over the signal");
    assert!(said.contains("heaptape: 1 double free: heaptape errors "), "{said}");
    assert_eq!(code(gate, "sized").0, Some(9));
    let (status, _, said) = code(gate, "in_child");
    assert_eq!(status, Some(9));
    assert!(said.contains("--process '#1'"), "{said}");
    let (_, signal, said) = code(&[], "double_free");
    assert_eq!(signal, Some(6), "without the option, the program's own end");
    assert!(said.contains("1 free of what was no live block: heaptape errors "), "{said}");
    let (_, _, said) = code(&[], "good");
    assert!(!said.contains("heaptape errors"), "{said}");
}

/// The words of glibc are tied to the free that it did not take.
#[test]
fn what_libc_says_is_told() {
    let program = build::target("errors/wrong_frees");
    for (act, words) in [("inside", ""), ("double_free", "double free")] {
        let found = wrong::all_errors(&run::recorded(&[], &[(&program).into(), act.into()]));
        let said = found[0]["said"].as_str().unwrap_or_else(|| panic!("{act}: {found:#?}"));
        assert!(said.contains("free") && said.contains(words), "{act}: {said}");
    }
}

/// The programs of the samples that free wrongly, and those that do not.
#[test]
fn the_samples() {
    for (name, kinds) in [
        ("abort", &[][..]),
        ("char-leak", &[]),
        ("cpp-leak", &[]),
        ("cpp", &[]),
        ("invalid-free", &["inside_block"]),
        ("leak-2", &[]),
        ("leak-3", &[]),
        ("leak", &[]),
        ("normal", &[]),
        ("segfault-2", &[]),
        ("segfault", &[]),
        ("shared-ptr", &[]),
        ("thread", &[]),
    ] {
        let program = build::target(&format!("samples/{name}"));
        let recorded = run::recorded(&[], &[program.into()]);
        let found = wrong::errors(&recorded.tape());
        assert_eq!(found[0]["undecided_total"], 0, "{name}: {found:#?}");
        let errors = wrong::all_errors(&recorded);
        let told: Vec<&str> = errors.iter().map(|e| e["kind"].as_str().expect("kind")).collect();
        assert_eq!(told, kinds, "{name}: {errors:#?}");
    }
}

/// Some of its frees are of addresses that were freed before, as far as can be seen.
#[test]
fn a_library_that_allocates_unseen_raises_no_false_alarm() {
    let words =
        [build::target("errors/deepbind").into(), build::target("errors/deepbind_plugin").into()];
    let recorded = run::recorded(&[], &words);
    assert!(recorded.status.success(), "{}", recorded.stderr);
    let result = wrong::errors(&recorded.tape()).remove(0);
    assert_eq!(result["total"], 0, "{result:#}");
    assert!(result["undecided_total"].as_u64() > Some(20), "{result:#}");
}
