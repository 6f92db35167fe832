use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::{mpsc, watch};
use tokio::time::{Duration, Instant, sleep_until};

use super::meter::Meter;
use super::weather::{Lane, Way, Weather};

/// How much may be under way: chunks, and bytes in each of them.
const CHUNKS: usize = 256;
const CHUNK: usize = 16 * 1024;

/// Forwards one direction of one connection.
#[derive(Debug)]
pub(super) struct Pump<'a> {
    pub(super) way: Way,
    pub(super) from: ReadHalf<'a>,
    pub(super) to: WriteHalf<'a>,
    pub(super) weather: watch::Receiver<Weather>,
    pub(super) meter: &'a Meter,
}

/// The connection is to be closed in both directions.
#[derive(Debug)]
pub(super) struct Broken;

/// What was read at once, and when. An empty one is the end.
#[derive(Debug)]
struct Chunk {
    arrived: Instant,
    bytes: Vec<u8>,
}

impl Pump<'_> {
    /// Forwards what comes until it ends. Reads on while what came before is under way, so that a
    /// delay does not slow down.
    pub(super) async fn run(self) -> Result<(), Broken> {
        let (chunks, arrived) = mpsc::channel(CHUNKS);
        let out = Outlet {
            way: self.way,
            to: self.to,
            weather: self.weather,
            meter: self.meter,
        };
        let take_in = async {
            take_in(self.from, chunks).await;
            Ok(())
        };
        tokio::try_join!(take_in, out.let_out(arrived))?;
        Ok(())
    }
}

async fn take_in(mut from: ReadHalf<'_>, chunks: mpsc::Sender<Chunk>) {
    loop {
        let mut bytes = vec![0; CHUNK];
        // A connection that was reset has come to its end as well.
        let length = from.read(&mut bytes).await.unwrap_or(0);
        bytes.truncate(length);
        let arrived = Instant::now();
        if chunks.send(Chunk { arrived, bytes }).await.is_err() || length == 0 {
            return;
        }
    }
}

#[derive(Debug)]
struct Outlet<'a> {
    way: Way,
    to: WriteHalf<'a>,
    weather: watch::Receiver<Weather>,
    meter: &'a Meter,
}

impl Outlet<'_> {
    async fn let_out(mut self, mut chunks: mpsc::Receiver<Chunk>) -> Result<(), Broken> {
        while let Some(Chunk { arrived, bytes }) = chunks.recv().await {
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                let lane = self.passage(arrived).await;
                let (piece, takes) = lane.piece(rest.len());
                let admitted = self.meter.admit(piece);
                let sent = self.to.write_all(&rest[..admitted]).await;
                if admitted < piece {
                    let _ = self.to.shutdown().await;
                    return Err(Broken);
                }
                if sent.is_err() {
                    // Whoever is there learns of it from the other direction.
                    return Ok(());
                }
                self.wait_until(Instant::now() + takes).await;
                rest = &rest[piece..];
            }
            if bytes.is_empty() {
                self.passage(arrived).await;
            }
        }
        let _ = self.to.shutdown().await;
        Ok(())
    }

    /// Waits until what came at that moment may pass.
    async fn passage(&mut self, arrived: Instant) -> Lane {
        loop {
            let lane = self.weather.borrow_and_update().lane(self.way);
            if lane.stalled {
                // Without a proxy any more, there is nothing to wait for.
                if self.weather.changed().await.is_err() {
                    return lane;
                }
            } else if !self.wait_until(arrived + lane.delay).await {
                return lane;
            }
        }
    }

    /// Waits until then, or until the weather changes, and tells whether it has changed.
    async fn wait_until(&mut self, then: Instant) -> bool {
        if then <= Instant::now() {
            return false;
        }
        tokio::select! {
            () = sleep_until(then) => false,
            changed = self.weather.changed() => changed.is_ok(),
        }
    }
}

impl Lane {
    /// How much of so many bytes to send at once, and how long that takes.
    fn piece(&self, wanted: usize) -> (usize, Duration) {
        let Some(rate) = self.rate else {
            return (wanted, Duration::ZERO);
        };
        let a_moment = (rate / 50).max(1);
        let piece = wanted.min(a_moment as usize);
        (piece, Duration::from_secs(1) * piece as u32 / rate.max(1))
    }
}
