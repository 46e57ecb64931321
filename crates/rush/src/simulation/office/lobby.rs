//! A line that begins with a draw: its lobby, and the steps by which its leader draws the order and gives the places.

use super::SimulatedOffice;
use crate::simulation::rows::LineRows;
use anyhow::{Result, bail};
use frontrow_domain::{
    changes::Changes,
    command::{Command, DrawStep},
    id::{Position, RoomId},
    line::{BeaconWait, Draw, DrawPhase, ENTRIES_PER_PLACING_MAX, EntryCount, Fence, Room, drawn_position},
    time::{Span, Time},
    user::Caller,
};
use frontrow_draw::{Chain, DrawSecret};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

/// Sets the secret apart from what is drawn of the crowd.
const SECRET_SEED: u64 = 0xd4a3;

impl SimulatedOffice {
    /// The same box office, with a line that leads to one sale, which opens then, and begins with a draw. Its secret alone
    /// decides.
    ///
    /// # Errors
    /// The rules refused what they must not refuse.
    pub(in crate::simulation) fn with_lobby(mut self, opens_at: Time, seed: u64, now: Time) -> Result<Self> {
        let room = Room { opens_at: Some(opens_at), draw: DrawPhase::Lobby, ..self.rows.room().clone() };
        self.rows = LineRows::new(room, self.policy);
        self.restart(now)?;
        let secret = DrawSecret::from_bytes(StdRng::seed_from_u64(seed ^ SECRET_SEED).random());
        let beacon = BeaconWait { chain: Chain::quicknet(), patience: Span::ZERO };
        self.take_step(now, DrawStep::Begin { secret, beacon })?;
        Ok(self)
    }

    /// Whether the token at this position is an entry whose order is not drawn.
    pub(in crate::simulation) fn is_undrawn(&self, position: Position) -> bool {
        self.rows.room().draw.is_undrawn(position)
    }

    /// Takes all steps of the draw that are due, as the leader of the line; the changes of each.
    pub(super) fn step_draw(&mut self, now: Time, fence: Fence) -> Result<Vec<Changes>> {
        let mut all = Vec::new();
        loop {
            let room = self.rows.room();
            match room.draw {
                DrawPhase::Lobby if room.may_seal(now) => all.push(self.take_step(now, DrawStep::Seal { fence })?),
                DrawPhase::Sealed { last } => {
                    let mut count = EntryCount::default();
                    count.add(self.rows.waiting_up_to(last));
                    all.push(self.take_step(now, count.into_step(fence))?);
                }
                DrawPhase::Placing { last, placed, .. } => all.push(self.place_next(now, fence, (last, placed))?),
                DrawPhase::None | DrawPhase::Lobby | DrawPhase::Placed { .. } => return Ok(all),
            }
        }
    }

    fn take_step(&mut self, now: Time, step: DrawStep) -> Result<Changes> {
        Ok(self.ask(now, Caller::System, Command::StepDraw { room_id: RoomId::HOUSE, step })?.1)
    }

    /// Gives the next entries in the drawn order their places, of which so many have theirs.
    fn place_next(&mut self, now: Time, fence: Fence, (last, placed): (Position, i64)) -> Result<Changes> {
        let Some(order) = self.rows.draw().and_then(Draw::order) else { bail!("nothing was drawn") };
        let ranked = (1_i64..).zip(order).skip(usize::try_from(placed)?).take(ENTRIES_PER_PLACING_MAX);
        let moves: Vec<_> = ranked.map(|(rank, entry)| (entry, drawn_position(last, rank))).collect();
        let entries = moves.iter().map(|(entry, _)| *entry).collect();
        let signs = self.peers().signs_of_life(RoomId::HOUSE, &moves);
        let changes = self.take_step(now, DrawStep::Place { fence, entries })?;
        self.peers().lines().carry_over(RoomId::HOUSE, &signs);
        Ok(changes)
    }
}
