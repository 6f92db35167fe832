use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use libtest_mimic::{Arguments, Trial};
use tokio::runtime::{Builder, Runtime};

use crate::case::Case;
use crate::cases;
use crate::child;
use crate::context::Context;
use crate::failure::Outcome;
use crate::harness::Harness;
use crate::panics::Panics;
use crate::stalls::Stalls;

/// Most cases sleep most of the time.
const AT_ONCE: usize = 16;

/// Runs the suite against a store, as the arguments of the process say, and tells how it went.
///
/// Call it first thing in `main`, and return what it returns: it is also how the processes that the
/// suite starts do their part.
pub fn run(harness: impl Harness) -> ExitCode {
    let harness: Arc<dyn Harness> = Arc::new(harness);
    if let Some(order) = child::Order::from_environment() {
        return child::obey(&*harness, order);
    }
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(AT_ONCE);
    Panics::install_hook();
    let mut cases = cases::all();
    cases.sort_by_key(|case| !case.is_long);
    let trials = cases
        .into_iter()
        .map(|case| trial(&harness, case))
        .collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn trial(harness: &Arc<dyn Harness>, case: Case) -> Trial {
    let name = format!("{}::{}", harness.capabilities().store, case.name);
    match case.lacks(&**harness) {
        Some(need) => Trial::test(name, move || Err(need.to_string().into()))
            .with_kind(need.to_string())
            .with_ignored_flag(true),
        None => {
            let harness = Arc::clone(harness);
            Trial::test(name, move || judge(harness, &case).map_err(Into::into))
        }
    }
}

/// Runs a case in a runtime of its own; the error says what went wrong, the promise first.
pub(crate) fn judge(harness: Arc<dyn Harness>, case: &Case) -> Result<(), String> {
    let panics = Panics::default();
    panics.of_this_thread();
    let runtime = runtime(&panics).map_err(|error| error.to_string())?;
    let stalls = Stalls::watch(runtime.handle());
    let context = Context::new(harness, &case.name, panics.clone());
    let limit = match case.is_sweep {
        true => 10 * context.case_limit(),
        false => context.case_limit(),
    };
    let ended = catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(within(limit, case.start(context)))
    }));
    runtime.shutdown_background();
    let what = match ended {
        Ok(Ok(Ok(()))) if panics.were_meant() => return Ok(()),
        Ok(Ok(Ok(()))) => "something panicked in the background".to_owned(),
        Ok(Ok(Err(failure))) => failure.to_string(),
        Ok(Err(_)) => format!("the case did not end within {limit:?}"),
        Err(_) => "a check failed".to_owned(),
    };
    let lines = [
        case.promise
            .map_or(what.clone(), |promise| format!("P{promise}: {what}")),
        panics.told(),
        stalls.told(),
    ];
    Err(lines
        .into_iter()
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join("\n"))
}

async fn within(
    limit: Duration,
    case: impl Future<Output = Outcome>,
) -> Result<Outcome, tokio::time::error::Elapsed> {
    tokio::time::timeout(limit, case).await
}

fn runtime(panics: &Panics) -> std::io::Result<Runtime> {
    let panics = panics.clone();
    Builder::new_multi_thread()
        .worker_threads(2)
        .on_thread_start(move || panics.of_this_thread())
        .enable_all()
        .build()
}
