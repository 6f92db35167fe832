use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Context, Result, bail};
use tokio::net::TcpSocket;

/// A port of the loopback interface that nobody else gets as long as this lives, also while its
/// server is down.
///
/// It is held by a socket that is bound but does not listen. Bound first without `SO_REUSEADDR`, so
/// that it fails if anybody has the port, whatever their options; the option is set afterwards,
/// which lets the server bind beside it, since servers set it too. The kernel neither hands such a
/// port to others who ask for any port, nor uses it for outgoing connections: a client that tries
/// to reach the server while that is down never meets another server there, nor itself.
#[derive(Debug)]
pub struct Port {
    number: u16,
    /// Only held.
    _socket: TcpSocket,
}

impl Port {
    /// Any port that is free.
    ///
    /// # Errors
    /// All ports are in use.
    pub fn reserve() -> Result<Self> {
        Self::bind(0).context("a free port")
    }

    /// Two ports that are `distance` apart, the lower one first.
    ///
    /// # Errors
    /// No such two were found.
    pub fn reserve_pair(distance: u16) -> Result<(Self, Self)> {
        for _ in 0..1000 {
            let lower = Self::reserve()?;
            let Some(number) = lower.number.checked_add(distance) else {
                continue;
            };
            if let Ok(upper) = Self::bind(number) {
                return Ok((lower, upper));
            }
        }
        bail!("no two free ports are {distance} apart");
    }

    /// Where to reach whoever listens on it.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.number).into()
    }

    fn bind(number: u16) -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((Ipv4Addr::LOCALHOST, number).into())?;
        socket.set_reuseaddr(true)?;
        Ok(Self {
            number: socket.local_addr()?.port(),
            _socket: socket,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_server_binds_the_port_again_and_again() {
        let port = Port::reserve().unwrap();
        // As servers do, the standard library sets SO_REUSEADDR.
        for _ in 0..2 {
            TcpListener::bind(port.address()).unwrap();
        }
    }

    #[test]
    fn nobody_else_gets_the_port() {
        let port = Port::reserve().unwrap();
        assert!(Port::bind(port.number).is_err());
        let server = TcpListener::bind(port.address()).unwrap();
        assert!(Port::bind(port.number).is_err());
        drop(server);
        let number = port.number;
        drop(port);
        // Another test may have got it in the meantime, but not a thousand times.
        assert!((0..1000).any(|_| Port::bind(number).is_ok()));
    }

    #[test]
    fn a_pair_is_as_far_apart_as_asked() {
        let (lower, upper) = Port::reserve_pair(10_000).unwrap();
        assert_eq!(upper.number - lower.number, 10_000);
    }
}
