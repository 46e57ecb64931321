//! Many draws of small lobbies by the rules that decide, and whether every entry gets every place equally often.

use super::START;
use anyhow::{Result, bail};
use frontrow_clock::Clock;
use frontrow_domain::{
    command::{Command, DrawStep, NewRoom, Outcome, Request, RoomChange},
    decide::decide_all,
    id::{Position, RoomId, UserId},
    line::{BeaconWait, EntryCount, Fence, OpeningOrder, RoomSite, Token, TokenState},
    policy::Policy,
    time::Span,
    user::Caller,
};
use frontrow_draw::{Chain, DrawSecret};
use frontrow_storage::{Page, Store as _, memory::MemoryStore};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use std::sync::Arc;
use uuid::Uuid;

/// How many entries each lobby has.
const ENTRIES: usize = 20;
/// How many draws there are for each seed.
pub(super) const DRAWS: u32 = 2_000;
const OPENS_AFTER: Span = Span::from_secs(60);
const FENCE: Fence = Fence(1);
/// 99.9 of 100 fair draws stay below it, with 361 degrees of freedom: a table of 20 by 20 whose rows and columns all have
/// the same sum.
const QUANTILE_361: f64 = 449.76;
/// The same with 19: one row or column of that table.
const QUANTILE_19: f64 = 43.82;

/// How often each entry got each place.
pub(super) struct DrawFairness {
    draws: u32,
    /// By entry and place, both from the first on.
    counts: Vec<Vec<u32>>,
}

/// Draws so many lobbies. The same seed gives the same draws.
///
/// # Errors
/// The rules refused what they must not refuse.
pub(super) fn draw_many(draws: u32, seed: u64) -> Result<DrawFairness> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let mut rng = StdRng::seed_from_u64(seed);
    let mut counts = vec![vec![0; ENTRIES]; ENTRIES];
    for _ in 0..draws {
        let places = runtime.block_on(draw_one(&mut rng))?;
        for (row, place) in counts.iter_mut().zip(places) {
            match row.get_mut(place) {
                Some(count) => *count += 1,
                None => bail!("an entry has place {place} of {ENTRIES}"),
            }
        }
    }
    Ok(DrawFairness { draws, counts })
}

/// One lobby with its clock.
struct Lobby {
    clock: Clock,
    store: MemoryStore,
}

impl Lobby {
    async fn ask(&self, caller: Caller, command: Command) -> Result<Outcome> {
        let batch = Arc::from([Request { caller, command, idempotency: None }]);
        let committed = self.store.transact(batch, decide_all).await?;
        match committed.answers.into_iter().next().map(|answer| answer.decision) {
            Some(Ok(outcome)) => Ok(outcome),
            other => bail!("the rules of the draw answered {other:?}"),
        }
    }

    async fn step(&self, room_id: RoomId, step: DrawStep) -> Result<()> {
        self.ask(Caller::System, Command::StepDraw { room_id, step }).await.map(drop)
    }

    async fn waiting(&self, room_id: RoomId) -> Result<Vec<Token>> {
        let page = Page { after: None, limit: 10 * u32::try_from(ENTRIES)? };
        let mut tokens = self.store.waiting_tokens(room_id, page).await?;
        tokens.retain(|token| token.state == TokenState::Waiting);
        Ok(tokens)
    }
}

/// The place that each entry of a lobby got, from 0, in the order in which they had come.
async fn draw_one(rng: &mut StdRng) -> Result<Vec<usize>> {
    let clock = Clock::manual(START);
    let lobby = Lobby { store: MemoryStore::new(clock.clone(), Policy::default(), 1), clock };
    let turn_url = "https://shop.example.com/".parse().map_err(anyhow::Error::msg)?;
    let site = RoomSite { name: "Shop".to_owned(), turn_url };
    let new = NewRoom { site, max_active: 1, admit_per_minute: None, opens_at: Some(START.plus(OPENS_AFTER)) };
    let Outcome::Room(room) = lobby.ask(Caller::System, Command::CreateRoom(new)).await? else { bail!("no room") };
    let room_id = room.room_id;
    let change = RoomChange { opening: Some(OpeningOrder::Draw), ..RoomChange::default() };
    lobby.ask(Caller::System, Command::SetRoom { room_id, change, basis: None, reason: None }).await?;
    let secret = DrawSecret::from_bytes(rng.random());
    let beacon = BeaconWait { chain: Chain::quicknet(), patience: Span::ZERO };
    lobby.step(room_id, DrawStep::Begin { secret, beacon }).await?;
    let mut users = Vec::with_capacity(ENTRIES);
    for number in 0..ENTRIES {
        let user = UserId(Uuid::from_u128(u128::try_from(number)? + 1));
        lobby.ask(Caller::Buyer(user), Command::IssueToken { room_id, concert_id: None }).await?;
        users.push(user);
    }
    lobby.clock.advance(OPENS_AFTER);
    lobby.step(room_id, DrawStep::Seal { fence: FENCE }).await?;
    let mut count = EntryCount::default();
    count.add(&lobby.waiting(room_id).await?);
    lobby.step(room_id, count.into_step(FENCE)).await?;
    let order: Option<Vec<Position>> = lobby.store.draw(room_id).await?.and_then(|draw| draw.order());
    let Some(entries) = order else { bail!("nothing was drawn") };
    lobby.step(room_id, DrawStep::Place { fence: FENCE, entries }).await?;
    let places = lobby.waiting(room_id).await?;
    let place_of = |user: &UserId| places.iter().position(|token| token.user_id == *user);
    users.iter().map(|user| place_of(user).ok_or_else(|| anyhow::anyhow!("an entry has lost its place"))).collect()
}

impl DrawFairness {
    fn chi_square<'a>(&self, counts: impl IntoIterator<Item = &'a u32>) -> f64 {
        let expected = f64::from(self.draws) / f64::from(u32::try_from(ENTRIES).unwrap_or(1));
        counts.into_iter().map(|count| (f64::from(*count) - expected).powi(2) / expected).sum()
    }

    /// Of all entries and places together. The cells of one draw, one in each row and column, scatter by 20/19 more than
    /// those of a free table.
    fn of_all(&self) -> f64 {
        self.chi_square(self.counts.iter().flatten()) * 19.0 / 20.0
    }

    /// Of the places of the entry that came first.
    fn of_first_entry(&self) -> f64 {
        self.chi_square(self.counts.first().into_iter().flatten())
    }

    /// Of the entries that got the first place.
    fn of_first_place(&self) -> f64 {
        self.chi_square(self.counts.iter().filter_map(|row| row.first()))
    }

    /// Whether fair draws differ as much as these did in at least one case of a thousand.
    #[cfg(test)]
    fn is_plausible(&self) -> bool {
        self.of_all() < QUANTILE_361 && self.of_first_entry() < QUANTILE_19 && self.of_first_place() < QUANTILE_19
    }
}

impl std::fmt::Display for DrawFairness {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            formatter,
            "draws          {} of {ENTRIES} entries  chi-square: all places {:.1} (99.9 % of fair draws below {QUANTILE_361}), \
             places of the first to come {:.1}, entries at the first place {:.1} (below {QUANTILE_19})",
            self.draws,
            self.of_all(),
            self.of_first_entry(),
            self.of_first_place(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_gets_every_place_equally_often() {
        let drawn = draw_many(400, 1).unwrap();
        assert_eq!(drawn.counts.iter().flatten().sum::<u32>(), 400 * u32::try_from(ENTRIES).unwrap());
        assert!(drawn.is_plausible(), "{drawn}");
    }

    #[test]
    fn an_order_that_favours_the_entry_that_came_first_is_found_out() {
        let mut counts = vec![vec![20; ENTRIES]; ENTRIES];
        // Given that the entry that came first gets the first place in every eighth draw, and the last two so much less often.
        (counts[0][0], counts[0][18], counts[0][19]) = (50, 5, 5);
        (counts[18][0], counts[18][18]) = (5, 35);
        (counts[19][0], counts[19][19]) = (5, 35);
        assert!(!DrawFairness { draws: 400, counts }.is_plausible());
    }
}
