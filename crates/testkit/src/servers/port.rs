//! A port that a test has for one of its servers.

use std::net::{Ipv4Addr, SocketAddr};
use tokio::net::TcpSocket;

/// A port of the loopback address that the system gives to no other socket while this lives, neither by chance nor to an
/// outgoing connection. A server that names the port can listen there, end, and listen there again; meanwhile connections
/// are refused.
///
/// A socket is bound to the port and never listens. Linux lets a second socket have the same address if both set
/// `SO_REUSEADDR`, as servers do.
#[derive(Debug)]
pub struct Port {
    number: u16,
    _bound: TcpSocket,
}

impl Port {
    /// One that no other socket has.
    pub fn take() -> Self {
        let bound = TcpSocket::new_v4().unwrap();
        bound.set_reuseaddr(true).unwrap();
        bound.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
        Self { number: bound.local_addr().unwrap().port(), _bound: bound }
    }

    pub const fn number(&self) -> u16 {
        self.number
    }
}
