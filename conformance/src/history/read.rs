use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::{error, fmt, io};

use super::History;
use super::event::Event;

/// Why a history cannot be read.
#[derive(Debug)]
#[non_exhaustive]
pub enum ReadError {
    /// The file or folder cannot be read.
    Io(PathBuf, io::Error),
    /// The last line has no end: whoever wrote it was stopped in the middle. Once nobody writes any
    /// more, [`cut_torn_line`] takes it away.
    Torn {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// A line is not an event.
    NoEvent {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        fault: serde_json::Error,
    },
}

impl History {
    /// The events of all `.jsonl` files in a folder, in order.
    ///
    /// # Errors
    /// One of the files cannot be read, or ends in the middle of a line, or has a line that is no
    /// event.
    pub fn read(folder: impl AsRef<Path>) -> Result<Self, ReadError> {
        let folder = folder.as_ref();
        let failed = |error| ReadError::Io(folder.to_owned(), error);
        let mut events = Vec::new();
        for entry in fs::read_dir(folder).map_err(failed)? {
            let file = entry.map_err(failed)?.path();
            if file
                .extension()
                .is_some_and(|extension| extension == "jsonl")
            {
                events.append(&mut read_file(file)?);
            }
        }
        Ok(Self::new(events))
    }
}

/// The events in one file, as they stand there.
///
/// # Errors
/// It cannot be read, or ends in the middle of a line, or has a line that is no event.
pub fn read_file(file: impl AsRef<Path>) -> Result<Vec<Event>, ReadError> {
    let file = file.as_ref();
    let text = fs::read(file).map_err(|error| ReadError::Io(file.to_owned(), error))?;
    let lines = text.split_inclusive(|byte| *byte == b'\n').enumerate();
    let event = |(number, line): (usize, &[u8])| {
        let (file, number) = (file.to_owned(), number + 1);
        let Some(line) = line.strip_suffix(b"\n") else {
            return Err(ReadError::Torn { file, line: number });
        };
        serde_json::from_slice(line).map_err(|fault| ReadError::NoEvent {
            file,
            line: number,
            fault,
        })
    };
    lines.map(event).collect()
}

/// Takes a last line away that has no end, and tells it. For files of processes that were killed:
/// what such a line would have said has not been recorded.
///
/// # Errors
/// The file cannot be read or written.
pub fn cut_torn_line(file: impl AsRef<Path>) -> io::Result<Option<String>> {
    let text = fs::read(&file)?;
    let whole = text.iter().rposition(|byte| *byte == b'\n');
    let whole = whole.map_or(0, |end| end + 1);
    if whole == text.len() {
        return Ok(None);
    }
    let file = File::options().write(true).open(file)?;
    file.set_len(whole as u64)?;
    Ok(Some(String::from_utf8_lossy(&text[whole..]).into_owned()))
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(file, error) => write!(f, "{}: {error}", file.display()),
            Self::Torn { file, line } => write!(
                f,
                "{}: line {line}, the last one, has no end: its writer was stopped in the middle",
                file.display()
            ),
            Self::NoEvent { file, line, fault } => write!(
                f,
                "{}: line {line} is not an event: {fault}",
                file.display()
            ),
        }
    }
}

impl error::Error for ReadError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Io(_, error) => Some(error),
            Self::NoEvent { fault, .. } => Some(fault),
            Self::Torn { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use distlock_core::Mode;

    use super::super::{Effect, Recorder, What, Wish, now};
    use super::*;

    /// A folder that goes with this.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
            fs::create_dir(&path).expect("a folder");
            Self(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn happenings() -> Vec<What> {
        vec![
            What::Started { client: 1 },
            What::Invoked {
                op: 1,
                client: 1,
                name: "a\n\"b\"".to_owned(),
                mode: Mode::Permit { limit: 3 },
                wish: Wish::Within,
                ttl: Duration::from_nanos(2_000_000_001),
            },
            What::Granted {
                op: 1,
                token: u64::MAX,
                valid_for: Duration::from_nanos(1),
            },
            What::FaultBegan {
                fault: 1,
                kind: "kill".to_owned(),
                target: "server".to_owned(),
                effect: Effect::Forgets,
            },
            What::Done,
        ]
    }

    #[test]
    fn what_was_recorded_by_several_is_read_in_order() {
        let folder = Folder::new("history-order");
        let recorders = ["one", "two"].map(|name| {
            let file = folder.0.join(name).with_extension("jsonl");
            Recorder::create(file).expect("a file")
        });
        let before = now();
        for (turn, what) in happenings().into_iter().enumerate() {
            recorders[turn % 2].record(what).expect("a line");
        }
        let history = History::read(&folder.0).expect("a history");
        let read: Vec<_> = history
            .events()
            .iter()
            .map(|event| event.what.clone())
            .collect();
        assert_eq!(read, happenings());
        let times: Vec<_> = history.events().iter().map(|event| event.at).collect();
        assert!(times.is_sorted() && before <= times[0] && times[4] <= now());
    }

    #[test]
    fn a_torn_last_line_is_told_and_can_be_cut() {
        let folder = Folder::new("history-torn");
        let file = folder.0.join("one.jsonl");
        let recorder = Recorder::create(&file).expect("a file");
        for what in happenings() {
            recorder.record(what).expect("a line");
        }
        let whole = fs::read(&file).expect("the file");
        assert_eq!(cut_torn_line(&file).expect("the file"), None);
        // Wherever its writer was stopped in the last line.
        let lines: Vec<_> = whole.split_inclusive(|byte| *byte == b'\n').collect();
        let last = lines[4];
        for length in 1..last.len() {
            fs::write(&file, &whole[..whole.len() - length]).expect("the file");
            let read = read_file(&file);
            let cut = cut_torn_line(&file).expect("the file");
            assert_eq!(read_file(&file).expect("whole lines").len(), 4);
            assert_eq!(cut.as_deref().map(str::len), Some(last.len() - length));
            let error = read.expect_err("half of a line");
            assert!(matches!(error, ReadError::Torn { line: 5, .. }), "{error}");
        }
    }

    #[test]
    fn a_line_that_is_no_event_is_told() {
        let folder = Folder::new("history-noise");
        let file = folder.0.join("one.jsonl");
        fs::write(&file, "{\"at\":1,\"what\":\"calm\"}\n{\"at\":2}\n").expect("the file");
        let error = History::read(&folder.0).expect_err("no event");
        assert!(
            matches!(error, ReadError::NoEvent { line: 2, .. }),
            "{error}"
        );
        fs::remove_dir_all(&folder.0).expect("the folder");
        let error = History::read(&folder.0).expect_err("no folder");
        assert!(matches!(error, ReadError::Io(..)), "{error}");
    }
}
