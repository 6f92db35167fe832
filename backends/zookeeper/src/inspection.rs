use distlock_core::{Deadline, Entry, FencingToken, LockState, Result};
use zookeeper_client::{Client, Error as ZooKeeper};

use crate::details::Details;
use crate::error;
use crate::folder::Folder;
use crate::line::Line;

/// Who holds a name and who waits for it, as the leader knows it.
pub(crate) async fn inspect(client: &Client, folder: &Folder, by: Deadline) -> Result<LockState> {
    by.bound(async {
        let line = Line::now(client, folder).await?;
        let asked: Vec<_> = line
            .nodes()
            .map(|(node, holds)| {
                let shown = client.get_data(&folder.join(&node.to_string()));
                (node, holds, shown)
            })
            .collect();
        let mut state = LockState::default();
        for (node, holds, shown) in asked {
            let (data, stat) = match shown.await {
                Err(ZooKeeper::NoNode) => continue,
                shown => shown.map_err(error::of)?,
            };
            let mut entry = Entry::new(node.mode);
            if let Ok(Details { owner, label }) = serde_json::from_slice(&data) {
                (entry.owner, entry.label) = (Some(owner), Some(label));
            }
            if holds {
                let number = stat.czxid.cast_unsigned();
                entry.token = Some(FencingToken::from_number(number)?);
                state.holders.push(entry);
            } else {
                state.waiters.push(entry);
            }
        }
        Ok(state)
    })
    .await
}
