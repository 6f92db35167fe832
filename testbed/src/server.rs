use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;
use tokio::sync::{Mutex, MutexGuard};
use url::Url;

use crate::place::Place;
use crate::process::Process;
use crate::proxy::Proxy;
use crate::recipe::{Given, Recipe};
use crate::wait::{in_time, until};

/// A server: one that was started, or one that was given. It ends with this, with the process that
/// started it, and with nothing else unless it is asked to.
///
/// Its address stays the same over restarts. All methods that break it or mend it return when that
/// is done: a server that was killed is gone, one that was started answers.
#[derive(Debug)]
pub struct Server<R: Recipe> {
    recipe: R,
    host: Host,
}

#[derive(Debug)]
enum Host {
    /// Ends before its place is removed: fields are dropped in order.
    Ours {
        process: Mutex<Option<Process>>,
        place: Place,
    },
    Given {
        url: String,
        address: SocketAddr,
    },
}

impl<R: Recipe> Server<R> {
    /// A new server, without data, that answers.
    ///
    /// # Errors
    /// The program is not installed, ends, or does not answer; its log is told.
    pub async fn started(recipe: R) -> Result<Self> {
        Self::started_at(Place::new::<R>()?, recipe).await
    }

    /// The same at a place that was chosen before, since others had to know its address.
    ///
    /// # Errors
    /// As for [`started`](Self::started).
    pub async fn started_at(place: Place, recipe: R) -> Result<Self> {
        recipe
            .prepare(&place)
            .await
            .with_context(|| format!("{} cannot be prepared", R::NAME))?;
        let server = Self {
            recipe,
            host: Host::Ours {
                process: Mutex::new(None),
                place,
            },
        };
        server.start().await?;
        Ok(server)
    }

    /// The server that is given by an environment variable ([`Recipe::GIVEN_BY`]), whatever its
    /// settings, or a new one if the variable is not set.
    ///
    /// # Errors
    /// As for [`started`](Self::started), or the variable holds no URL of a server.
    pub async fn given_or_started(recipe: R) -> Result<Self> {
        let Some(given) = R::GIVEN_BY else {
            return Self::started(recipe).await;
        };
        let Ok(url) = std::env::var(given.variable) else {
            return Self::started(recipe).await;
        };
        let address = given
            .address(&url)
            .with_context(|| format!("{} is not usable", given.variable))?;
        Ok(Self {
            recipe,
            host: Host::Given { url, address },
        })
    }

    /// Why this server cannot be broken, if it cannot: it was given.
    #[must_use]
    pub fn given(&self) -> Option<String> {
        match (&self.host, R::GIVEN_BY) {
            (Host::Given { .. }, Some(Given { variable, .. })) => Some(format!(
                "the server was given by {variable}; only one that was started here can be broken"
            )),
            _ => None,
        }
    }

    /// What it was started with.
    #[must_use]
    pub fn recipe(&self) -> &R {
        &self.recipe
    }

    /// How clients reach it, with what they need to be let in.
    #[must_use]
    pub fn url(&self) -> String {
        match &self.host {
            Host::Ours { place, .. } => self.recipe.url(place),
            Host::Given { url, .. } => url.clone(),
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        match &self.host {
            Host::Ours { place, .. } => place.address(),
            Host::Given { address, .. } => *address,
        }
    }

    /// A new proxy in front of it. This can be had of a given server too: it breaks the network
    /// between one client and the server, not the server.
    ///
    /// # Errors
    /// There is no port.
    pub async fn proxy(&self) -> Result<Proxy> {
        Proxy::started(self.address()).await
    }

    /// How clients reach it through a proxy.
    #[must_use]
    pub fn url_through(&self, proxy: &Proxy) -> String {
        let url = self.url();
        let Ok(mut through) = Url::parse(&url) else {
            return url;
        };
        let address = proxy.address();
        let changed = through.set_host(Some(&address.ip().to_string())).is_ok()
            && through.set_port(Some(address.port())).is_ok();
        debug_assert!(changed, "a URL of a server has a host and a port");
        through.into()
    }

    /// Starts it, with the data that it has. Nothing is done if it is running.
    ///
    /// # Errors
    /// It ends, or does not answer; its log is told. Or it was given.
    pub async fn start(&self) -> Result<()> {
        let (mut process, place) = self.ours().await?;
        self.start_process(&mut process, place).await
    }

    /// Stops it in order.
    ///
    /// # Errors
    /// It does not stop, or was given.
    pub async fn stop(&self) -> Result<()> {
        let (mut process, place) = self.ours().await?;
        let Some(running) = &mut *process else {
            return Ok(());
        };
        running.signal_all(Signal::SIGCONT);
        running.ask_to_end(R::STOP)?;
        in_time(running.end()).await.with_context(|| {
            let log = place.folder.log();
            format!("{} does not stop; its log:\n{log}", R::NAME)
        })?;
        *process = None;
        Ok(())
    }

    /// Kills it with all of its processes (SIGKILL).
    ///
    /// # Errors
    /// It was given.
    pub async fn kill(&self) -> Result<()> {
        let (mut process, place) = self.ours().await?;
        kill(&self.recipe, &mut process, place)
    }

    /// Stops all of its processes where they are (SIGSTOP). Its connections stay open, and the
    /// kernel takes new ones, but nobody answers.
    ///
    /// # Errors
    /// It is not running, or was given.
    pub async fn pause(&self) -> Result<()> {
        self.signal_all(Signal::SIGSTOP).await
    }

    /// Lets it go on after a [`pause`](Self::pause).
    ///
    /// # Errors
    /// It is not running, or was given.
    pub async fn resume(&self) -> Result<()> {
        self.signal_all(Signal::SIGCONT).await
    }

    /// Stops it in order and starts it again.
    ///
    /// # Errors
    /// As for [`stop`](Self::stop) and [`start`](Self::start).
    pub async fn restart(&self) -> Result<()> {
        self.stop().await?;
        self.start().await
    }

    /// Kills it and starts it again without its data, as on a machine that lost its disk.
    ///
    /// # Errors
    /// As for [`start`](Self::start).
    pub async fn restart_empty(&self) -> Result<()> {
        let (mut process, place) = self.ours().await?;
        kill(&self.recipe, &mut process, place)?;
        self.recipe.prepare(place).await?;
        self.start_process(&mut process, place).await
    }

    /// The id of its process; the other processes of a server are children of that one.
    ///
    /// # Errors
    /// It is not running, or was given.
    pub async fn pid(&self) -> Result<u32> {
        let (process, _) = self.ours().await?;
        let process = process.as_ref().context("the server is not running")?;
        Ok(process.pid().as_raw().cast_unsigned())
    }

    /// The last lines that it printed.
    ///
    /// # Errors
    /// It was given.
    pub fn log(&self) -> Result<String> {
        Ok(self.place()?.folder.log())
    }

    /// Its files.
    ///
    /// # Errors
    /// It was given.
    pub fn folder(&self) -> Result<&Path> {
        Ok(self.place()?.folder())
    }

    pub(crate) fn place(&self) -> Result<&Place> {
        match &self.host {
            Host::Ours { place, .. } => Ok(place),
            Host::Given { .. } => bail!(self.given().unwrap_or_default()),
        }
    }

    async fn signal_all(&self, signal: Signal) -> Result<()> {
        let (process, _) = self.ours().await?;
        let process = process.as_ref().context("the server is not running")?;
        process.signal_all(signal);
        Ok(())
    }

    async fn start_process(&self, process: &mut Option<Process>, place: &Place) -> Result<()> {
        if let Some(running) = process
            && running.status()?.is_none()
        {
            return Ok(());
        }
        *process = None;
        let mut started = place.folder.spawn(&self.recipe.launch(place)?)?;
        let answer = until("an answer", || self.recipe.answers(place));
        let ready = tokio::select! {
            ready = answer => ready,
            end = started.end() => end.and_then(|status| bail!("it ended: {status}")),
        };
        ready.with_context(|| {
            let log = place.folder.log();
            format!("{} does not start; its log:\n{log}", R::NAME)
        })?;
        *process = Some(started);
        Ok(())
    }

    async fn ours(&self) -> Result<(MutexGuard<'_, Option<Process>>, &Place)> {
        match &self.host {
            Host::Ours { process, place } => Ok((process.lock().await, place)),
            Host::Given { .. } => bail!(self.given().unwrap_or_default()),
        }
    }
}

/// Kills the process, if there is one.
fn kill<R: Recipe>(recipe: &R, process: &mut Option<Process>, place: &Place) -> Result<()> {
    if let Some(mut running) = process.take() {
        running.kill()?;
        recipe.bury(place);
    }
    Ok(())
}

impl<R: Recipe> Drop for Server<R> {
    fn drop(&mut self) {
        if let Host::Ours { process, place } = &mut self.host {
            // Nobody is left to tell; the janitor tries again.
            let _ = kill(&self.recipe, process.get_mut(), place);
        }
    }
}
