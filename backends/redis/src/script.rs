use std::sync::LazyLock;

use redis::Cmd;

use crate::keys::Keys;

/// What the server does in one step.
pub(crate) struct Script {
    source: &'static str,
    hash: LazyLock<String>,
}

/// One run of a script.
pub(crate) struct Invocation<'a> {
    script: &'static Script,
    keys: Vec<&'a str>,
    arguments: Vec<&'a str>,
}

/// The text of these files.
macro_rules! text {
    ($($file:literal),+) => {
        concat!($(include_str!(concat!("scripts/", $file))),+)
    };
}

macro_rules! enter {
    () => {
        text!(
            "record.lua",
            "enter_alone.lua",
            "enter_behind.lua",
            "queue.lua",
            "enter.lua"
        )
    };
}

macro_rules! renew {
    () => {
        text!("record.lua", "renew_alone.lua", "queue.lua", "renew.lua")
    };
}

macro_rules! leave {
    () => {
        text!(
            "record.lua",
            "leave_alone.lua",
            "leave_to_next.lua",
            "queue.lua",
            "leave.lua"
        )
    };
}

/// What a verb is as a script of its own.
macro_rules! alone {
    ($verb:expr) => {
        concat!(text!("clock.lua"), $verb)
    };
}

/// A function of Lua that does what the verb does. What scripts take as globals are its
/// parameters.
macro_rules! function {
    ($name:literal, $verb:expr) => {
        concat!("local function ", $name, "(KEYS, ARGV)\n", $verb, "end\n")
    };
}

macro_rules! script {
    ($source:expr) => {
        Script {
            source: $source,
            hash: LazyLock::new(|| redis::Script::new($source).get_hash().to_owned()),
        }
    };
}

pub(crate) static ENTER: Script = script!(alone!(enter!()));
pub(crate) static RENEW: Script = script!(alone!(renew!()));
pub(crate) static LEAVE: Script = script!(alone!(leave!()));
pub(crate) static INSPECT: Script = script!(text!("inspect.lua"));
/// Does many verbs, on a queue each.
pub(crate) static BATCH: Script = script!(concat!(
    text!("clock.lua"),
    function!("enter", enter!()),
    function!("renew", renew!()),
    function!("leave", leave!()),
    text!("batch.lua")
));

impl Script {
    pub(crate) fn invocation<'a>(
        &'static self,
        keys: impl IntoIterator<Item = &'a Keys>,
        arguments: impl IntoIterator<Item = &'a str>,
    ) -> Invocation<'a> {
        let keys = keys.into_iter();
        let keys = keys.flat_map(|Keys { record, line, ends }| [&**record, line, ends]);
        Invocation {
            script: self,
            keys: keys.collect(),
            arguments: arguments.into_iter().collect(),
        }
    }
}

impl Invocation<'_> {
    /// For a server that has the script.
    pub(crate) fn by_hash(&self) -> Cmd {
        self.command("EVALSHA", &self.script.hash)
    }

    /// For one that has not, or has forgotten it.
    pub(crate) fn in_full(&self) -> Cmd {
        self.command("EVAL", self.script.source)
    }

    fn command(&self, verb: &str, script: &str) -> Cmd {
        let words = || self.keys.iter().chain(&self.arguments);
        let length: usize = words().map(|word| word.len()).sum();
        let mut command = Cmd::with_capacity(words().count() + 3, length + script.len() + 16);
        command.arg(verb).arg(script).arg(self.keys.len());
        for word in words() {
            command.arg(word);
        }
        command
    }
}
