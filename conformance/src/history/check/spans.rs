use std::time::Duration;

/// Stretches of time that do not touch, in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Spans(Vec<Span>);

/// From one time to another, both included.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Span {
    pub(super) from: Duration,
    pub(super) to: Duration,
}

impl Spans {
    /// All that these cover.
    pub(super) fn covering(mut spans: Vec<Span>) -> Self {
        spans.sort_by_key(|span| span.from);
        let mut apart: Vec<Span> = Vec::with_capacity(spans.len());
        for span in spans {
            match apart.last_mut() {
                Some(last) if span.from <= last.to => last.to = last.to.max(span.to),
                _ => apart.push(span),
            }
        }
        Self(apart)
    }

    /// Whether any of the time between these two is covered.
    pub(super) fn touch(&self, from: Duration, to: Duration) -> bool {
        let next = self.0.partition_point(|span| span.to < from);
        self.0.get(next).is_some_and(|span| span.from <= to)
    }

    /// The first of them that lasts longer than this and begins between these two.
    pub(super) fn first_longer(
        &self,
        than: Duration,
        from: Duration,
        to: Duration,
    ) -> Option<&Span> {
        let next = self.0.partition_point(|span| span.to < from);
        let mut within = self.0[next..].iter().take_while(|span| span.from <= to);
        within.find(|span| span.to - span.from > than)
    }

    /// What is covered between these two.
    pub(super) fn parts(&self, from: Duration, to: Duration) -> impl Iterator<Item = Span> {
        let next = self.0.partition_point(|span| span.to < from);
        let within = self.0[next..]
            .iter()
            .take_while(move |span| span.from <= to);
        within.map(move |span| Span {
            from: span.from.max(from),
            to: span.to.min(to),
        })
    }

    /// What is not covered between these two.
    pub(super) fn gaps(&self, from: Duration, to: Duration) -> Vec<Span> {
        let next = self.0.partition_point(|span| span.to < from);
        let mut gaps = Vec::new();
        let mut since = from;
        for span in self.0[next..].iter().take_while(|span| span.from <= to) {
            if since < span.from {
                gaps.push(Span {
                    from: since,
                    to: span.from,
                });
            }
            since = since.max(span.to);
        }
        if since < to {
            gaps.push(Span { from: since, to });
        }
        gaps
    }

    /// The first time from this one on that is not covered.
    pub(super) fn next_clear(&self, time: Duration) -> Duration {
        let next = self.0.partition_point(|span| span.to < time);
        match self.0.get(next) {
            Some(span) if span.from <= time => span.to,
            _ => time,
        }
    }
}
