use std::pin::Pin;
use std::task::{Context, Poll, ready};

use crate::engine::caller::Contest;
use crate::error::{Error, ErrorKind, Result};
use crate::guard::Guard;

/// An acquisition that waits. Made by `acquire`, `read`, `write` and their `_within` forms.
///
/// Lazy: nothing is sent, and no time limit runs, before it is first polled.
///
/// # Cancel safety
/// Dropping it gives up the place in line; a grant that crosses that is given back. Nothing is left
/// behind beyond one round trip, or a TTL when the store cannot be reached.
#[derive(Debug)]
#[must_use = "futures do nothing unless they are awaited or polled"]
pub struct Acquire(pub(super) Contest);

impl Future for Acquire {
    type Output = Result<Guard>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(ready!(self.0.poll(context)).and_then(|guard| {
            guard.ok_or_else(|| {
                Error::new(
                    ErrorKind::Unexpected,
                    "an acquisition that waits ended without a guard",
                )
            })
        }))
    }
}

/// An acquisition that does not wait for other holders: `Ok(None)` if somebody else holds the lock.
/// Made by `try_acquire`, `try_read` and `try_write`.
///
/// Lazy: nothing is sent before it is first polled. It waits for the store, and for releases of the
/// same name that this process has begun; where those get no answer for a third of the TTL
/// (within 1 and 10 seconds), the error is `Unavailable`.
///
/// # Cancel safety
/// Dropping it leaves nothing behind beyond one round trip, or a TTL when the store cannot be
/// reached.
#[derive(Debug)]
#[must_use = "futures do nothing unless they are awaited or polled"]
pub struct TryAcquire(pub(super) Contest);

impl Future for TryAcquire {
    type Output = Result<Option<Guard>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.poll(context)
    }
}
