use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use distlock_core::{Deadline, Result};
use etcd_client::{WatchOptions, WatchRequestSender, WatchResponse, WatchResponseStream};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::sleep;

use crate::error::{self, unavailable};
use crate::link::{Link, lock};
use crate::watches::{Order, Table, Tidings, Topic};

/// Serves the stream on which all watches of a client are, and opens another when it breaks, for as
/// long as there are any.
pub(crate) struct WatchTask {
    link: Arc<Link>,
    table: Weak<Mutex<Table>>,
    orders: UnboundedReceiver<Order>,
}

impl WatchTask {
    /// Between two streams, at least.
    const PAUSE: Duration = Duration::from_millis(50);
    /// How long it may take to open one.
    const OPENING: Duration = Duration::from_secs(2);

    pub(crate) fn new(
        link: &Arc<Link>,
        table: &Arc<Mutex<Table>>,
        orders: UnboundedReceiver<Order>,
    ) -> Self {
        Self {
            link: Arc::clone(link),
            table: Arc::downgrade(table),
            orders,
        }
    }

    pub(crate) async fn run(mut self) {
        while self.table.strong_count() > 0 && !self.orders.is_closed() {
            let ended = self.stream().await;
            if let Some(table) = self.table.upgrade() {
                lock(&table).has_closed();
            }
            // Why there is no stream, whoever asks for something is told.
            if ended.is_err() {
                sleep(Self::PAUSE).await;
            }
        }
    }

    /// One stream, to its end.
    async fn stream(&mut self) -> Result<()> {
        let mut number = self.link.number();
        let by = Deadline::within(Self::OPENING);
        let mut connection = by.bound(self.link.connection()).await?;
        let Some(topics) = self.all_topics() else {
            // There is nothing to watch yet.
            self.orders.recv().await;
            return Ok(());
        };
        let mut openings = topics.iter().filter_map(|topic| self.opening(topic));
        let Some((start, options)) = openings.next() else {
            return Ok(());
        };
        let openings: Vec<_> = openings.collect();
        let watching = by.bound(async {
            let watching = connection.watch.watch(start, Some(options)).await;
            watching.map_err(error::of)
        });
        let (mut sender, stream) = match watching.await {
            Ok(stream) => stream.split(),
            Err(error) => {
                self.link.leave(connection.number);
                return Err(error);
            }
        };
        let table = Weak::clone(&self.table);
        let sending = async {
            for (start, options) in openings {
                sender
                    .watch(start, Some(options))
                    .await
                    .map_err(error::of)?;
            }
            send(&table, &mut self.orders, sender).await
        };
        tokio::select! {
            sent = sending => sent,
            heard = hear(&table, stream) => heard,
            _ = number.wait_for(|number| *number != connection.number) => Ok(()),
        }
    }

    /// What is to be watched. Orders that were given until now are among it.
    fn all_topics(&mut self) -> Option<Vec<Topic>> {
        let table = self.table.upgrade()?;
        let table = lock(&table);
        while self.orders.try_recv().is_ok() {}
        let topics = table.topics();
        (!topics.is_empty()).then_some(topics)
    }

    fn opening(&self, topic: &Topic) -> Option<(String, WatchOptions)> {
        let table = self.table.upgrade()?;
        lock(&table).opening(topic)
    }
}

/// Sends what is ordered.
async fn send(
    table: &Weak<Mutex<Table>>,
    orders: &mut UnboundedReceiver<Order>,
    mut sender: WatchRequestSender,
) -> Result<()> {
    while let Some(order) = orders.recv().await {
        let sent = match order {
            Order::Open(topic) => {
                let opening = table
                    .upgrade()
                    .and_then(|table| lock(&table).opening(&topic));
                match opening {
                    Some((start, options)) => sender.watch(start, Some(options)).await,
                    None => Ok(()),
                }
            }
            Order::Close(id) => sender.cancel(id).await,
        };
        sent.map_err(error::of)?;
    }
    Ok(())
}

/// Passes on what is told.
async fn hear(table: &Weak<Mutex<Table>>, mut stream: WatchResponseStream) -> Result<()> {
    while let Some(told) = stream.message().await.map_err(error::of)? {
        let Some(table) = table.upgrade() else {
            return Ok(());
        };
        let tidings = take(&mut lock(&table), &told)?;
        tidings.tell();
    }
    Err(unavailable("the server has ended the stream of watches"))
}

fn take(table: &mut Table, told: &WatchResponse) -> Result<Tidings> {
    const NO_WATCH: i64 = -1;
    let id = told.watch_id();
    let topic = table.topic(id).cloned();
    match topic {
        Some(topic) if told.canceled() && told.compact_revision() > 0 => {
            let tidings = table.has_missed(&topic);
            table.reopen(&topic);
            Ok(tidings)
        }
        Some(_) if told.canceled() => Err(unavailable("the server has ended a watch")),
        None if told.canceled() && id == NO_WATCH => Err(unavailable("the server opens no watch")),
        Some(topic) => {
            if told.created() {
                let revision = told.header().map_or(0, |header| header.revision());
                table.has_opened(&topic, revision);
            }
            Ok(table.has_heard(id, told.events()))
        }
        None => Ok(Tidings::default()),
    }
}
