use std::cell::RefCell;
use std::panic::{PanicHookInfo, set_hook, take_hook};
use std::sync::{Arc, Mutex, Once, PoisonError};

thread_local! {
    /// Where the panics of this thread are noted; `None`: it belongs to no case.
    static NOTED: RefCell<Option<Panics>> = const { RefCell::new(None) };
}

/// What a panic says that a case wants.
pub(crate) const ON_PURPOSE: &str = "on purpose";

/// The panics of one case, on whichever of its threads: told with the case if it fails. It does
/// fail if anything panicked, be it in the background, that did not do so [`ON_PURPOSE`].
#[derive(Clone, Debug, Default)]
pub(crate) struct Panics(Arc<Mutex<Vec<String>>>);

impl Panics {
    /// From now on, threads that note their panics do not print them.
    pub(crate) fn install_hook() {
        static INSTALLED: Once = Once::new();
        INSTALLED.call_once(|| {
            let print = take_hook();
            set_hook(Box::new(move |panic| {
                let noted =
                    NOTED.with_borrow(|noted| noted.as_ref().map(|panics| panics.note(panic)));
                if noted.is_none() {
                    print(panic);
                }
            }));
        });
    }

    /// Notes the panics of this thread here, until it notes them elsewhere.
    pub(crate) fn of_this_thread(&self) {
        NOTED.set(Some(self.clone()));
    }

    /// From now on, the panics of this thread belong to no case.
    pub(crate) fn of_this_thread_no_more() {
        NOTED.set(None);
    }

    /// All of them, one a line.
    pub(crate) fn told(&self) -> String {
        self.lock().join("\n")
    }

    /// Whether all of them were on purpose.
    pub(crate) fn were_meant(&self) -> bool {
        self.lock().iter().all(|panic| panic.contains(ON_PURPOSE))
    }

    fn note(&self, panic: &PanicHookInfo<'_>) {
        let payload = panic.payload();
        let text = payload.downcast_ref::<&str>().copied();
        let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        let message = text.unwrap_or("a panic without a message");
        let at = panic
            .location()
            .map(|at| format!("{at}: "))
            .unwrap_or_default();
        self.lock().push(format!("{at}{message}"));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
