//! The real functions: the next definitions after ours, in the order of loading.
//!
//! That keeps a jemalloc or tcmalloc in place that the program is linked with or that is preloaded after
//! us. Looked up by our own walk of the loaded objects at the first call: `dlsym` may allocate, and
//! `__libc_malloc` would be another allocator than the program's.

use core::ffi::CStr;
use core::sync::atomic::{AtomicUsize, Ordering};
use heaptape_recorder::sys::objects::{self, Definition};

/// A function of the next object; looked up once.
pub struct Real {
    name: &'static CStr,
    /// Whether it is one of the allocator's, which may be another than the program's own (`--guard`).
    allocates: bool,
    address: AtomicUsize,
}

/// Where in a [`Real`] its address lies, once [`Real::known`].
pub(crate) const ADDRESS: usize = core::mem::offset_of!(Real, address);

/// What `address` holds for a function that nobody defines.
const MISSING: usize = 1;

impl Real {
    /// The function of that name.
    pub const fn new(name: &'static CStr) -> Real {
        Real { name, allocates: false, address: AtomicUsize::new(0) }
    }

    /// The allocator's function of that name.
    pub const fn of_allocator(name: &'static CStr) -> Real {
        Real { name, allocates: true, address: AtomicUsize::new(0) }
    }

    /// Goes to another function from now on.
    pub(crate) fn exchange(&self, address: usize) {
        self.address.store(address, Ordering::Relaxed);
    }

    /// The definition of the name, wherever the calls go.
    pub(crate) fn definition(&self) -> usize {
        next(self.name).map_or(0, |definition| definition.address)
    }

    /// Its address; `None` when nobody defines it.
    #[inline(always)]
    pub fn address(&self) -> Option<usize> {
        // Relaxed: every thread that looks it up finds the same.
        match self.address.load(Ordering::Relaxed) {
            0 => self.look_up(),
            MISSING => None,
            address => Some(address),
        }
    }

    /// Its address, if it was looked up already and found.
    #[inline(always)]
    pub fn known(&self) -> Option<usize> {
        Some(self.address.load(Ordering::Relaxed)).filter(|&address| address > MISSING)
    }

    #[cold]
    fn look_up(&self) -> Option<usize> {
        let settled = !self.allocates || crate::guard::settle();
        match self.address.load(Ordering::Relaxed) {
            0 => {}
            MISSING => return None,
            exchanged => return Some(exchanged),
        }
        let found = next(self.name).map(|definition| definition.address);
        if !settled {
            return found;
        }
        self.address.store(found.unwrap_or(MISSING), Ordering::Relaxed);
        found
    }
}

/// The next definition of `name` after our own.
pub fn next(name: &CStr) -> Option<Definition> {
    objects::next_definition(next as *const () as usize, name)
}

/// Whether both addresses lie in the same loaded object.
pub fn same_object(a: usize, b: usize) -> bool {
    match (objects::find(a), objects::find(b)) {
        (Some(a), Some(b)) => a.start == b.start,
        _ => false,
    }
}

/// Calls a [`Real`] as a function of the given type, or evaluates to `$missing`.
#[macro_export]
macro_rules! call_real {
    ($real:expr, fn($($type:ty),*) -> $ret:ty, ($($arg:expr),*), $missing:expr) => {
        match $real.address() {
            Some(address) => $crate::call_address!(address, fn($($type),*) -> $ret, ($($arg),*)),
            None => $missing,
        }
    };
}

/// Calls the address of a [`Real`] as a function of the given type.
#[macro_export]
macro_rules! call_address {
    ($address:expr, fn($($type:ty),*) -> $ret:ty, ($($arg:expr),*)) => {
        // SAFETY: the definition of that name has C's signature for it.
        unsafe {
            core::mem::transmute::<usize, unsafe extern "C" fn($($type),*) -> $ret>($address)($($arg),*)
        }
    };
}
