//! Breaking the network in front of a server.

mod connection;
mod meter;
mod pump;
mod weather;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

pub use weather::Way;

use crate::port::Port;
use connection::Connection;
use meter::Meters;
use weather::Weather;

/// How many may wait to be accepted.
const BACKLOG: u32 = 1024;

/// Forwards TCP connections to a server, well or badly. It ends with this, and so do its
/// connections.
///
/// What is said to happen applies to connections that are open as well as to those to come, from
/// the moment the method returns until [`heal`](Self::heal).
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    weather: watch::Sender<Weather>,
    meters: Arc<Meters>,
    open: watch::Receiver<bool>,
    gate: JoinHandle<Result<()>>,
}

impl Proxy {
    /// One in front of whoever listens at this address.
    ///
    /// # Errors
    /// There is no port.
    pub async fn started(server: SocketAddr) -> Result<Self> {
        let (weather, _) = watch::channel(Weather::default());
        let (opened, open) = watch::channel(false);
        let meters = Arc::default();
        let port = Port::reserve()?;
        let address = port.address();
        let gate = Gate {
            port,
            server,
            weather: weather.subscribe(),
            meters: Arc::clone(&meters),
            opened,
        };
        let proxy = Self {
            address,
            weather,
            meters,
            open,
            gate: tokio::spawn(gate.keep()),
        };
        proxy.becomes_open(true).await?;
        Ok(proxy)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Resets all connections and refuses new ones, as if the server were down.
    ///
    /// # Errors
    /// The proxy has broken.
    pub async fn cut(&self) -> Result<()> {
        self.weather.send_modify(|weather| weather.cut = true);
        self.becomes_open(false).await
    }

    /// Accepts connections and says nothing; those that are open fall silent. Nothing is lost: what
    /// was sent arrives once this has healed, be it data or the end of a connection.
    pub fn black_hole(&self) {
        self.stall(Way::ToServer);
        self.stall(Way::ToClient);
    }

    /// The same in one direction. Towards the server, it does not hear of new connections either.
    pub fn stall(&self, way: Way) {
        self.weather
            .send_modify(|weather| weather.lane_mut(way).stalled = true);
    }

    /// Lets everything arrive so much later.
    pub fn delay(&self, way: Way, by: Duration) {
        self.weather
            .send_modify(|weather| weather.lane_mut(way).delay = by);
    }

    /// Lets so many bytes a second through on each connection.
    pub fn throttle(&self, way: Way, bytes_a_second: u32) {
        self.weather
            .send_modify(|weather| weather.lane_mut(way).rate = Some(bytes_a_second));
    }

    /// Closes the connection on which the next byte after so many more would pass, whichever that
    /// is; what came before it arrives. Happens once.
    pub fn break_after(&self, way: Way, bytes: u64) {
        self.meters.of(way).break_after(bytes);
    }

    /// How many bytes have passed until now, over all connections.
    #[must_use]
    pub fn passed(&self, way: Way) -> u64 {
        self.meters.of(way).passed()
    }

    /// Forwards well again.
    ///
    /// # Errors
    /// The proxy has broken.
    pub async fn heal(&self) -> Result<()> {
        for way in [Way::ToServer, Way::ToClient] {
            self.meters.of(way).do_not_break();
        }
        self.weather.send_replace(Weather::default());
        self.becomes_open(true).await
    }

    async fn becomes_open(&self, open: bool) -> Result<()> {
        let mut now = self.open.clone();
        let changed = now.wait_for(|now| *now == open).await;
        changed.context("the proxy cannot listen any more")?;
        Ok(())
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.gate.abort();
    }
}

/// Accepts connections, while it is open.
#[derive(Debug)]
struct Gate {
    port: Port,
    server: SocketAddr,
    weather: watch::Receiver<Weather>,
    meters: Arc<Meters>,
    opened: watch::Sender<bool>,
}

impl Gate {
    async fn keep(mut self) -> Result<()> {
        let mut connections = JoinSet::new();
        loop {
            self.weather.wait_for(|weather| !weather.cut).await?;
            let listener = self.listen()?;
            let mut weather = self.weather.clone();
            self.opened.send_replace(true);
            loop {
                tokio::select! {
                    biased;
                    cut = weather.wait_for(|weather| weather.cut) => {
                        cut?;
                        break;
                    }
                    accepted = listener.accept() => {
                        // Who is gone already is none of our business.
                        if let Ok((client, _)) = accepted {
                            let (weather, meters) = (self.weather.clone(), Arc::clone(&self.meters));
                            let connection = Connection { client, weather, meters };
                            connections.spawn(connection.forward(self.server));
                        }
                    }
                    Some(_ended) = connections.join_next() => {}
                }
            }
            drop(listener);
            while connections.join_next().await.is_some() {}
            self.opened.send_replace(false);
        }
    }

    /// At the same port each time, although there may be remains of earlier connections.
    fn listen(&self) -> Result<TcpListener> {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind(self.port.address())?;
        Ok(socket.listen(BACKLOG)?)
    }
}
