//! Panics of tasks, which a runtime swallows.

use std::cell::RefCell;
use std::panic;
use std::sync::Once;

thread_local! {
    static SEEN: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// What `work` comes to, and the panics of this thread meanwhile.
pub(crate) fn seen_during<T>(work: impl FnOnce() -> T) -> (T, Vec<String>) {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let earlier = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            SEEN.with_borrow_mut(|seen| seen.push(info.to_string()));
            earlier(info);
        }));
    });
    SEEN.with_borrow_mut(Vec::clear);
    let result = work();
    (result, SEEN.take())
}
