use fastrand::Rng;

/// Something that can go wrong with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Hazard {
    LoseRequest,
    LoseReply,
    Duplicate,
    /// Delayed by much of what is allowed for it.
    Slow,
    /// Delayed past that, perhaps past the TTL.
    Late,
    LoseHint,
    SlowHint,
    /// A hint of something that has not happened.
    FalseHint,
}

/// How likely each is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Hazards([f64; Hazard::ALL.len()]);

impl Hazard {
    pub(crate) const ALL: [Self; 8] = [
        Self::LoseRequest,
        Self::LoseReply,
        Self::Duplicate,
        Self::Slow,
        Self::Late,
        Self::LoseHint,
        Self::SlowHint,
        Self::FalseHint,
    ];

    /// The odds of it in the worst run.
    const fn worst(self) -> f64 {
        match self {
            Self::LoseRequest | Self::LoseReply | Self::Duplicate | Self::FalseHint => 0.3,
            Self::Late => 0.2,
            Self::Slow | Self::SlowHint => 0.5,
            Self::LoseHint => 1.0,
        }
    }
}

impl Hazards {
    /// Each is absent from half of the runs, so that each is also seen alone.
    pub(crate) fn draw(rng: &mut Rng) -> Self {
        Self(Hazard::ALL.map(|hazard| {
            if rng.bool() {
                hazard.worst() * rng.f64()
            } else {
                0.0
            }
        }))
    }

    pub(crate) fn strikes(self, hazard: Hazard, rng: &mut Rng) -> bool {
        rng.f64() < self.0[hazard as usize]
    }

    pub(crate) fn has(self, hazard: Hazard) -> bool {
        self.0[hazard as usize] > 0.0
    }

    pub(crate) fn without(mut self, hazard: Hazard) -> Self {
        self.0[hazard as usize] = 0.0;
        self
    }
}
