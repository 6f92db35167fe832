//! Panics of peers, which are looked at instead of printed.

use std::panic;
use std::sync::{Arc, Mutex, PoisonError};

/// What this gives, and the messages of all panics in the process meanwhile.
pub(crate) async fn panics_during<T>(work: impl Future<Output = T>) -> (T, Vec<String>) {
    let messages = Arc::<Mutex<Vec<String>>>::default();
    let recorder = Arc::clone(&messages);
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        let message = panic.payload_as_str().unwrap_or("?").to_owned();
        let mut messages = recorder.lock().unwrap_or_else(PoisonError::into_inner);
        messages.push(message);
    }));
    let output = work.await;
    panic::set_hook(usual);
    let mut messages = messages.lock().unwrap_or_else(PoisonError::into_inner);
    (output, std::mem::take(&mut *messages))
}
