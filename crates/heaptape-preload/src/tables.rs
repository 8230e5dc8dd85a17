//! Unwind tables of code made at run time, as its maker tells them to the unwinder of exceptions.

use crate::call_address;
use crate::real::next;
use core::ffi::CStr;
use heaptape_recorder::capture::registered;

/// libgcc's: a table comes.
#[cfg_attr(heaptape_preload, unsafe(no_mangle))]
pub unsafe extern "C" fn __register_frame(begin: usize) {
    pass_on(c"__register_frame", begin);
    registered::register(begin);
}

/// libgcc's: a table goes.
#[cfg_attr(heaptape_preload, unsafe(no_mangle))]
pub unsafe extern "C" fn __deregister_frame(begin: usize) {
    registered::deregister(begin);
    pass_on(c"__deregister_frame", begin);
}

/// To the unwinder's own function of that name. Looked up each time: it may have come with a library that is
/// unloaded again.
fn pass_on(name: &'static CStr, begin: usize) {
    if let Some(real) = next(name) {
        call_address!(real.address, fn(usize) -> (), (begin));
    }
}
