//! The socket: an abstract `SOCK_SEQPACKET` address, credentials, and descriptors sent along.

use super::{check, check_size, fd};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::Duration;

/// Most descriptors sent in one message.
const MAX_SENT: usize = 2;

/// Listens at the abstract address `name`.
pub(crate) fn listen(name: &[u8]) -> io::Result<OwnedFd> {
    let kind = libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: plain call.
    let socket = check(unsafe { libc::socket(libc::AF_UNIX, kind, 0) })?;
    // SAFETY: just made.
    let socket = unsafe { fd::own(socket) };
    let (address, length) = abstract_address(name)?;
    // SAFETY: the address is `length` bytes long.
    unsafe {
        check(libc::bind(socket.as_raw_fd(), (&raw const address).cast(), length))?;
        check(libc::listen(socket.as_raw_fd(), 4096))?;
    }
    Ok(socket)
}

/// An abstract address: a zero byte and the name, no terminator.
fn abstract_address(name: &[u8]) -> io::Result<(libc::sockaddr_un, libc::socklen_t)> {
    // SAFETY: all zero is a valid sockaddr_un.
    let mut address: libc::sockaddr_un = unsafe { std::mem::zeroed() };
    if name.len() + 1 > address.sun_path.len() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    address.sun_family = libc::AF_UNIX as libc::sa_family_t;
    for (to, from) in address.sun_path[1..].iter_mut().zip(name) {
        *to = *from as libc::c_char;
    }
    let length = std::mem::offset_of!(libc::sockaddr_un, sun_path) + 1 + name.len();
    Ok((address, length as libc::socklen_t))
}

/// Connects to the abstract address `name`; what is received later is waited for so long.
pub(crate) fn connect(name: &[u8], patience: Duration) -> io::Result<OwnedFd> {
    let kind = libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC;
    // SAFETY: plain call.
    let socket = check(unsafe { libc::socket(libc::AF_UNIX, kind, 0) })?;
    // SAFETY: just made.
    let socket = unsafe { fd::own(socket) };
    let (address, length) = abstract_address(name)?;
    let patience = libc::timeval { tv_sec: patience.as_secs() as libc::time_t, tv_usec: 0 };
    // SAFETY: the address and the time are as long as is said.
    unsafe {
        check(libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_RCVTIMEO,
            (&raw const patience).cast(),
            size_of_val(&patience) as libc::socklen_t,
        ))?;
        check(libc::connect(socket.as_raw_fd(), (&raw const address).cast(), length))?;
    }
    Ok(socket)
}

/// The next connection that waits, if one does.
pub(crate) fn accept(listener: &OwnedFd) -> io::Result<Option<OwnedFd>> {
    let flags = libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: we do not ask for the address.
    let got = check(unsafe {
        libc::accept4(listener.as_raw_fd(), std::ptr::null_mut(), std::ptr::null_mut(), flags)
    });
    match got {
        // SAFETY: just made.
        Ok(connection) => Ok(Some(unsafe { fd::own(connection) })),
        Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(None),
        // The peer went away before we came: look at the next one.
        Err(e) if e.raw_os_error() == Some(libc::ECONNABORTED) => accept(listener),
        Err(e) => Err(e),
    }
}

/// The pid of the process that connected, as we see it; 0 when it is outside our pid namespace.
pub(crate) fn peer_pid(connection: &OwnedFd) -> u32 {
    let mut who = libc::ucred { pid: 0, uid: 0, gid: 0 };
    let mut length = size_of::<libc::ucred>() as libc::socklen_t;
    // SAFETY: `who` is `length` bytes long.
    let result = unsafe {
        libc::getsockopt(
            connection.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut who).cast(),
            &mut length,
        )
    };
    if result == 0 { u32::try_from(who.pid).unwrap_or(0) } else { 0 }
}

/// Receives one packet; `WouldBlock` when none has come yet, 0 bytes when the peer closed.
pub(crate) fn receive(connection: &OwnedFd, buffer: &mut [u8]) -> io::Result<usize> {
    // SAFETY: the buffer is ours; plain recv drops descriptors a hostile peer may attach.
    check_size(unsafe {
        libc::recv(
            connection.as_raw_fd(),
            buffer.as_mut_ptr().cast(),
            buffer.len(),
            libc::MSG_TRUNC,
        )
    })
}

/// Room for the control message of [`MAX_SENT`] descriptors, aligned as the kernel wants it.
#[repr(C, align(8))]
struct Control([u8; 64]);

/// Sends one packet and descriptors along with it, without waiting.
pub(crate) fn send(connection: &OwnedFd, packet: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    let fds: Vec<RawFd> = fds.iter().map(|fd| fd.as_fd().as_raw_fd()).collect();
    assert!(fds.len() <= MAX_SENT);
    let mut data =
        libc::iovec { iov_base: packet.as_ptr().cast_mut().cast(), iov_len: packet.len() };
    let mut control = Control([0; 64]);
    let payload = size_of_val(fds.as_slice());
    // SAFETY: all zero is a valid msghdr; every pointer stored in it outlives sendmsg; CMSG_SPACE of
    // two descriptors (24 bytes) fits the control buffer.
    let sent = unsafe {
        let mut message: libc::msghdr = std::mem::zeroed();
        message.msg_iov = &mut data;
        message.msg_iovlen = 1;
        if !fds.is_empty() {
            message.msg_control = control.0.as_mut_ptr().cast();
            message.msg_controllen = libc::CMSG_SPACE(payload as u32) as _;
            let header = libc::CMSG_FIRSTHDR(&message);
            (*header).cmsg_level = libc::SOL_SOCKET;
            (*header).cmsg_type = libc::SCM_RIGHTS;
            (*header).cmsg_len = libc::CMSG_LEN(payload as u32) as _;
            std::ptr::copy_nonoverlapping(
                fds.as_ptr().cast::<u8>(),
                libc::CMSG_DATA(header),
                payload,
            );
        }
        libc::sendmsg(connection.as_raw_fd(), &message, libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT)
    };
    check_size(sent).map(drop)
}
