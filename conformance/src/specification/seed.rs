use std::fmt;

use crate::failure::Unmet;

/// Names the seed that is to be run, and no other.
const VARIABLE: &str = "DISTLOCK_CONFORMANCE_SEED";

/// What a random script follows from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seed(u64);

impl Seed {
    pub(super) fn new() -> Self {
        Self(fastrand::u64(..))
    }

    /// The seed that the environment names, if it does.
    pub(super) fn given() -> Result<Option<Self>, Unmet> {
        let Some(text) = std::env::var_os(VARIABLE) else {
            return Ok(None);
        };
        let seed = text.to_str().and_then(|text| text.parse().ok());
        let seed = seed.ok_or_else(|| Unmet(format!("{VARIABLE} is to be a number: {text:?}")))?;
        Ok(Some(Self(seed)))
    }

    pub(super) fn bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&self.0.to_le_bytes());
        bytes
    }
}

impl fmt::Display for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{VARIABLE}={} runs it again", self.0)
    }
}
