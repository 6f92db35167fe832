use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use distlock_core::backend::Signals;
use distlock_core::{Deadline, Moment, Result};
use etcd_client::{Event, EventType, WatchFilterType, WatchOptions};
use tokio::sync::{mpsc, watch};

use crate::error::unavailable;
use crate::keys::Folder;
use crate::link::{Link, lock};
use crate::seat::Seat;
use crate::stream::WatchTask;

/// What the server tells this client unasked: one stream, with a watch for each name that somebody
/// here stands under or looks on.
///
/// A watch stays open for a while after the last has left: whoever contends for a name is soon
/// back.
#[derive(Clone)]
pub(crate) struct Watches {
    link: Arc<Link>,
    table: Arc<Mutex<Table>>,
}

/// All watches, and the way to the task that serves the stream.
#[derive(Default)]
pub(crate) struct Table {
    watches: HashMap<Topic, Watch>,
    topics: HashMap<i64, Topic>,
    last_id: i64,
    orders: Option<mpsc::UnboundedSender<Order>>,
}

/// What is to be sent on the stream.
pub(crate) enum Order {
    Open(Topic),
    Close(i64),
}

/// What is told of: what is removed from a folder, or all that changes in it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Topic {
    folder: Folder,
    with_additions: bool,
}

struct Watch {
    id: i64,
    /// The first revision that is not known yet. `None`: from the one at which it opens.
    next: Option<i64>,
    is_open: watch::Sender<bool>,
    seats: HashMap<u64, Listener>,
    last_seat: u64,
    unused_since: Moment,
}

#[derive(Clone)]
enum Listener {
    Seat(Arc<Seat>),
    Monitor(Signals),
}

/// That somebody listens, for as long as this lives.
pub(crate) struct Listening {
    table: Arc<Mutex<Table>>,
    topic: Topic,
    seat: u64,
    is_open: watch::Receiver<bool>,
}

impl Watches {
    pub(crate) fn new(link: &Arc<Link>) -> Self {
        Self {
            link: Arc::clone(link),
            table: Arc::default(),
        }
    }

    /// Has the seat hear what is removed from the folder. `since`: also what was removed after this
    /// revision.
    pub(crate) fn listen(
        &self,
        folder: &Folder,
        seat: &Arc<Seat>,
        since: Option<i64>,
    ) -> Listening {
        let topic = Topic {
            folder: folder.clone(),
            with_additions: false,
        };
        self.add(topic, Listener::Seat(Arc::clone(seat)), since)
    }

    /// The same, if the folder is watched already.
    pub(crate) fn listen_if_open(&self, folder: &Folder, seat: &Arc<Seat>) -> Option<Listening> {
        let topic = Topic {
            folder: folder.clone(),
            with_additions: false,
        };
        let is_open = lock(&self.table)
            .watches
            .get(&topic)
            .is_some_and(|watch| *watch.is_open.borrow());
        is_open.then(|| self.add(topic, Listener::Seat(Arc::clone(seat)), None))
    }

    /// Has these signals told of all that changes in the folder.
    pub(crate) fn monitor(&self, folder: Folder, signals: Signals) -> Listening {
        let topic = Topic {
            folder,
            with_additions: true,
        };
        self.add(topic, Listener::Monitor(signals), None)
    }

    /// Sees to it that the stream is served: the runtime that did so may have ended.
    pub(crate) fn serve(&self) {
        self.order(&mut lock(&self.table), None);
    }

    fn add(&self, topic: Topic, listener: Listener, since: Option<i64>) -> Listening {
        let mut table = lock(&self.table);
        let is_new = !table.watches.contains_key(&topic);
        if is_new {
            table.make_room();
            let id = table.next_id();
            table.topics.insert(id, topic.clone());
            let next = since.map(|since| since + 1);
            table.watches.insert(topic.clone(), Watch::new(id, next));
        }
        let listening = table.watches.get_mut(&topic).map(|watch| {
            watch.last_seat += 1;
            watch.seats.insert(watch.last_seat, listener);
            (watch.last_seat, watch.is_open.subscribe())
        });
        self.order(&mut table, is_new.then(|| Order::Open(topic.clone())));
        let (seat, is_open) = listening.unwrap_or_else(|| (0, watch::channel(false).1));
        Listening {
            table: Arc::clone(&self.table),
            topic,
            seat,
            is_open,
        }
    }

    /// Gives an order to the task that serves the stream. If there is none, one is begun, which
    /// opens all watches.
    fn order(&self, table: &mut Table, order: Option<Order>) {
        let is_given = table.orders.as_ref().is_some_and(|orders| match order {
            Some(order) => orders.send(order).is_ok(),
            None => !orders.is_closed(),
        });
        if !is_given {
            let (orders, taken) = mpsc::unbounded_channel();
            table.orders = Some(orders);
            let task = WatchTask::new(&self.link, &self.table, taken);
            tokio::spawn(task.run());
        }
    }
}

impl Listening {
    /// Waits until the server tells of what happens from then on.
    pub(crate) async fn is_open(&mut self, by: Deadline) -> Result<()> {
        by.bound(async {
            let is_open = self.is_open.wait_for(|is_open| *is_open).await;
            is_open.map_err(|_| unavailable("the watch was closed"))?;
            Ok(())
        })
        .await
    }

    /// Whether it does now.
    pub(crate) fn is_open_now(&self) -> bool {
        *self.is_open.borrow()
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let mut table = lock(&self.table);
        if let Some(watch) = table.watches.get_mut(&self.topic) {
            watch.seats.remove(&self.seat);
            watch.unused_since = Moment::now();
        }
    }
}

impl Table {
    /// As many watches stay open although nobody listens.
    const UNUSED: usize = 256;
    /// One of which nobody has heard for so long is closed when it tells something.
    const UNUSED_FOR: Duration = Duration::from_secs(1);

    /// How to open a watch where it was left off.
    pub(crate) fn opening(&self, topic: &Topic) -> Option<(String, WatchOptions)> {
        let watch = self.watches.get(topic)?;
        let mut options = WatchOptions::new()
            .with_range(topic.folder.end())
            .with_watch_id(watch.id)
            .with_start_revision(watch.next.unwrap_or(0));
        if !topic.with_additions {
            options = options.with_filters([WatchFilterType::NoPut]);
        }
        Some((topic.folder.start().to_owned(), options))
    }

    pub(crate) fn topics(&self) -> Vec<Topic> {
        self.watches.keys().cloned().collect()
    }

    /// There is no stream any more.
    pub(crate) fn has_closed(&self) {
        for watch in self.watches.values() {
            watch.is_open.send_replace(false);
        }
    }

    pub(crate) fn topic(&self, id: i64) -> Option<&Topic> {
        self.topics.get(&id)
    }

    /// The server tells of what happens after this revision.
    pub(crate) fn has_opened(&mut self, topic: &Topic, revision: i64) {
        if let Some(watch) = self.watches.get_mut(topic) {
            watch.next.get_or_insert(revision + 1);
            watch.is_open.send_replace(true);
        }
    }

    /// The server has forgotten what happened since the watch was left off. It is to be opened
    /// anew, at the present.
    pub(crate) fn has_missed(&mut self, topic: &Topic) -> Tidings {
        let Some(watch) = self.watches.get_mut(topic) else {
            return Tidings::default();
        };
        watch.next = None;
        watch.is_open.send_replace(false);
        Tidings {
            listeners: watch.seats.values().cloned().collect(),
            ..Tidings::default()
        }
    }

    /// Has a watch opened anew, under another id: the server may still tell of the old one.
    pub(crate) fn reopen(&mut self, topic: &Topic) {
        let id = self.next_id();
        let Some(watch) = self.watches.get_mut(topic) else {
            return;
        };
        self.topics.remove(&watch.id);
        watch.id = id;
        self.topics.insert(id, topic.clone());
        if let Some(orders) = &self.orders {
            // An error means that there is no stream.
            let _ = orders.send(Order::Open(topic.clone()));
        }
    }

    /// What the server tells, and to whom. The watch is closed if that is nobody.
    pub(crate) fn has_heard(&mut self, id: i64, events: &[Event]) -> Tidings {
        let topic = self.topics.get(&id).cloned();
        let Some(topic) = topic.filter(|_| !events.is_empty()) else {
            return Tidings::default();
        };
        let Some(watch) = self.watches.get_mut(&topic) else {
            return Tidings::default();
        };
        let removed: Vec<_> = events
            .iter()
            .filter(|event| event.event_type() == EventType::Delete)
            .filter_map(Event::kv)
            .map(|removed| (removed.key().to_vec(), removed.mod_revision()))
            .collect();
        let latest = events.iter().filter_map(Event::kv);
        if let Some(latest) = latest.map(|changed| changed.mod_revision()).max() {
            watch.next = Some(latest + 1);
        }
        if watch.seats.is_empty() && watch.unused_since.elapsed() > Self::UNUSED_FOR {
            self.remove(&topic);
        }
        let watch = self.watches.get(&topic);
        Tidings {
            listeners: watch.map_or_else(Vec::new, |watch| watch.seats.values().cloned().collect()),
            removed: Some(removed),
        }
    }

    fn next_id(&mut self) -> i64 {
        self.last_id += 1;
        self.last_id
    }

    /// Closes the watch of which nobody has heard for longest, if there are too many.
    fn make_room(&mut self) {
        let unused = self
            .watches
            .iter()
            .filter(|(_, watch)| watch.seats.is_empty());
        let unused: Vec<_> = unused
            .map(|(topic, watch)| (watch.unused_since, topic))
            .collect();
        if unused.len() >= Self::UNUSED
            && let Some((_, oldest)) = unused.into_iter().min_by_key(|(since, _)| *since)
        {
            let oldest = oldest.clone();
            self.remove(&oldest);
        }
    }

    fn remove(&mut self, topic: &Topic) {
        if let Some(watch) = self.watches.remove(topic) {
            self.topics.remove(&watch.id);
            if let Some(orders) = &self.orders {
                // An error means that there is no stream.
                let _ = orders.send(Order::Close(watch.id));
            }
        }
    }
}

/// What is to be told, once the table is not locked any more.
#[derive(Default)]
pub(crate) struct Tidings {
    listeners: Vec<Listener>,
    /// Which keys were removed, and by which revisions. `None`: something was missed.
    removed: Option<Vec<(Vec<u8>, i64)>>,
}

impl Tidings {
    pub(crate) fn tell(self) {
        for listener in self.listeners {
            match (listener, &self.removed) {
                (Listener::Monitor(signals), _) => signals.look(),
                (Listener::Seat(seat), None) => seat.has_missed(),
                (Listener::Seat(seat), Some(removed)) => {
                    for (key, revision) in removed {
                        seat.hear_removed(key, *revision);
                    }
                }
            }
        }
    }
}

impl Watch {
    fn new(id: i64, next: Option<i64>) -> Self {
        Self {
            id,
            next,
            is_open: watch::Sender::new(false),
            seats: HashMap::new(),
            last_seat: 0,
            unused_since: Moment::now(),
        }
    }
}

impl fmt::Debug for Watches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = lock(&self.table).watches.len();
        f.debug_struct("Watches")
            .field("count", &count)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Listening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listening")
            .field("topic", &self.topic)
            .field("is_open", &self.is_open_now())
            .finish_non_exhaustive()
    }
}
