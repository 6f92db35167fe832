use distlock_core::backend::ClaimRequest;
use serde::{Deserialize, Serialize};

/// What a node tells whoever looks at it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Details {
    pub(crate) owner: String,
    pub(crate) label: String,
}

impl Details {
    pub(crate) fn of(request: &ClaimRequest) -> Self {
        Self {
            owner: request.owner.to_string(),
            label: request.label.to_string(),
        }
    }

    pub(crate) fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}
