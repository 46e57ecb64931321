//! The entries of a lobby's draw: which tokens they are, and what of them is published.

use super::{Fence, Token, TokenStatus};
use crate::{
    command::DrawStep,
    id::{Position, TokenId},
};
use frontrow_draw::{Digest, RootBuilder, entry_text, leaf_of};

/// The numbers of the entries of a sealed lobby: a bit for each position.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EntrySet(Vec<u8>);

impl EntrySet {
    /// The set in its stored form: the lowest bit of the first byte is position 1.
    #[must_use]
    pub const fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The stored form.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    fn place(position: Position) -> Option<(usize, u8)> {
        let at = usize::try_from(position.0.checked_sub(1)?).ok()?;
        Some((at / 8, 1 << (at % 8)))
    }

    /// Adds an entry.
    pub fn add(&mut self, position: Position) {
        let Some((byte, bit)) = Self::place(position) else { return };
        if byte >= self.0.len() {
            self.0.resize(byte.saturating_add(1), 0);
        }
        if let Some(bits) = self.0.get_mut(byte) {
            *bits |= bit;
        }
    }

    /// Whether it has this entry.
    #[must_use]
    pub fn contains(&self, position: Position) -> bool {
        Self::place(position).and_then(|(byte, bit)| Some(self.0.get(byte)? & bit != 0)).unwrap_or(false)
    }

    /// How many entries it has.
    #[must_use]
    pub fn len(&self) -> i64 {
        self.0.iter().map(|byte| i64::from(byte.count_ones())).sum()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|byte| *byte == 0)
    }

    /// The entries, ascending.
    pub fn iter(&self) -> impl Iterator<Item = Position> {
        (1_i64..)
            .zip(self.0.iter().flat_map(|byte| (0..8).map(move |bit| byte & (1 << bit) != 0)))
            .filter_map(|(position, is_in)| is_in.then_some(Position(position)))
    }
}

impl FromIterator<Position> for EntrySet {
    fn from_iter<I: IntoIterator<Item = Position>>(positions: I) -> Self {
        let mut set = Self::default();
        for position in positions {
            set.add(position);
        }
        set
    }
}

impl Token {
    /// The text of the entry that this token is or was, as it is published: what was known of it when it was issued.
    #[must_use]
    pub fn entry_text(&self) -> String {
        let TokenId { room_id, position } = self.id;
        entry_text(room_id.get(), position.0, self.user_id.0, self.issued_at.micros())
    }

    /// The leaf of that entry in the Merkle tree of the draw.
    #[must_use]
    pub fn entry_leaf(&self) -> Digest {
        leaf_of(&self.entry_text())
    }
}

/// The entries of a sealed lobby, counted token by token.
#[derive(Debug, Clone, Default)]
pub struct EntryCount {
    entered: EntrySet,
    tree: RootBuilder,
}

impl EntryCount {
    /// Counts the tokens of the lobby that come next, by ascending position. Those that wait are entries; the others
    /// have left.
    pub fn add<'a>(&mut self, tokens: impl IntoIterator<Item = &'a Token>) {
        for token in tokens.into_iter().filter(|token| token.status() == TokenStatus::Waiting) {
            self.entered.add(token.id.position);
            self.tree.push(token.entry_leaf());
        }
    }

    /// The step of the draw that fixes these entries.
    #[must_use]
    pub fn into_step(self, fence: Fence) -> DrawStep {
        DrawStep::Count { fence, entered: self.entered, tree: self.tree.root() }
    }
}
