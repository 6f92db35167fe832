use std::mem;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use distlock_core::{Deadline, Moment};
use redis::{RedisResult, Value};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::connection::{Answered, Connection};
use crate::request::Request;

/// The requests that come while others of a connection are unanswered. What is here when the
/// runtime has nothing else to do goes out as one.
///
/// It does not wait for answers: however long those take, no request is held up for one.
pub(crate) struct Gathering {
    /// The one that the connection lives in, so that both end together.
    runtime: Handle,
    unanswered: AtomicUsize,
    here: Mutex<Vec<Gathered>>,
}

/// A request that goes out with others.
struct Gathered {
    request: Request,
    by: Deadline,
    answer: oneshot::Sender<Dealt>,
}

/// What comes of a request that goes out with others.
pub(crate) enum Dealt {
    Answered(RedisResult<Answered>),
    /// Nothing was done: each is to be sent by itself.
    Alone,
    /// The time that it was given is over.
    Late,
}

/// Counts a request until it is answered or given up.
pub(crate) struct Unanswered<'a> {
    count: &'a AtomicUsize,
    pub(crate) is_one_of_many: bool,
}

/// That what is here is to go out, by this connection. There is one while anything is.
struct Turn(Option<Arc<Connection>>);

impl Gathering {
    /// How many may be unanswered when the next is sent by itself: for so few, to gather them takes
    /// longer than it spares.
    const FEW: usize = 7;
    /// How many go out as one. They take the server a few microseconds each, in which it does
    /// nothing else; and while it does them, the client is to have others to prepare.
    const MOST: usize = 32;

    /// For a connection that lives in the runtime where this is called.
    pub(crate) fn here() -> Self {
        Self {
            runtime: Handle::current(),
            unanswered: AtomicUsize::new(0),
            here: Mutex::default(),
        }
    }

    pub(crate) fn count(&self) -> Unanswered<'_> {
        let others = self.unanswered.fetch_add(1, Ordering::Relaxed);
        Unanswered {
            count: &self.unanswered,
            is_one_of_many: others > Self::FEW,
        }
    }

    /// Has a request go out with others. Nothing comes of it if the runtime ends.
    pub(crate) fn add(
        connection: &Arc<Connection>,
        request: &Request,
        by: Deadline,
    ) -> oneshot::Receiver<Dealt> {
        let (answer, answered) = oneshot::channel();
        let gathering = &connection.gathering;
        let is_first = {
            let mut here = gathering.lock();
            here.push(Gathered {
                request: request.clone(),
                by,
                answer,
            });
            here.len() == 1
        };
        if is_first {
            let turn = Turn(Some(Arc::clone(connection)));
            gathering.runtime.spawn(go_out(turn));
        }
        answered
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Gathered>> {
        self.here.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Turn {
    /// Takes as many as go out as one. The rest has a turn of its own.
    fn take(mut self) -> Option<(Arc<Connection>, Vec<Gathered>)> {
        let connection = self.0.take()?;
        let (batch, is_more) = {
            let mut here = connection.gathering.lock();
            let most = here.len().min(Gathering::MOST);
            let rest = here.split_off(most);
            (mem::replace(&mut *here, rest), !here.is_empty())
        };
        if is_more {
            tokio::spawn(go_out(Self(Some(Arc::clone(&connection)))));
        }
        Some((connection, batch))
    }
}

impl Drop for Turn {
    /// Where it was not taken, the runtime has ended, and nobody else would send what is here.
    fn drop(&mut self) {
        if let Some(connection) = &self.0 {
            let given_up = mem::take(&mut *connection.gathering.lock());
            drop(given_up);
        }
    }
}

/// Sends what is here once all who are ready have asked, and deals out the answers.
async fn go_out(turn: Turn) {
    tokio::task::yield_now().await;
    let Some((connection, batch)) = turn.take() else {
        return;
    };
    let now = Deadline::within(Duration::ZERO);
    let batch = batch.into_iter().filter(|it| !it.answer.is_closed());
    let (late, batch): (Vec<_>, Vec<_>) = batch.partition(|it| it.by <= now);
    deal_out(late, || Dealt::Late);
    let Some(latest) = batch.iter().map(|it| it.by).max() else {
        return;
    };
    let sent = Moment::now();
    let asked = async { Ok(asked(&connection, &batch).await) };
    match latest.bound(asked).await {
        Ok(Ok(Value::Array(answers))) if answers.len() == batch.len() => {
            let mut answers = answers.into_iter().map(Value::extract_error);
            deal_out(batch, || {
                let answer = answers.next().expect("as many as were asked");
                Dealt::Answered(answer.map(|value| Answered { value, sent }))
            });
        }
        Ok(Ok(_)) => deal_out(batch, || Dealt::Alone),
        Ok(Err(broken)) => deal_out(batch, || Dealt::Answered(Err(broken.clone()))),
        Err(_) => deal_out(batch, || Dealt::Late),
    }
}

async fn asked(connection: &Connection, batch: &[Gathered]) -> RedisResult<Value> {
    if let [one] = batch {
        let answer = connection.evaluate(&one.request.alone()).await?;
        return Ok(Value::Array(vec![answer]));
    }
    let requests = batch.iter().map(|it| &it.request);
    connection.evaluate(&Request::together(requests)).await
}

fn deal_out(batch: Vec<Gathered>, mut dealt: impl FnMut() -> Dealt) {
    for asker in batch {
        // Who has given up meanwhile is none of the others' business.
        let _ = asker.answer.send(dealt());
    }
}
