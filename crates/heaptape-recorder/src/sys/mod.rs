//! The machine below: system calls, thread-local storage, loaded objects.
//!
//! Nothing here touches `errno`, allocates, or calls into libc, except [`objects::Object`]'s lookups,
//! which ask the loader's lock-free `_dl_find_object`.

pub mod call;
pub mod code;
pub mod objects;
pub mod tls;
