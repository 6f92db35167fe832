use std::cmp::Ordering;
use std::fmt;

use distlock_core::Mode;

/// The name of a claim's node: its mode, its entry under its session, and the number that the
/// server has put behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) mode: Mode,
    pub(crate) entry: u128,
    pub(crate) sequence: i32,
}

impl Node {
    /// What its name begins with, until the server has numbered it.
    pub(crate) fn prefix(mode: Mode, entry: u128) -> String {
        match mode {
            Mode::Exclusive => format!("exclusive-{entry:032x}-"),
            Mode::Shared => format!("shared-{entry:032x}-"),
            Mode::Permit { limit } => format!("permit{limit}-{entry:032x}-"),
            _ => unreachable!("a mode that this library does not have"),
        }
    }

    /// The node of this name; `None` if it is not one of ours.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let (mode, rest) = name.split_once('-')?;
        let (entry, sequence) = rest.split_once('-')?;
        let mode = match mode {
            "exclusive" => Mode::Exclusive,
            "shared" => Mode::Shared,
            _ => Mode::Permit {
                limit: mode.strip_prefix("permit")?.parse().ok()?,
            },
        };
        let node = Self {
            mode,
            entry: u128::from_str_radix(entry, 16).ok()?,
            sequence: sequence.parse().ok()?,
        };
        (node.to_string() == name).then_some(node)
    }

    /// Who was numbered first. Numbers go on from the greatest with the least, and those of one
    /// folder are never half of all apart.
    pub(crate) fn arrival(&self, other: &Self) -> Ordering {
        self.sequence.wrapping_sub(other.sequence).cmp(&0)
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefix = Self::prefix(self.mode, self.entry);
        write!(f, "{prefix}{:010}", self.sequence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back() {
        for mode in [Mode::Exclusive, Mode::Shared, Mode::Permit { limit: 7 }] {
            for sequence in [0, 1, i32::MAX, i32::MIN, -1] {
                let node = Node {
                    mode,
                    entry: u128::MAX - 5,
                    sequence,
                };
                assert_eq!(Node::parse(&node.to_string()), Some(node));
            }
        }
        let entry = "0123456789abcdef0123456789abcdef";
        for foreign in [
            "",
            "lock-0000000001",
            "exclusive-1-0000000001",
            &format!("exclusive-{entry}-1"),
            &format!("exclusive-{entry}-"),
            &format!("permit-{entry}-0000000001"),
            &format!("permit01-{entry}-0000000001"),
            &format!("Exclusive-{entry}-0000000001"),
        ] {
            assert_eq!(Node::parse(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn the_order_survives_that_the_numbers_wrap() {
        let at = |sequence| Node {
            mode: Mode::Shared,
            entry: 1,
            sequence,
        };
        let line = [i32::MAX - 1, i32::MAX, i32::MIN, -1, 0, 1].map(at);
        for pair in line.windows(2).filter(|pair| pair[0].sequence != i32::MIN) {
            assert_eq!(pair[0].arrival(&pair[1]), Ordering::Less, "{pair:?}");
            assert_eq!(pair[1].arrival(&pair[0]), Ordering::Greater, "{pair:?}");
        }
    }
}
