//! The draw of a lobby: begun with its first entry, sealed at the opening, counted, drawn, and placed by the line's
//! leader.

mod drawn;

pub use drawn::DrawnOrder;
pub(crate) use drawn::{DrawnEntry, DrawnOrders};

use crate::office::{BoxOffice, ServiceError};
use frontrow_domain::{
    command::{Command, DrawStep},
    id::{Position, RoomId, TokenId},
    line::{BeaconWait, Draw, DrawPhase, ENTRIES_PER_PLACING_MAX, EndReason, EntryCount, Fence, Room, Token},
    refusal::{EntityKind, Refusal},
    user::Caller,
};
use frontrow_draw::{
    BeaconSignature, Digest, DrawFacts, DrawRecord, DrawSecret, EntryProof, MerkleTree, ProvedEntry, SealedDraw,
};
use frontrow_line::view::RoomView;
use frontrow_signing::SignedToken;
use frontrow_storage::Page;
use std::sync::Arc;

/// How many tokens are read at once while the entries are counted.
const ENTRIES_PER_PAGE: u32 = 5_000;

/// What is known of a draw. Before the order is drawn, the secret is not among it.
#[derive(Debug, Clone)]
pub struct DrawStanding {
    /// The room as this instance sees it.
    pub room: Room,
    /// The hash of the secret.
    pub secret_hash: Digest,
    /// The draw.
    pub draw: Draw,
    /// How many are in the lobby, as this instance sees it; 0 once it is sealed.
    pub in_lobby: i64,
}

/// A proof of an entry, or why there is none yet.
#[derive(Debug, Clone)]
pub enum DrawProof {
    /// The order is not drawn yet.
    NotDrawn(Box<DrawStanding>),
    /// The proof.
    Proved(Box<EntryProof>),
}

/// The facts of a draw that was decided; none before.
fn facts_of(draw: &Draw, room: &Room) -> Option<DrawFacts> {
    let (sealed, result) = (draw.sealed.as_ref()?, draw.result.as_ref()?);
    let sealed = SealedDraw {
        room: draw.room_id.get(),
        opens_at_micros: room.opens_at.unwrap_or(sealed.sealed_at).micros(),
        sealed_at_micros: sealed.sealed_at.micros(),
        secret: draw.secret,
        entry_count: sealed.entered.len().unsigned_abs(),
        root: sealed.root,
        chain: draw.beacon.chain,
        round: sealed.round,
        deadline_micros: draw.deadline().unwrap_or(sealed.sealed_at).micros(),
    };
    Some(DrawFacts::decided(&sealed, result.signature))
}

impl BoxOffice {
    /// Commits to the secret of a room's draw, if its lobby is open and has none.
    pub(crate) async fn begin_lobby(&self, view: &RoomView) -> Result<(), ServiceError> {
        let room_id = view.room().room_id;
        if view.room().draw != DrawPhase::Lobby || self.drawn_orders.is_begun(room_id) {
            return Ok(());
        }
        let mut is_begun = true;
        if self.store.draw(room_id).await?.is_none() {
            let (secret, beacon) = (DrawSecret::from_bytes(self.ids.secret()), self.beacon);
            let room: Room = self
                .run(Caller::System, Command::StepDraw { room_id, step: DrawStep::Begin { secret, beacon } })
                .await?;
            // An operator may have closed the lobby meanwhile, and may open it again.
            is_begun = room.draw == DrawPhase::Lobby;
        }
        if is_begun {
            self.drawn_orders.note_begun(room_id);
        }
        Ok(())
    }

    /// The token that an entry got by the draw; the same token before the draw, and if it is no entry. From memory, but
    /// for the first time after a draw.
    pub(crate) async fn after_draw(&self, signed: SignedToken, view: &RoomView) -> Result<SignedToken, ServiceError> {
        let (DrawPhase::Placing { last, .. } | DrawPhase::Placed { last, .. }) = view.room().draw else {
            return Ok(signed);
        };
        if signed.id.position > last {
            return Ok(signed);
        }
        let order = self.drawn_order(signed.id.room_id).await?;
        let position = order.position_of(signed.id.position).unwrap_or(signed.id.position);
        Ok(SignedToken { id: TokenId { position, ..signed.id }, ..signed })
    }

    /// What the draw gave a token; none if the order is not drawn, or the token was no entry.
    pub(crate) async fn drawn_entry(&self, token: TokenId) -> Result<Option<DrawnEntry>, ServiceError> {
        let order = match self.drawn_order(token.room_id).await {
            Err(ServiceError::Refused(_)) => return Ok(None),
            order => order?,
        };
        let entry = order.entry_at(token.position);
        Ok(entry.and_then(|entry| Some(DrawnEntry { entry, rank: order.rank_of(entry)?, entries: order.entries() })))
    }

    /// The row of a place in line. While a drawn place has no row, its entry's stands for it: it gets its row soon, or
    /// never, if the entry left before.
    pub(crate) async fn row_of_place(&self, place: TokenId) -> Result<Option<Token>, ServiceError> {
        if let Some(row) = self.store.token(place).await? {
            return Ok(Some(row));
        }
        let Some(drawn) = self.drawn_entry(place).await? else { return Ok(None) };
        match self.store.token(TokenId { position: drawn.entry, ..place }).await? {
            // It was placed between the two reads.
            Some(entry) if entry.end_reason() == Some(EndReason::Drawn) => Ok(self.store.token(place).await?),
            entry => Ok(entry.map(|entry| Token { id: place, ..entry })),
        }
    }

    /// Leaves the line at a place, or as its entry while the place has no token.
    pub(crate) async fn leave_place(&self, caller: Caller, place: TokenId) -> Result<(), ServiceError> {
        let leave = async |token: TokenId| self.run::<Token>(caller, Command::LeaveQueue { token }).await;
        let left = match leave(place).await {
            Err(ServiceError::Refused(refusal @ Refusal::NotFound { .. })) => {
                let drawn = self.drawn_entry(place).await?.ok_or(refusal)?;
                leave(TokenId { position: drawn.entry, ..place }).await?
            }
            left => left?,
        };
        if left.end_reason() != Some(EndReason::Drawn) {
            return Ok(());
        }
        // The entry got its place meanwhile.
        let position = self.drawn_order(left.id.room_id).await?.position_of(left.id.position);
        leave(TokenId { position: position.unwrap_or(left.id.position), ..left.id }).await.map(|_| ())
    }

    /// The order of a room's entries.
    async fn drawn_order(&self, room_id: RoomId) -> Result<Arc<DrawnOrder>, ServiceError> {
        self.drawn_orders.get(&*self.store, room_id).await
    }

    /// A room's draw; its secret is committed to now if it was not before.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] if the room has no draw.
    pub async fn draw_standing(&self, room_id: RoomId) -> Result<DrawStanding, ServiceError> {
        let view = self.view(room_id).await?;
        self.begin_lobby(&view).await?;
        let draw = self.store.draw(room_id).await?.ok_or(Refusal::NotFound { what: EntityKind::Draw })?;
        let in_lobby = if view.room().draw == DrawPhase::Lobby { view.total_waiting() } else { 0 };
        Ok(DrawStanding { room: view.room().clone(), secret_hash: draw.secret.hash(), draw, in_lobby })
    }

    /// The proof that an entry was drawn as it was, for the token that it got; none before the draw.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] if the token is not the caller's, was no entry, or its row is not kept any more.
    pub async fn entry_proof(&self, caller: Caller, token: &str) -> Result<DrawProof, ServiceError> {
        let token = self.verify_token(token).await?;
        if !caller.may_act_for(token.user_id) {
            return Err(Refusal::NotFound { what: EntityKind::Token }.into());
        }
        let missing = Refusal::NotFound { what: EntityKind::Draw };
        let standing = self.draw_standing(token.id.room_id).await?;
        let Some(facts) = facts_of(&standing.draw, &standing.room) else {
            return Ok(DrawProof::NotDrawn(Box::new(standing)));
        };
        let order = self.drawn_order(token.id.room_id).await?;
        let entry = order.entry_at(token.id.position).ok_or_else(|| missing.clone())?;
        let id = TokenId { position: entry, ..token.id };
        let row = self.store.token(id).await?.filter(|row| row.user_id == token.user_id);
        let text = row.ok_or_else(|| missing.clone())?.entry_text();
        let tree = self.entry_tree(&standing.draw).await?;
        let index = order.index_of(entry);
        let path = tree.path(index).ok_or(missing)?;
        let entry = ProvedEntry::new(facts.seed, entry.0, text, u64::try_from(index).unwrap_or(0), path);
        let rank = order.rank_of(Position(entry.number)).unwrap_or(0);
        let proof = EntryProof { record: facts, entry, rank: rank.unsigned_abs(), position: token.id.position.0 };
        Ok(DrawProof::Proved(Box::new(proof)))
    }

    /// The record of a draw, with all entries: what anybody needs to repeat it.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] before the draw, or if rows of it are not kept any more.
    pub async fn draw_record(&self, room_id: RoomId) -> Result<DrawRecord, ServiceError> {
        let missing = Refusal::NotFound { what: EntityKind::Draw };
        let standing = self.draw_standing(room_id).await?;
        let facts = facts_of(&standing.draw, &standing.room).ok_or_else(|| missing.clone())?;
        let tree = self.entry_tree(&standing.draw).await?;
        let sealed = standing.draw.sealed.as_ref().ok_or(missing)?;
        let entries = sealed.entered.iter().map(|entry| entry.0).zip(tree.leaves().iter().copied()).collect();
        Ok(DrawRecord { facts, entries })
    }

    /// The tree of a draw's entries: from memory, else from their rows.
    async fn entry_tree(&self, draw: &Draw) -> Result<Arc<MerkleTree>, ServiceError> {
        if let Some(tree) = self.drawn_orders.tree(draw.room_id) {
            return Ok(tree);
        }
        let _one_at_a_time = self.drawn_orders.lock_leaves().await;
        if let Some(tree) = self.drawn_orders.tree(draw.room_id) {
            return Ok(tree);
        }
        let leaves = self.leaves(draw).await?;
        let tree = MerkleTree::new(leaves.into_iter().map(|(_, leaf)| leaf).collect());
        if draw.sealed.as_ref().is_none_or(|sealed| sealed.root != tree.root()) {
            return Err(Refusal::NotFound { what: EntityKind::Draw }.into());
        }
        Ok(self.drawn_orders.keep_tree(draw.room_id, tree))
    }

    /// The leaves of a draw's entries by number, of those whose rows are kept.
    async fn leaves(&self, draw: &Draw) -> Result<Vec<(i64, Digest)>, ServiceError> {
        let Some(sealed) = &draw.sealed else { return Ok(Vec::new()) };
        let last = sealed.entered.iter().last().unwrap_or_default();
        let (mut leaves, mut after) = (Vec::new(), Position(0));
        loop {
            let page = Page { after: Some(after), limit: ENTRIES_PER_PAGE };
            let tokens = self.store.tokens_up_to(draw.room_id, last, page).await?;
            let Some(highest) = tokens.last() else { return Ok(leaves) };
            after = highest.id.position;
            let entries = tokens.iter().filter(|token| sealed.entered.contains(token.id.position));
            leaves.extend(entries.map(|token| (token.id.position.0, token.entry_leaf())));
        }
    }

    /// Hands in the signature of the beacon's round.
    ///
    /// # Errors
    /// [`Refusal::BeaconInvalid`] if it is not that of the round, [`Refusal::DrawNotWaiting`] if the draw waits for none.
    pub async fn hand_in_beacon(
        &self,
        caller: Caller,
        room_id: RoomId,
        signature: BeaconSignature,
    ) -> Result<DrawStanding, ServiceError> {
        self.view(room_id).await?;
        let _: Room = self.run(caller, Command::StepDraw { room_id, step: DrawStep::HandIn { signature } }).await?;
        self.draw_standing(room_id).await
    }

    /// Whether the draw of a line that this instance leads has a next step now.
    pub(crate) fn may_step_draw(&self, view: &RoomView) -> bool {
        let now = self.now();
        match view.room().draw {
            DrawPhase::Lobby => view.room().may_seal(now),
            DrawPhase::Sealed { .. } => {
                self.drawn_orders.waits_until(view.room().room_id).is_none_or(|deadline| now >= deadline)
            }
            DrawPhase::Placing { .. } => true,
            DrawPhase::None | DrawPhase::Placed { .. } => false,
        }
    }

    /// The next step of the draw of a line, as its leader. The line's view has it when this returns.
    pub(crate) async fn step_draw(&self, view: &RoomView, fence: Fence) -> Result<(), ServiceError> {
        let room_id = view.room().room_id;
        let step = match view.room().draw {
            DrawPhase::Lobby => {
                self.begin_lobby(view).await?;
                DrawStep::Seal { fence }
            }
            DrawPhase::Sealed { last } => {
                let missing = Refusal::NotFound { what: EntityKind::Draw };
                let draw = self.store.draw(room_id).await?.ok_or(missing)?;
                if draw.sealed.is_some() {
                    let deadline = draw.deadline().filter(|deadline| self.now() < *deadline);
                    self.drawn_orders.note_wait(room_id, deadline);
                    if deadline.is_some() {
                        return Ok(());
                    }
                    DrawStep::GiveUp { fence }
                } else {
                    self.count_entries(room_id, last).await?.into_step(fence)
                }
            }
            DrawPhase::Placing { placed, .. } => {
                let order = self.drawn_order(room_id).await?;
                let entries = order.next_entries(placed, ENTRIES_PER_PLACING_MAX);
                let moves = entries.iter().filter_map(|entry| Some((*entry, order.position_of(*entry)?)));
                // An entry whose client is silent stays so at its drawn place.
                let signs = self.peers.signs_of_life(room_id, &moves.collect::<Vec<_>>());
                let step = DrawStep::Place { fence, entries };
                let () = self.run(Caller::System, Command::StepDraw { room_id, step }).await?;
                self.lines.carry_over(room_id, &signs);
                return Ok(());
            }
            DrawPhase::None | DrawPhase::Placed { .. } => return Ok(()),
        };
        self.run(Caller::System, Command::StepDraw { room_id, step }).await
    }

    /// Counts the entries of a sealed lobby.
    async fn count_entries(&self, room_id: RoomId, last: Position) -> Result<EntryCount, ServiceError> {
        let (mut count, mut after) = (EntryCount::default(), Position(0));
        loop {
            let page = Page { after: Some(after), limit: ENTRIES_PER_PAGE };
            let tokens = self.store.tokens_up_to(room_id, last, page).await?;
            let Some(highest) = tokens.last() else { return Ok(count) };
            after = highest.id.position;
            count.add(&tokens);
        }
    }

    /// How a draw that begins now waits for its beacon.
    #[must_use]
    pub const fn beacon(&self) -> BeaconWait {
        self.beacon
    }
}
