//! The last moment of a process that ends by itself: the collector may want to look at it.
//!
//! Only when that was asked for. The thread tells the collector and waits while it copies what it wants from
//! outside; then the process ends exactly as it would have. Deaths by signal: [`crate::crash`].

use crate::crash;
use crate::gate;
use crate::guard;
use crate::plea;
use crate::sys::call;
use heaptape_wire::handshake as hs;
use heaptape_wire::record::found;

/// At exit: lets the collector look at the process, if it wants to.
pub fn at_exit() {
    let Some(local) = gate::if_open() else { return };
    crash::wait_for_report(local.pid());
    // A vfork child that gives up ends itself, not the process whose memory it borrows.
    if local.pid() != call::getpid() {
        return;
    }
    guard::look_over(found::AT_EXIT);
    let wanted = local.option(hs::OPT_FREEZE_AT_EXIT) || local.option(hs::OPT_LEAKS);
    if wanted {
        plea::at_exit(local);
    }
}
