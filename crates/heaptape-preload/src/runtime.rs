//! What a library without std must bring along.

/// Never called: nothing here panics by design. If it did, the program could not go on.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // SAFETY: raises SIGILL, nothing else.
    unsafe { core::arch::asm!("ud2", options(noreturn)) }
}

/// Named by the unwind tables of `core`; exceptions never search our frames for a handler.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}
