use std::sync::LazyLock;

use redis::Cmd;

use crate::keys::Keys;

/// What the server does in one step: a verb on one name's queue.
pub(crate) struct Script {
    source: &'static str,
    hash: LazyLock<String>,
}

/// One run of a script.
pub(crate) struct Invocation<'a> {
    script: &'static Script,
    keys: &'a Keys,
    arguments: &'a [&'a str],
}

macro_rules! script {
    ($($file:literal),+) => {{
        const SOURCE: &str = concat!($(include_str!(concat!("scripts/", $file))),+);
        Script {
            source: SOURCE,
            hash: LazyLock::new(|| redis::Script::new(SOURCE).get_hash().to_owned()),
        }
    }};
}

pub(crate) static ENTER: Script = script!(
    "record.lua",
    "enter_alone.lua",
    "enter_behind.lua",
    "queue.lua",
    "enter.lua"
);
pub(crate) static RENEW: Script =
    script!("record.lua", "renew_alone.lua", "queue.lua", "renew.lua");
pub(crate) static LEAVE: Script = script!(
    "record.lua",
    "leave_alone.lua",
    "leave_to_next.lua",
    "queue.lua",
    "leave.lua"
);
pub(crate) static INSPECT: Script = script!("inspect.lua");

impl Script {
    pub(crate) fn invocation<'a>(
        &'static self,
        keys: &'a Keys,
        arguments: &'a [&'a str],
    ) -> Invocation<'a> {
        Invocation {
            script: self,
            keys,
            arguments,
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
        let Keys { record, line, ends } = self.keys;
        let mut command = redis::cmd(verb);
        command.arg(script).arg(3).arg(record).arg(line).arg(ends);
        command.arg(self.arguments);
        command
    }
}
