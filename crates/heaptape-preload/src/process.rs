//! Start, end, fork, exec, dlopen, dlclose.

use crate::call_real;
use crate::real::Real;
use crate::signals;
use core::arch::naked_asm;
use core::ffi::CStr;
use heaptape_recorder::follow::{self, Environment, MAX_LOOKED_AT, Plan, search_path};
use heaptape_recorder::sys::call::is_readable;
use heaptape_recorder::sys::objects;
use heaptape_recorder::thread::Regs;
use heaptape_recorder::{altstack, call, ending, gate, guard, modules, thread};

static DLOPEN: Real = Real::new(c"dlopen");
static DLCLOSE: Real = Real::new(c"dlclose");
static EXECVE: Real = Real::new(c"execve");
static EXECVPE: Real = Real::new(c"execvpe");
static FEXECVE: Real = Real::new(c"fexecve");
static POSIX_SPAWN: Real = Real::new(c"posix_spawn");
static POSIX_SPAWNP: Real = Real::new(c"posix_spawnp");
static EXIT: Real = Real::new(c"_exit");
static AT_QUICK_EXIT: Real = Real::new(c"__cxa_at_quick_exit");
static GETENV: Real = Real::new(c"getenv");
static REGISTER_ATFORK: Real = Real::new(c"__register_atfork");

const FAILED: i32 = -1;
const RTLD_DEEPBIND: i32 = 8;

/// The first thing: be there before a program that never allocates ends, and hear of forks.
extern "C" fn start() {
    call::begin_process();
    let handle = &raw const HANDLE;
    let register = &REGISTER_ATFORK;
    type Handler = extern "C" fn();
    // First registered: before a fork ours runs last and after it first, nearest to the fork itself.
    call_real!(
        register,
        fn(Handler, Handler, Handler, *const u8) -> i32,
        (before_fork, after_fork_in_parent, after_fork_in_child, handle),
        0
    );
    // The same for `quick_exit`: first registered, last run.
    call_real!(AT_QUICK_EXIT, fn(extern "C" fn(), *const u8) -> i32, (finish, handle), 0);
    signals::start();
}

/// What libc takes for the identity of this library.
static HANDLE: u8 = 0;

extern "C" fn before_fork() {
    gate::before_fork();
}

extern "C" fn after_fork_in_parent() {
    gate::after_fork_in_parent();
}

extern "C" fn after_fork_in_child() {
    altstack::after_fork_in_child();
    thread::after_fork_in_child();
}

/// The last thing that `exit` and `quick_exit` do with us.
extern "C" fn finish() {
    ending::at_exit();
}

#[used]
#[cfg_attr(heaptape_preload, unsafe(link_section = ".init_array"))]
static START: extern "C" fn() = start;
#[used]
#[cfg_attr(heaptape_preload, unsafe(link_section = ".fini_array"))]
static FINISH: extern "C" fn() = finish;

/// The loader's dlopen, which looks at who calls: so it is gone on to by a jump.
#[cfg_attr(heaptape_preload, unsafe(no_mangle))]
#[unsafe(naked)]
pub unsafe extern "C" fn dlopen(_path: *const u8, _mode: i32) -> usize {
    naked_asm!(
        "push rdi",
        "mov edi, esi",
        "call {}",
        "pop rdi",
        "mov esi, edx",
        "jmp rax",
        sym prepare_open
    )
}

/// Where a stub is to go, and with what: rax and rdx of its return.
#[repr(C)]
struct Open {
    address: usize,
    mode: usize,
}

/// A library opened with `RTLD_DEEPBIND` calls libc's own functions, past the hooks. Where blocks come from another
/// allocator that must not be: libc would free what is not its own.
unsafe extern "C" fn prepare_open(mode: i32) -> Open {
    let address = DLOPEN.address().unwrap_or(cannot_open as *const () as usize);
    let mode = if guard::is_in_use() { mode & !RTLD_DEEPBIND } else { mode };
    Open { address, mode: mode as u32 as usize }
}

unsafe extern "C" fn cannot_open() -> usize {
    0
}

/// The loader's dlclose; afterwards the recorder looks for what is gone.
#[cfg_attr(heaptape_preload, unsafe(no_mangle))]
#[unsafe(naked)]
pub unsafe extern "C" fn dlclose(_handle: usize) -> i32 {
    naked_asm!("mov rsi, rsp", "mov rdx, rbp", "jmp {}", sym wrap_dlclose)
}

unsafe extern "C" fn wrap_dlclose(handle: usize, sp: usize, bp: usize) -> i32 {
    let ret = call_real!(DLCLOSE, fn(usize) -> i32, (handle), FAILED);
    modules::after_close(Regs { sp, bp });
    ret
}

/// Ends the process at once; contents are copied before, if they are wanted.
#[cfg_attr(heaptape_preload, unsafe(no_mangle))]
pub unsafe extern "C" fn _exit(status: i32) {
    ending::at_exit();
    call_real!(EXIT, fn(i32) -> (), (status), ());
}

/// C99's name for it.
#[cfg_attr(heaptape_preload, unsafe(no_mangle))]
#[allow(non_snake_case)]
pub unsafe extern "C" fn _Exit(status: i32) {
    ending::at_exit();
    call_real!(EXIT, fn(i32) -> (), (status), ());
}

type Strings = *const *const u8;

/// Our own path, as the loader knows it.
fn library() -> &'static CStr {
    match objects::find(library as *const () as usize) {
        // SAFETY: the loader's record of us, and its string.
        Some(own) if !own.link_map.is_null() => unsafe {
            CStr::from_ptr((*own.link_map).name.cast())
        },
        _ => c"",
    }
}

/// The program's search path.
fn path_variable() -> &'static [u8] {
    let value = call_real!(
        GETENV,
        fn(*const u8) -> *const u8,
        (c"PATH".as_ptr().cast()),
        core::ptr::null()
    );
    if value.is_null() {
        return b"/bin:/usr/bin";
    }
    // SAFETY: libc's string.
    unsafe { CStr::from_ptr(value.cast()).to_bytes() }
}

/// Calls `start` with the environment that `path` is to be started with: `wanted`, mended if need be.
///
/// # Safety
/// As for `follow::plan`.
#[inline(always)]
unsafe fn with_environment(
    path: *const u8,
    wanted: Strings,
    start: &dyn Fn(Strings) -> i32,
) -> i32 {
    // SAFETY: the caller's promise.
    match unsafe { follow::plan(path, wanted, library()) } {
        Plan::Keep => start(wanted),
        // SAFETY: the caller's promise.
        plan => unsafe { with_mended(plan, wanted, start) },
    }
}

/// Apart, because it needs much stack, which a program on a small signal stack may not have.
///
/// # Safety
/// As for `follow::plan`.
#[inline(never)]
unsafe fn with_mended(plan: Plan, wanted: Strings, start: &dyn Fn(Strings) -> i32) -> i32 {
    let mut environment = Environment::new();
    // SAFETY: the caller's promise.
    start(unsafe { environment.mend(plan, wanted, library()) })
}

/// [`with_environment`] for a program that is searched for.
///
/// # Safety
/// `file` is a string, `wanted` an environment, unless they are no addresses at all.
#[inline(never)]
unsafe fn with_environment_searched(
    file: *const u8,
    wanted: Strings,
    start: &dyn Fn(Strings) -> i32,
) -> i32 {
    let mut path = [0u8; MAX_LOOKED_AT];
    if is_readable(file as usize) {
        // SAFETY: the caller's promise.
        search_path(unsafe { CStr::from_ptr(file.cast()) }, path_variable(), &mut path);
    }
    // SAFETY: the caller's promise.
    unsafe { with_environment(path.as_ptr(), wanted, start) }
}

/// POSIX's execve.
#[cfg_attr(heaptape_preload, unsafe(no_mangle))]
pub unsafe extern "C" fn execve(path: *const u8, argv: Strings, envp: Strings) -> i32 {
    let start = |envp: Strings| {
        call_real!(EXECVE, fn(*const u8, Strings, Strings) -> i32, (path, argv, envp), FAILED)
    };
    // SAFETY: the caller's strings.
    unsafe { with_environment(path, envp, &start) }
}

/// POSIX's execv.
#[cfg_attr(heaptape_preload, unsafe(no_mangle))]
pub unsafe extern "C" fn execv(path: *const u8, argv: Strings) -> i32 {
    // SAFETY: the caller's strings.
    unsafe { execve(path, argv, objects::environ()) }
}

/// GNU's execvpe.
#[cfg_attr(heaptape_preload, unsafe(no_mangle))]
pub unsafe extern "C" fn execvpe(file: *const u8, argv: Strings, envp: Strings) -> i32 {
    let start = |envp: Strings| {
        call_real!(EXECVPE, fn(*const u8, Strings, Strings) -> i32, (file, argv, envp), FAILED)
    };
    // SAFETY: the caller's strings.
    unsafe { with_environment_searched(file, envp, &start) }
}

/// POSIX's execvp.
#[cfg_attr(heaptape_preload, unsafe(no_mangle))]
pub unsafe extern "C" fn execvp(file: *const u8, argv: Strings) -> i32 {
    // SAFETY: the caller's strings.
    unsafe { execvpe(file, argv, objects::environ()) }
}

/// POSIX's fexecve.
#[cfg_attr(heaptape_preload, unsafe(no_mangle))]
pub unsafe extern "C" fn fexecve(fd: i32, argv: Strings, envp: Strings) -> i32 {
    let start = |envp: Strings| {
        call_real!(FEXECVE, fn(i32, Strings, Strings) -> i32, (fd, argv, envp), FAILED)
    };
    if argv.is_null() || envp.is_null() {
        // An error, which is the real function's to give.
        return start(envp);
    }
    // SAFETY: the caller's strings.
    unsafe { with_environment(core::ptr::null(), envp, &start) }
}

const ENOSYS: i32 = 38;

/// POSIX's posix_spawn.
#[cfg_attr(heaptape_preload, unsafe(no_mangle))]
pub unsafe extern "C" fn posix_spawn(
    pid: usize,
    path: *const u8,
    actions: usize,
    attributes: usize,
    argv: Strings,
    envp: Strings,
) -> i32 {
    let real = &POSIX_SPAWN;
    let start = |envp: Strings| {
        call_real!(
            real,
            fn(usize, *const u8, usize, usize, Strings, Strings) -> i32,
            (pid, path, actions, attributes, argv, envp),
            ENOSYS
        )
    };
    // SAFETY: the caller's strings.
    unsafe { with_environment(path, envp, &start) }
}

/// POSIX's posix_spawnp.
#[cfg_attr(heaptape_preload, unsafe(no_mangle))]
pub unsafe extern "C" fn posix_spawnp(
    pid: usize,
    file: *const u8,
    actions: usize,
    attributes: usize,
    argv: Strings,
    envp: Strings,
) -> i32 {
    let real = &POSIX_SPAWNP;
    let start = |envp: Strings| {
        call_real!(
            real,
            fn(usize, *const u8, usize, usize, Strings, Strings) -> i32,
            (pid, file, actions, attributes, argv, envp),
            ENOSYS
        )
    };
    // SAFETY: the caller's strings.
    unsafe { with_environment_searched(file, envp, &start) }
}
