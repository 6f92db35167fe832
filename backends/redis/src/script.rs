use std::sync::LazyLock;

use redis::Cmd;

use crate::keys::Keys;

/// What the server does in one step: a verb on one name's queue.
pub(crate) struct Script {
    source: &'static str,
    hash: LazyLock<String>,
}

/// One run of a script.
pub(crate) struct Invocation {
    /// For a server that has the script.
    pub(crate) by_hash: Cmd,
    /// For one that has not, or has forgotten it.
    pub(crate) in_full: Cmd,
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

pub(crate) static ENTER: Script = script!("queue.lua", "enter.lua");
pub(crate) static RENEW: Script = script!("queue.lua", "renew.lua");
pub(crate) static LEAVE: Script = script!("queue.lua", "leave.lua");
pub(crate) static INSPECT: Script = script!("inspect.lua");

impl Script {
    pub(crate) fn invocation(&self, keys: &Keys, arguments: &[&str]) -> Invocation {
        let command = |verb, script: &str| {
            let mut command = redis::cmd(verb);
            command.arg(script).arg(3);
            command.arg(&keys.record).arg(&keys.line).arg(&keys.ends);
            command.arg(arguments);
            command
        };
        Invocation {
            by_hash: command("EVALSHA", &self.hash),
            in_full: command("EVAL", self.source),
        }
    }
}
