use std::collections::HashMap;

/// Names that nobody but this session has asked for lately: whoever comes next to one of them need
/// not ask who stands before it.
///
/// The server numbers the nodes of a folder in a row, whoever makes them. A claim that was the first
/// in line had nobody before it. If the session's next claim gets the number that follows, nobody
/// has come in between; so once the first is gone, the second is alone.
///
/// In a folder that was removed and made again, numbers begin anew. But for a node to have a number
/// there, so many others must have been made before it, each in a transaction of its own; those are
/// numbered too, and never anew under one session. So it shows whether there can have been so many.
#[derive(Debug, Default)]
pub(crate) struct Quiet {
    lasts: HashMap<String, Last>,
}

/// A node, by the numbers that the server has given it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Numbers {
    /// Among the nodes of its folder.
    pub(crate) sequence: i64,
    /// Of the transaction that made it.
    pub(crate) transaction: u64,
}

/// The latest node of a name that was the first in line, and is gone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Last {
    numbers: Numbers,
    /// Whether it had followed such a one itself.
    in_a_row: bool,
}

/// So many names are known at most.
const NAMES: usize = 4096;

impl Quiet {
    /// What is known of the name of this folder.
    pub(crate) fn last(&self, folder: &str) -> Option<Last> {
        self.lasts.get(folder).copied()
    }

    /// One that was the first in line, and may have followed such a one, is gone.
    pub(crate) fn left(&mut self, folder: &str, numbers: Numbers, in_a_row: bool) {
        let last = Last { numbers, in_a_row };
        if let Some(known) = self.lasts.get_mut(folder) {
            *known = last;
            return;
        }
        if self.lasts.len() >= NAMES {
            self.lasts.clear();
        }
        self.lasts.insert(folder.to_owned(), last);
    }
}

impl Last {
    /// Whether nobody has come for so long that it is worth a try to do without a list.
    pub(crate) fn is_quiet(&self) -> bool {
        self.in_a_row
    }

    /// Whether nobody can have come between this one and another of the same session.
    pub(crate) fn is_followed_by(&self, next: Numbers) -> bool {
        let Numbers {
            sequence,
            transaction,
        } = self.numbers;
        // The end of this one and of its folder, the making of another, of nodes numbered from none
        // to this one's number, and of the next.
        let anew = u64::try_from(sequence).map_or(0, |sequence| sequence + 5);
        let since = next.transaction.checked_sub(transaction);
        next.sequence == sequence + 1 && since.is_some_and(|since| since < anew)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(sequence: i64, transaction: u64) -> Numbers {
        Numbers {
            sequence,
            transaction,
        }
    }

    fn is_followed(last: Numbers, next: Numbers) -> bool {
        let mut quiet = Quiet::default();
        quiet.left("/x", last, false);
        quiet.last("/x").unwrap().is_followed_by(next)
    }

    #[test]
    fn the_next_number_follows() {
        assert!(is_followed(numbers(7, 100), numbers(8, 102)));
        assert!(!is_followed(numbers(7, 100), numbers(9, 104)));
        assert!(!is_followed(numbers(7, 100), numbers(7, 102)));
    }

    #[test]
    fn one_of_a_folder_that_was_made_anew_does_not_follow() {
        // Removed itself and its folder, which is made again, and in it `000` by another; the next
        // is `001`.
        assert!(!is_followed(numbers(0, 100), numbers(1, 105)));
        assert!(is_followed(numbers(0, 100), numbers(1, 104)));
        // Another leader counts on from far greater a number, and a server that has lost its data
        // from a smaller.
        assert!(!is_followed(numbers(7, 100), numbers(8, 1 << 32)));
        assert!(!is_followed(numbers(7, 100), numbers(8, 50)));
        // Numbers that have gone through all there are prove nothing.
        assert!(!is_followed(numbers(-7, 100), numbers(-6, 102)));
    }

    #[test]
    fn no_more_names_are_known_than_so_many() {
        let mut quiet = Quiet::default();
        for name in 0..3 * NAMES {
            quiet.left(&format!("/{name}"), numbers(1, 1), true);
            assert!(quiet.lasts.len() <= NAMES);
        }
        assert!(quiet.last(&format!("/{}", 3 * NAMES - 1)).is_some());
    }
}
