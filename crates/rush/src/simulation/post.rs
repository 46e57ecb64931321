//! The stream between instances: what one sends comes to each of the others in its order, each time with another delay.

use frontrow_domain::{
    changes::Changes,
    time::{Span, Time},
};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

/// The shortest time on the way to Redis or from it, and what is added on average.
const WAY: Span = Span::from_millis(1);
const MORE: f64 = 5_000.0;
/// One message in so many is late by up to this long: a reader that is busy, or a packet that was lost.
const LATE_PART: u32 = 200;
const LATE: Span = Span::from_millis(600);

/// What one instance sends to another.
#[derive(Debug, Clone)]
pub(super) enum LetterContent {
    Changes(Arc<Changes>),
    Heartbeats(Arc<[u8]>),
}

/// Something on its way.
#[derive(Debug, Clone)]
pub(super) struct SimulatedMessage {
    pub(super) to: usize,
    /// Which start of that instance it was sent to.
    pub(super) life: u64,
    pub(super) decided: Time,
    pub(super) content: LetterContent,
}

/// All that is on its way.
pub(super) struct Post {
    rng: StdRng,
    numbers: u64,
    letters: BTreeMap<(Time, u64), SimulatedMessage>,
    /// When the last message of each sender is in the stream, and when each reader has read the last one of each.
    sent: HashMap<usize, Time>,
    read: HashMap<(usize, usize), Time>,
}

impl Post {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            rng: StdRng::seed_from_u64(seed ^ 0x0905),
            numbers: 0,
            letters: BTreeMap::new(),
            sent: HashMap::new(),
            read: HashMap::new(),
        }
    }

    /// A number for something that is sent.
    pub(super) const fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    #[expect(clippy::cast_possible_truncation, reason = "milliseconds")]
    fn delay(&mut self) -> Span {
        let more = -MORE * (1.0 - self.rng.random::<f64>()).ln();
        let late = if self.rng.random_range(0..LATE_PART) == 0 { self.rng.random_range(0..LATE.micros()) } else { 0 };
        Span::from_micros(WAY.micros() + more as i64 + late)
    }

    /// When something that is sent now is in the stream.
    pub(super) fn sent_at(&mut self, from: usize, now: Time) -> Time {
        let at = now.plus(self.delay());
        let last = self.sent.entry(from).or_insert(at);
        *last = at.max(*last);
        *last
    }

    /// Puts a letter that is in the stream at this moment. Returns its number.
    pub(super) fn put(&mut self, letter: SimulatedMessage, from: usize, sent_at: Time) -> u64 {
        let at = sent_at.plus(self.delay());
        let last = self.read.entry((from, letter.to)).or_insert(at);
        *last = at.max(*last);
        let at = *last;
        let number = self.number();
        self.letters.insert((at, number), letter);
        number
    }

    /// Puts a letter back until its reader goes on.
    pub(super) fn put_back(&mut self, letter: SimulatedMessage, number: u64, until: Time) {
        self.letters.insert((until, number), letter);
    }

    /// The next letter that has arrived by now, with the moment of it and its number.
    pub(super) fn take(&mut self, now: Time) -> Option<(Time, u64, SimulatedMessage)> {
        let next = self.letters.first_entry().filter(|next| next.key().0 <= now)?;
        let (at, number) = *next.key();
        Some((at, number, next.remove()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_instance_sends_comes_in_its_order_and_not_at_once() {
        let mut post = Post::new(3);
        let mut now = Time::from_micros(0);
        let mut numbers = Vec::new();
        for _ in 0..500 {
            now = now.plus(Span::from_millis(2));
            let sent_at = post.sent_at(0, now);
            let content = LetterContent::Heartbeats(Arc::from([]));
            numbers.push(post.put(SimulatedMessage { to: 1, life: 1, decided: now, content }, 0, sent_at));
        }
        assert!(post.take(Time::from_micros(2_000)).is_none(), "nothing comes at once");
        let end = now.plus(Span::from_secs(60));
        let come: Vec<_> = std::iter::from_fn(|| post.take(end)).map(|(at, number, _)| (at, number)).collect();
        assert!(come.is_sorted_by_key(|(at, _)| *at));
        assert_eq!(come.into_iter().map(|(_, number)| number).collect::<Vec<_>>(), numbers);
    }
}
