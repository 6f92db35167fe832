use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio::sync::watch;

use super::meter::Meters;
use super::pump::Pump;
use super::weather::{Way, Weather};

/// One client's connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) client: TcpStream,
    pub(super) weather: watch::Receiver<Weather>,
    pub(super) meters: Arc<Meters>,
}

impl Connection {
    /// Forwards it until both ends have closed it, it breaks, or the network is cut.
    pub(super) async fn forward(mut self, server: SocketAddr) {
        let mut weather = self.weather.clone();
        let mut upstream = None;
        tokio::select! {
            biased;
            _ = weather.wait_for(|weather| weather.cut) => {}
            () = self.pump(server, &mut upstream) => return,
        }
        for stream in [Some(self.client), upstream].into_iter().flatten() {
            // If the other end has reset it already, that is as good.
            let _ = stream.set_zero_linger();
        }
    }

    async fn pump(&mut self, server: SocketAddr, upstream: &mut Option<TcpStream>) {
        let through = |weather: &Weather| !weather.lane(Way::ToServer).stalled;
        if self.weather.wait_for(through).await.is_err() {
            return;
        }
        let Ok(server) = TcpStream::connect(server).await else {
            // As near as can be to refusing a connection that was accepted.
            let _ = self.client.set_zero_linger();
            return;
        };
        let server = upstream.insert(server);
        for stream in [&self.client, server] {
            let _ = stream.set_nodelay(true);
        }
        let (from_client, to_client) = self.client.split();
        let (from_server, to_server) = server.split();
        let pump = |way, from, to| Pump {
            way,
            from,
            to,
            weather: self.weather.clone(),
            meter: self.meters.of(way),
        };
        // The first that breaks ends both; one that has come to its end leaves the other alone.
        let _ = tokio::try_join!(
            pump(Way::ToServer, from_client, to_server).run(),
            pump(Way::ToClient, from_server, to_client).run(),
        );
    }
}
