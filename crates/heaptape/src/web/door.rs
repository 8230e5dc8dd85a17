//! Who may come in: who knows the token, and asks this machine by its own name.

use std::fs::File;
use std::io::{self, Read};
use std::net::SocketAddr;

/// The token and the names of the server.
pub(crate) struct Door {
    token: String,
    hosts: [String; 2],
}

impl Door {
    /// With a new token of 128 random bits.
    pub(crate) fn new(address: SocketAddr) -> io::Result<Door> {
        let mut random = [0; 16];
        File::open("/dev/urandom")?.read_exact(&mut random)?;
        let token = random.iter().map(|byte| format!("{byte:02x}")).collect();
        let port = address.port();
        // Under other names a foreign page could have this address, too (DNS rebinding).
        Ok(Door { token, hosts: [format!("127.0.0.1:{port}"), format!("localhost:{port}")] })
    }

    /// Where the page is.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/{}/", self.hosts[0], self.token)
    }

    pub(super) fn is_host(&self, host: Option<&str>) -> bool {
        host.is_some_and(|host| self.hosts.iter().any(|own| own.eq_ignore_ascii_case(host)))
    }

    /// What of a path lies behind the token; `None` where it has another one, or none.
    pub(super) fn inside<'a>(&self, path: &'a str) -> Option<&'a str> {
        let (token, rest) = path.strip_prefix('/')?.split_once('/')?;
        let same = token.bytes().zip(self.token.bytes()).fold(0, |sum, (x, y)| sum | (x ^ y)) == 0;
        (same && token.len() == self.token.len()).then_some(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_knows_the_token_comes_in() {
        let door = Door::new("127.0.0.1:4711".parse().unwrap()).unwrap();
        let path = door.url().strip_prefix("http://127.0.0.1:4711").unwrap().to_owned();
        assert_eq!(door.inside(&format!("{path}p/0/peak")), Some("p/0/peak"));
        assert_eq!(door.inside(&path), Some(""));
        let shorter = format!("{}/", &path[..path.len() - 2]);
        for wrong in ["/", "//", "/x/", shorter.as_str(), path.trim_end_matches('/')] {
            assert_eq!(door.inside(wrong), None, "{wrong}");
        }
        assert_ne!(Door::new("127.0.0.1:4711".parse().unwrap()).unwrap().url(), door.url());
    }

    #[test]
    fn only_this_machine_is_asked() {
        let door = Door::new("127.0.0.1:4711".parse().unwrap()).unwrap();
        assert!(door.is_host(Some("127.0.0.1:4711")) && door.is_host(Some("LOCALHOST:4711")));
        for host in
            [None, Some(""), Some("127.0.0.1"), Some("127.0.0.1:80"), Some("evil.example:4711")]
        {
            assert!(!door.is_host(host), "{host:?}");
        }
    }
}
