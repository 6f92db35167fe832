use distlock_core::{Mode, Result};
use zookeeper_client::{Client, Error as ZooKeeper};

use crate::error;
use crate::folder::Folder;
use crate::node::Node;

/// Who holds a name and who waits for it: the nodes in its folder, in the order of their arrival.
#[derive(Debug)]
pub(crate) struct Line(Vec<Node>);

/// Where a claim stands in line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It has no node.
    Absent,
    /// It holds the name.
    Holds,
    /// It is blocked for as long as all of these are there.
    Behind(Vec<Node>),
    /// It does not mix with one before it, of this mode.
    Conflicts(Mode),
}

impl Line {
    /// The line of a folder with these nodes. What is not ours does not count.
    pub(crate) fn of(names: &[String]) -> Self {
        let mut nodes: Vec<_> = names.iter().filter_map(|name| Node::parse(name)).collect();
        nodes.sort_by(Node::arrival);
        Self(nodes)
    }

    /// That of this folder, as the client's own server knows it, which others may be ahead of.
    pub(crate) async fn seen(client: &Client, folder: &Folder) -> Result<Self> {
        Self::read(client.list_children(&folder.path).await)
    }

    /// That of this folder, as it is.
    pub(crate) async fn now(client: &Client, folder: &Folder) -> Result<Self> {
        let sync = client.sync(&folder.path);
        let list = client.list_children(&folder.path);
        sync.await.map_err(error::of)?;
        Self::read(list.await)
    }

    fn read(listed: Result<Vec<String>, ZooKeeper>) -> Result<Self> {
        match listed {
            Ok(names) => Ok(Self::of(&names)),
            Err(ZooKeeper::NoNode) => Ok(Self::of(&[])),
            Err(error) => Err(error::of(error)),
        }
    }

    /// The node of this entry.
    pub(crate) fn node(&self, entry: u128) -> Option<Node> {
        let mut nodes = self.0.iter();
        nodes.find(|node| node.entry == entry).copied()
    }

    /// Where the claim of this entry stands.
    pub(crate) fn standing(&self, entry: u128) -> Standing {
        let place = self.0.iter().position(|node| node.entry == entry);
        place.map_or(Standing::Absent, |place| {
            let (before, own) = self.0.split_at(place);
            standing_behind(before, own[0].mode)
        })
    }

    /// Whether nobody stands before the claim of this entry.
    pub(crate) fn is_first(&self, entry: u128) -> bool {
        self.0.first().is_some_and(|node| node.entry == entry)
    }

    /// Where a claim of this mode would stand if it joined now.
    pub(crate) fn end(&self, mode: Mode) -> Standing {
        standing_behind(&self.0, mode)
    }

    /// Those in it, each with whether it holds.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = (Node, bool)> {
        let places = self.0.iter().enumerate();
        places.map(|(place, node)| {
            let standing = standing_behind(&self.0[..place], node.mode);
            (*node, standing == Standing::Holds)
        })
    }
}

/// Nobody overtakes: a claim holds once it mixes with all before it, whether those hold or not.
fn standing_behind(before: &[Node], mode: Mode) -> Standing {
    if let Some(other) = before.iter().find(|node| !node.mode.mixes_with(mode)) {
        return Standing::Conflicts(other.mode);
    }
    // Of those in the way, as few are named, and as late in line, as will do: whoever goes is to
    // wake few.
    let in_the_way = match mode {
        Mode::Permit { limit } => {
            let limit = usize::try_from(limit).unwrap_or(usize::MAX);
            let nearest = before.len().checked_sub(limit);
            nearest.map_or(&[][..], |nearest| &before[nearest..])
        }
        Mode::Shared => {
            let is_exclusive = |node: &Node| node.mode == Mode::Exclusive;
            let nearest = before.iter().rposition(is_exclusive);
            nearest.map_or(&[][..], |nearest| &before[nearest..=nearest])
        }
        _ => &before[before.len().saturating_sub(1)..],
    };
    if in_the_way.is_empty() {
        Standing::Holds
    } else {
        Standing::Behind(in_the_way.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERMIT: Mode = Mode::Permit { limit: 2 };

    /// A line of these modes; the entry of each is its place.
    fn line(modes: &[Mode]) -> Line {
        let mut names = vec!["somebody else's".to_owned()];
        for (mode, place) in modes.iter().zip(0_u32..) {
            let prefix = Node::prefix(*mode, place.into());
            names.push(format!("{prefix}{place:010}"));
        }
        names.reverse();
        Line::of(&names)
    }

    fn standing(modes: &[Mode], of: u128) -> Result<Vec<u128>, Standing> {
        match line(modes).standing(of) {
            Standing::Behind(nodes) => Ok(nodes.iter().map(|node| node.entry).collect()),
            other => Err(other),
        }
    }

    #[test]
    fn an_exclusive_claim_stands_behind_its_predecessor() {
        let modes = [Mode::Exclusive, Mode::Shared, Mode::Exclusive];
        assert_eq!(standing(&modes, 0), Err(Standing::Holds));
        assert_eq!(standing(&modes, 1), Ok(vec![0]));
        assert_eq!(standing(&modes, 2), Ok(vec![1]));
        assert_eq!(standing(&modes, 3), Err(Standing::Absent));
    }

    #[test]
    fn a_shared_claim_stands_behind_the_last_exclusive_one() {
        use Mode::{Exclusive, Shared};
        let modes = [Shared, Shared, Exclusive, Exclusive, Shared, Shared];
        assert_eq!(standing(&modes, 1), Err(Standing::Holds));
        assert_eq!(standing(&modes, 5), Ok(vec![3]));
        assert_eq!(line(&[Shared]).end(Shared), Standing::Holds);
    }

    #[test]
    fn a_permit_stands_behind_as_many_as_there_are() {
        assert_eq!(standing(&[PERMIT; 5], 1), Err(Standing::Holds));
        assert_eq!(standing(&[PERMIT; 5], 2), Ok(vec![0, 1]));
        assert_eq!(standing(&[PERMIT; 5], 4), Ok(vec![2, 3]));
    }

    #[test]
    fn whoever_comes_later_conflicts() {
        let other = Mode::Permit { limit: 3 };
        let modes = [PERMIT, other, Mode::Shared];
        assert_eq!(standing(&modes, 0), Err(Standing::Holds));
        assert_eq!(standing(&modes, 1), Err(Standing::Conflicts(PERMIT)));
        assert_eq!(standing(&modes, 2), Err(Standing::Conflicts(PERMIT)));
    }
}
