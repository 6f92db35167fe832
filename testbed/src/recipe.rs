use std::fmt;
use std::future::Future;
use std::net::SocketAddr;

use anyhow::{Context, Result};
use nix::sys::signal::Signal;
use url::Url;

use crate::launch::Launch;
use crate::place::Place;

/// How somebody gives a server of some kind.
#[derive(Clone, Copy, Debug)]
pub struct Given {
    /// The environment variable that holds its URL.
    pub variable: &'static str,
    /// The port that is meant by a URL without one.
    pub port: u16,
}

impl Given {
    /// Where the server of this URL listens.
    pub(crate) fn address(self, url: &str) -> Result<SocketAddr> {
        let addresses = Url::parse(url)?.socket_addrs(|| Some(self.port))?;
        addresses.first().copied().context("no such host is known")
    }
}

/// How a server of some kind, with some settings, is started. What can be done to it then is the
/// same for all: [`Server`](crate::Server).
pub trait Recipe: fmt::Debug + Send + Sync + 'static {
    /// Names the kind, in folders and errors.
    const NAME: &'static str;
    /// How somebody gives a server to use instead of one that is started.
    const GIVEN_BY: Option<Given> = None;
    /// Asks the server to end in order.
    const STOP: Signal = Signal::SIGTERM;
    /// It has to run as another user if this process is root's.
    const REFUSES_ROOT: bool = false;

    /// How clients reach the server.
    fn url(&self, place: &Place) -> String;

    /// Makes the data folder, empty, and writes what has to be there before the first start. Called
    /// again when the server has lost its data.
    fn prepare(&self, place: &Place) -> impl Future<Output = Result<()>> + Send;

    /// Starts the server; the process that this becomes is the server, not one that starts it.
    ///
    /// # Errors
    /// The program is not installed.
    fn launch(&self, place: &Place) -> Result<Launch>;

    /// Asks the server once, as a client does, whether it is there for clients.
    fn answers(&self, place: &Place) -> impl Future<Output = Result<()>> + Send;

    /// Clears up what a server that was killed leaves outside of its folder.
    fn bury(&self, _place: &Place) {}
}
