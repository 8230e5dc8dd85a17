//! Operators new and delete.
//!
//! The usual ones (libstdc++'s, libc++'s) call `malloc` and `free`, which are ours. There a stub only leaves
//! a *tag*, "the next malloc is a `new[]` of 40 bytes", and jumps to the real operator: it is not on
//! the stack when the operator throws. Of an operator delete that does nothing but jump to `free`, as its code says, the
//! stub goes to the real `free` at once. An allocator that brings operators of its own (tcmalloc,
//! mimalloc) may not come by our `malloc`; there the real operator is called from a stub with proper
//! unwind information, and recorded afterwards if the tag is still there.

use crate::guard;
use crate::heap::{self, log2};
use crate::real::{ADDRESS, next, same_object};
use core::arch::{global_asm, naked_asm};
use core::ffi::CStr;
use core::sync::atomic::{AtomicUsize, Ordering};
use heaptape_recorder::call::{self, Allocation};
use heaptape_recorder::sampling::blocks::{GRAIN, SAMPLED};
use heaptape_recorder::sampling::{EVERYTHING, MEAN};
use heaptape_recorder::sys::code::{indirect_jump, jump};
use heaptape_recorder::sys::objects::{self, Definition};
use heaptape_recorder::sys::tls::{LEFT, TAG, TAG_BLOCK, TAG_CALLER, TAG_SIZE, TAG_SP};
use heaptape_recorder::tag::{self, FAILED};
use heaptape_recorder::thread::Regs;
use heaptape_wire::record::api;

/// Where a form has a number: in which argument after the first.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Arg {
    None,
    Second,
    Third,
}

/// One exported form.
struct Form {
    name: &'static CStr,
    api: u8,
    /// Where the alignment is.
    align: Arg,
    /// Of a delete: where the size is.
    size: Arg,
    /// The real operator, if it is one that stays; 0 until found. Bit 63: it belongs to the allocator itself.
    real: AtomicUsize,
    /// Of a delete: whether its real operator does nothing but call our `free`, one of those below.
    only_frees: AtomicUsize,
}

const UNASKED: usize = 0;
/// Not as far as could be seen before its first call, which may find the functions that it calls.
const NOT_YET: usize = 1;
const DOES_MORE: usize = 2;
const ONLY_FREES: usize = 3;

const OWN_OPERATOR: usize = 1 << 63;

const fn form(name: &'static CStr, api: u8, size: Arg, align: Arg) -> Form {
    let (real, only_frees) = (AtomicUsize::new(0), AtomicUsize::new(UNASKED));
    Form { name, api, align, size, real, only_frees }
}

static FORMS: [Form; 20] = [
    form(c"_Znwm", api::NEW, Arg::None, Arg::None),
    form(c"_Znam", api::NEW_ARRAY, Arg::None, Arg::None),
    form(c"_ZnwmRKSt9nothrow_t", api::NEW, Arg::None, Arg::None),
    form(c"_ZnamRKSt9nothrow_t", api::NEW_ARRAY, Arg::None, Arg::None),
    form(c"_ZnwmSt11align_val_t", api::NEW, Arg::None, Arg::Second),
    form(c"_ZnamSt11align_val_t", api::NEW_ARRAY, Arg::None, Arg::Second),
    form(c"_ZnwmSt11align_val_tRKSt9nothrow_t", api::NEW, Arg::None, Arg::Second),
    form(c"_ZnamSt11align_val_tRKSt9nothrow_t", api::NEW_ARRAY, Arg::None, Arg::Second),
    form(c"_ZdlPv", api::DELETE, Arg::None, Arg::None),
    form(c"_ZdaPv", api::DELETE_ARRAY, Arg::None, Arg::None),
    form(c"_ZdlPvm", api::DELETE, Arg::Second, Arg::None),
    form(c"_ZdaPvm", api::DELETE_ARRAY, Arg::Second, Arg::None),
    form(c"_ZdlPvRKSt9nothrow_t", api::DELETE, Arg::None, Arg::None),
    form(c"_ZdaPvRKSt9nothrow_t", api::DELETE_ARRAY, Arg::None, Arg::None),
    form(c"_ZdlPvSt11align_val_t", api::DELETE, Arg::None, Arg::Second),
    form(c"_ZdaPvSt11align_val_t", api::DELETE_ARRAY, Arg::None, Arg::Second),
    form(c"_ZdlPvmSt11align_val_t", api::DELETE, Arg::Second, Arg::Third),
    form(c"_ZdaPvmSt11align_val_t", api::DELETE_ARRAY, Arg::Second, Arg::Third),
    form(c"_ZdlPvSt11align_val_tRKSt9nothrow_t", api::DELETE, Arg::None, Arg::Second),
    form(c"_ZdaPvSt11align_val_tRKSt9nothrow_t", api::DELETE_ARRAY, Arg::None, Arg::Second),
];

/// Where a stub is to go: rax and rdx of its return.
#[repr(C)]
pub struct Target {
    address: usize,
    /// Not 0: call it from a stub that comes back to us, instead of jumping there.
    called: usize,
}

/// Defines exported stubs: keep the three arguments, ask [`prepare`], go where it says.
///
/// Before that, `$quick` may go on to the real operator, whose address is that of `{real}`: where the sampling has
/// nothing to do with the call, in production nearly every one; and where a tag is all it needs, which is written in
/// place (`tag`): nearly always otherwise. `$size`: what holds the size that the tag says.
macro_rules! operators {
    ($called:ident, $quick:ident: $($index:literal $name:ident $api:ident $size:literal)*) => {$(
        /// An operator; its name is its mangled signature.
        #[cfg_attr(heaptape_preload, unsafe(no_mangle))]
        #[unsafe(naked)]
        #[allow(non_snake_case)]
        pub unsafe extern "C" fn $name() {
            $quick!(
                $index, $api, $size,
                "2:",
                "push rdi",
                "push rsi",
                "push rdx",
                "mov rcx, rdx",
                "mov rdx, rsi",
                "mov rsi, rdi",
                concat!("mov edi, ", $index),
                "lea r8, [rsp + 24]",
                "mov r9, rbp",
                "call {prepare}",
                "mov rcx, rdx",
                "pop rdx",
                "pop rsi",
                "pop rdi",
                "test ecx, ecx",
                "jne {called}",
                "jmp rax",
                prepare = sym prepare,
                called = sym $called,
            )
        }
    )*};
}

/// Writes the tag, if there is none, and goes on to the real operator; on to `2:` where that is not all.
macro_rules! quick_tag {
    ($index:literal, $api:ident, $size:literal, $block:literal, [$($before:tt)*], $($rest:tt)*) => {
        naked_asm!(
            $($before)*
            "mov rax, qword ptr [rip + {mean}@GOTPCREL]",
            "cmp qword ptr [rax], {everything}",
            "jne 2f",
            // Not known, or one that may not call `malloc` or `free`.
            "cmp qword ptr [rip + {forms} + {real}], 0",
            "jle 2f",
            "mov rax, qword ptr [rip + heaptape_tls@GOTTPOFF]",
            "cmp qword ptr fs:[rax + {tag}], 0",
            "jne 3f",
            "mov rcx, qword ptr [rsp]",
            "mov qword ptr fs:[rax + {tag_caller}], rcx",
            "mov qword ptr fs:[rax + {tag_sp}], rsp",
            concat!("mov qword ptr fs:[rax + {tag_size}], ", $size),
            concat!("mov qword ptr fs:[rax + {tag_block}], ", $block),
            "mov qword ptr fs:[rax + {tag}], {word}",
            "jmp qword ptr [rip + {forms} + {real}]",
            // One that another operator called, or jumped to as its last act: that one's tag stays.
            "3:",
            "test dword ptr fs:[rax + {tag}], {failed}",
            "jne 2f",
            "cmp rsp, qword ptr fs:[rax + {tag_sp}]",
            "ja 2f",
            "jb 5f",
            "mov rcx, qword ptr [rsp]",
            "cmp rcx, qword ptr fs:[rax + {tag_caller}]",
            "jne 2f",
            "5:",
            "jmp qword ptr [rip + {forms} + {real}]",
            $($rest)*
            mean = sym MEAN,
            everything = const EVERYTHING,
            forms = sym FORMS,
            real = const real_offset($index),
            tag = const TAG,
            tag_size = const TAG_SIZE,
            tag_block = const TAG_BLOCK,
            tag_sp = const TAG_SP,
            tag_caller = const TAG_CALLER,
            word = const tag::word(api::$api, 0),
            failed = const FAILED,
        )
    };
}

/// Of an `operator new` that calls `malloc`: on to the real one if more than its bytes are left until the next
/// that is chosen. `malloc` will count them.
macro_rules! quick_new {
    ($index:literal, $api:ident, $size:literal, $($rest:tt)*) => {
        quick_tag!(
            $index, $api, $size, "0",
            [
                "mov rax, qword ptr [rip + heaptape_tls@GOTTPOFF]",
                "cmp qword ptr fs:[rax + {left}], rdi",
                "jbe 4f",
                "mov rax, qword ptr [rip + {forms} + {real}]",
                "test rax, rax",
                "jle 2f",
                "jmp rax",
                "4:",
            ],
            $($rest)*
            left = const LEFT,
        )
    };
}

/// Of an operator with an alignment, which is rare: it may ask for more bytes than it was asked for.
macro_rules! not_quick {
    ($index:literal, $api:ident, $size:literal, $($rest:tt)*) => { naked_asm!($($rest)*) };
}

/// Of an `operator delete`: on to the real one if no sampled block lies near.
macro_rules! quick_delete {
    ($index:literal, $api:ident, $size:literal, $($rest:tt)*) => {
        quick_tag!(
            $index, $api, $size, "rdi",
            [
                "mov rax, qword ptr [rip + {mean}@GOTPCREL]",
                "cmp qword ptr [rax], {everything}",
                "jbe 4f",
                "mov rax, rdi",
                "shr rax, {grain}",
                "movzx eax, ax",
                "mov rcx, qword ptr [rip + {sampled}@GOTPCREL]",
                "cmp byte ptr [rcx + rax], 0",
                "jne 2f",
                "cmp qword ptr [rip + {forms} + {way}], {only_frees}",
                "jne 7f",
                "jmp qword ptr [rip + {free} + {address}]",
                "7:",
                "mov rax, qword ptr [rip + {forms} + {real}]",
                "btr rax, 63",
                "test rax, rax",
                "je 2f",
                "jmp rax",
                "4:",
                // NULL takes no tag.
                "test rdi, rdi",
                "je 2f",
                "cmp qword ptr [rip + {forms} + {way}], {only_frees}",
                "jne 6f",
                "mov rax, qword ptr [rip + heaptape_tls@GOTTPOFF]",
                "cmp qword ptr fs:[rax + {tag}], 0",
                "jne 6f",
                // A call less of each operator that it would come by, and no tag.
                concat!("mov rsi, ", $size),
                "mov rdx, rsp",
                "mov rcx, rbp",
                "mov r8d, {function}",
                "jmp {as_free}",
                "6:",
            ],
            $($rest)*
            grain = const GRAIN,
            sampled = sym SAMPLED,
            free = sym heap::FREE,
            address = const ADDRESS,
            way = const real_offset($index) + BEHIND_REAL,
            only_frees = const ONLY_FREES,
            function = const api::$api,
            as_free = sym heap::delete_as_free,
        )
    };
}

/// Where [`Form::real`] of that form lies in [`FORMS`].
const fn real_offset(index: usize) -> usize {
    index * size_of::<Form>() + core::mem::offset_of!(Form, real)
}

/// How far behind it lies [`Form::only_frees`].
const BEHIND_REAL: usize =
    core::mem::offset_of!(Form, only_frees) - core::mem::offset_of!(Form, real);

operators! { heaptape_new_called, quick_new:
    0 _Znwm NEW "rdi"
    1 _Znam NEW_ARRAY "rdi"
    2 _ZnwmRKSt9nothrow_t NEW "rdi"
    3 _ZnamRKSt9nothrow_t NEW_ARRAY "rdi"
}

operators! { heaptape_new_called, not_quick:
    4 _ZnwmSt11align_val_t NEW "rdi"
    5 _ZnamSt11align_val_t NEW_ARRAY "rdi"
    6 _ZnwmSt11align_val_tRKSt9nothrow_t NEW "rdi"
    7 _ZnamSt11align_val_tRKSt9nothrow_t NEW_ARRAY "rdi"
}

operators! { heaptape_delete_called, quick_delete:
    8 _ZdlPv DELETE "0"
    9 _ZdaPv DELETE_ARRAY "0"
    10 _ZdlPvm DELETE "rsi"
    11 _ZdaPvm DELETE_ARRAY "rsi"
    12 _ZdlPvRKSt9nothrow_t DELETE "0"
    13 _ZdaPvRKSt9nothrow_t DELETE_ARRAY "0"
}

operators! { heaptape_delete_called, not_quick:
    14 _ZdlPvSt11align_val_t DELETE "0"
    15 _ZdaPvSt11align_val_t DELETE_ARRAY "0"
    16 _ZdlPvmSt11align_val_t DELETE "rsi"
    17 _ZdaPvmSt11align_val_t DELETE_ARRAY "rsi"
    18 _ZdlPvSt11align_val_tRKSt9nothrow_t DELETE "0"
    19 _ZdaPvSt11align_val_tRKSt9nothrow_t DELETE_ARRAY "0"
}

// Calls the operator in rax with its arguments and tells `new_done`. Exceptions pass through by its unwind
// information.
global_asm!(
    ".pushsection .text.heaptape_new_called,\"ax\",@progbits",
    ".hidden heaptape_new_called",
    ".globl heaptape_new_called",
    ".type heaptape_new_called,@function",
    "heaptape_new_called:",
    ".cfi_startproc",
    "push rbp",
    ".cfi_def_cfa_offset 16",
    ".cfi_offset rbp, -16",
    "push rdi",
    ".cfi_def_cfa_offset 24",
    "sub rsp, 8",
    ".cfi_def_cfa_offset 32",
    "call rax",
    "mov [rsp], rax",
    "mov rdi, rax",
    "mov rsi, [rsp + 8]",
    "lea rdx, [rsp + 24]",
    "mov rcx, [rsp + 16]",
    "call {done}",
    "mov rax, [rsp]",
    "add rsp, 16",
    ".cfi_def_cfa_offset 16",
    "pop rbp",
    ".cfi_def_cfa_offset 8",
    "ret",
    ".cfi_endproc",
    ".size heaptape_new_called, . - heaptape_new_called",
    ".popsection",
    done = sym new_done,
);

// Calls the operator in rax with its arguments and tells `delete_done`.
global_asm!(
    ".pushsection .text.heaptape_delete_called,\"ax\",@progbits",
    ".hidden heaptape_delete_called",
    ".globl heaptape_delete_called",
    ".type heaptape_delete_called,@function",
    "heaptape_delete_called:",
    ".cfi_startproc",
    "sub rsp, 8",
    ".cfi_def_cfa_offset 16",
    "call rax",
    "call {done}",
    "add rsp, 8",
    ".cfi_def_cfa_offset 8",
    "ret",
    ".cfi_endproc",
    ".size heaptape_delete_called, . - heaptape_delete_called",
    ".popsection",
    done = sym delete_done,
);

unsafe extern "C" {
    fn heaptape_new_called();
    fn heaptape_delete_called();
}

/// Leaves the tag and finds the real operator.
unsafe extern "C" fn prepare(
    index: u32,
    first: usize,
    second: usize,
    third: usize,
    sp: usize,
    bp: usize,
) -> Target {
    let form = &FORMS[index as usize];
    let regs = Regs { sp, bp };
    let arg = |place| match place {
        Arg::None => 0,
        Arg::Second => second,
        Arg::Third => third,
    };
    let align = arg(form.align);
    let align_log2 = if align == 0 { 0 } else { log2(align) };
    let is_new = form.api == api::NEW || form.api == api::NEW_ARRAY;
    // SAFETY: the stub's stack pointer points to the return address.
    let real = find(form, unsafe { *(sp as *const usize) });
    if is_new {
        let certain = real.is_some_and(|(_, own)| own);
        call::tag_new(form.api, first, align_log2, certain, regs);
        return match real {
            Some((address, own)) => Target { address, called: usize::from(own) },
            None if form.align == Arg::None => {
                Target { address: heap::malloc as *const () as usize, called: 0 }
            }
            None => Target { address: aligned_new as *const () as usize, called: 0 },
        };
    }
    let (address, own) = real.unwrap_or((heap::free as *const () as usize, false));
    let called = usize::from(own && first != 0);
    if called != 0 {
        call::deleting(form.api, first, arg(form.size), align_log2, regs);
    } else if first != 0 {
        call::tag_delete(form.api, first, arg(form.size), align_log2, regs);
    }
    Target { address, called }
}

/// The real operator of a form for the caller at `caller`, and whether it belongs to the allocator itself.
///
/// One that was there at the start of the program serves everybody, for ever. Others (a C program that opens
/// C++ plug-ins) are looked up at each call: the caller's own first, as its loader would, and never
/// kept, because they may be unloaded.
fn find(form: &Form, caller: usize) -> Option<(usize, bool)> {
    let known = form.real.load(Ordering::Relaxed);
    if known != 0 {
        return Some((known & !OWN_OPERATOR, known & OWN_OPERATOR != 0));
    }
    let is_own = |address| same_object(guard::malloc_beneath(), address);
    let first = next(form.name);
    if let Some(Definition { address, lasting: true }) = first {
        let own = is_own(address);
        let way = match form.only_frees.load(Ordering::Relaxed) {
            _ if !own && only_frees(address) => ONLY_FREES,
            UNASKED => NOT_YET,
            _ => DOES_MORE,
        };
        form.only_frees.store(way, Ordering::Relaxed);
        if way == NOT_YET {
            return Some((address, own));
        }
        form.real.store(address | if own { OWN_OPERATOR } else { 0 }, Ordering::Relaxed);
        return Some((address, own));
    }
    let address = objects::definition_at(caller, form.name).or(first.map(|d| d.address))?;
    Some((address, is_own(address)))
}

/// Whether the operator delete at `address` does nothing but jump to our `free`, maybe by way of others that we stand in
/// front of: as libstdc++'s and libc++'s do, where the program has not replaced one of them.
fn only_frees(address: usize) -> bool {
    if heap::FREE.known().is_none() {
        return false;
    }
    let mut at = address;
    // The longest way is that of a sized delete[]: by delete[] and delete.
    for _ in 0..4 {
        let Some(to) = jump(at).and_then(|entry| {
            // Of an entry of the procedure linkage table, which is the same module's.
            if same_object(entry, at) { indirect_jump(entry) } else { None }
        }) else {
            return false;
        };
        // Where the program has a `free` of its own, that is what our own is bound to.
        if !same_object(to, only_frees as *const () as usize) {
            return false;
        }
        if to == heap::free as *const () as usize {
            return true;
        }
        let Some(form) = DELETES.iter().position(|delete| to == *delete as usize) else {
            return false;
        };
        match next(FORMS[FIRST_DELETE + form].name) {
            Some(Definition { address, lasting: true }) => at = address,
            _ => return false,
        }
    }
    false
}

/// Our own deletes that others jump to.
static DELETES: [unsafe extern "C" fn(); 2] = [_ZdlPv, _ZdaPv];
/// The place of the first of them in [`FORMS`]; the other comes next.
const FIRST_DELETE: usize = 8;

/// After an operator that was called: records the block, unless our `malloc` has done so.
unsafe extern "C" fn new_done(addr: usize, size: usize, sp: usize, bp: usize) {
    if let Some((function, align_log2)) = call::untag() {
        let regs = Regs { sp, bp };
        let given = Allocation { api: function, addr, size, align_log2, usable: 0 };
        // An allocator of its own, which nobody here knows how to ask.
        call::allocated(given, regs, |_| 0);
        if addr != 0 {
            guard::passed_by();
        }
    }
}

/// After a delete that was called.
unsafe extern "C" fn delete_done() {
    call::deleted();
}

/// `operator new` with an alignment where nobody defines one: no C++ library is loaded that could throw.
unsafe extern "C" fn aligned_new(size: usize, align: usize) -> usize {
    // SAFETY: our own hook, which consumes the tag.
    unsafe { heap::aligned_alloc(align, size.next_multiple_of(align.max(1))) }
}
