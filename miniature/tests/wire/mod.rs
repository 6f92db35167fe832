//! A wire with which something can be wrong, and which counts what is asked.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use distlock_core::{Error, ErrorKind, Result};
use distlock_miniature::{Direct, Reply, Request, Wire};
use tokio::time::sleep;

/// What is wrong with the wire.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Trouble {
    None,
    /// The server never hears of it; the client is told at once.
    Refuses,
    /// The server does it, and the client is told that the reply is lost.
    LosesReplies,
    /// The server hears of it so much later, whether the client still waits or not.
    DelaysRequests(Duration),
    /// The client hears of it so much later.
    DelaysReplies(Duration),
}

/// A kind of request that is counted.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Asked {
    Open,
    Beat,
    End,
}

#[derive(Clone, Debug)]
pub(crate) struct Tested(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    server: Direct,
    trouble: Mutex<Trouble>,
    asked: [AtomicUsize; 3],
}

impl Tested {
    pub(crate) fn new(server: &Direct) -> Self {
        Self(Arc::new(Inner {
            server: server.clone(),
            trouble: Mutex::new(Trouble::None),
            asked: Default::default(),
        }))
    }

    pub(crate) fn set(&self, trouble: Trouble) {
        *self.0.trouble.lock().unwrap() = trouble;
    }

    /// How often this has been asked.
    pub(crate) fn asked(&self, what: Asked) -> usize {
        self.0.asked[what as usize].load(Ordering::Relaxed)
    }

    /// Removes the first entry of the first session, as an operator might.
    pub(crate) async fn forget_first_entry(&self) {
        let session = 1;
        let beat = Request::Beat { session };
        let Ok(Reply::Alive { entries }) = self.0.server.ask(beat).await else {
            panic!("no session");
        };
        let entries = vec![entries[0]];
        let leave = Request::Leave { session, entries };
        self.0.server.ask(leave).await.unwrap();
    }

    /// Ends the first session, as an operator might.
    pub(crate) async fn end_first_session(&self) {
        self.0
            .server
            .ask(Request::End { session: 1 })
            .await
            .unwrap();
    }
}

#[async_trait]
impl Wire for Tested {
    async fn ask(&self, request: Request) -> Result<Reply> {
        let counted = match request {
            Request::Open { .. } => Some(Asked::Open),
            Request::Beat { .. } => Some(Asked::Beat),
            Request::End { .. } => Some(Asked::End),
            _ => None,
        };
        if let Some(what) = counted {
            self.0.asked[what as usize].fetch_add(1, Ordering::Relaxed);
        }
        let lost = || Error::new(ErrorKind::Unavailable, "the connection was reset");
        let trouble = *self.0.trouble.lock().unwrap();
        let server = self.0.server.clone();
        match trouble {
            Trouble::None => server.ask(request).await,
            Trouble::Refuses => Err(lost()),
            Trouble::LosesReplies => server.ask(request).await.and(Err(lost())),
            Trouble::DelaysRequests(delay) => {
                let arrives = tokio::spawn(async move {
                    sleep(delay).await;
                    server.ask(request).await
                });
                arrives.await.unwrap()
            }
            Trouble::DelaysReplies(delay) => {
                let reply = server.ask(request).await;
                sleep(delay).await;
                reply
            }
        }
    }
}
