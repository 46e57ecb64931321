//! How much one command may carry. A larger command is refused before a row is loaded: it costs a store nothing.

use crate::{
    command::{
        Command, ConcertChange, DrawStep, Erasure, FactorConfirmation, FactorStep, LaneStep, NewAdjustment, NewBlock,
        NewConcert, NewPassword, NewRoom, Settlements,
    },
    id::{PaymentId, SeatId},
    line::{ENTRIES_PER_PLACING_MAX, ROOMS_SHARED_MAX},
    outbox::CLAIM_MAX,
    policy::{
        HOLDS_PER_PARTING_MAX, HOLDS_PER_SWEEP_MAX, LIVE_PER_ERASURE_MAX, SEATS_PER_COMMAND_MAX,
        SEATS_PER_OPERATOR_COMMAND_MAX, TOKENS_PER_ADVANCE_MAX, WIND_UP_MAX,
    },
    refusal::Refusal,
    sale::{DESCRIPTION_LEN_MAX, DetailsChange, NewSeat, POSTER_LEN_MAX, SeatAction, SeatChange, SeatLabel},
    user::RECOVERY_CODES,
};
use std::ops::RangeInclusive;

/// How many bytes any text of a command may have: the longest, a room's message, has 500 characters of at most four
/// bytes. The callers count characters and have tighter limits for each text.
const TEXT_BYTES_MAX: usize = 4 * 500;
/// How many bytes each part of a seat's label may have. One command may carry a hundred thousand labels.
const LABEL_BYTES_MAX: usize = 4 * 40;
/// How many bytes the description of a concert may have.
const DESCRIPTION_BYTES_MAX: usize = 4 * DESCRIPTION_LEN_MAX;

impl Command {
    /// Checks that the command is within the limits of one command.
    ///
    /// # Errors
    /// [`Refusal::Malformed`] names the list or text that is too large.
    pub fn check_bounds(&self) -> Result<(), Refusal> {
        match self {
            Self::Hold { seat_ids, .. } => count("Name", seat_ids.len(), 1..=SEATS_PER_COMMAND_MAX, "seats"),
            Self::Pay { reservation_ids, .. } => {
                count("Name", reservation_ids.len(), 1..=SEATS_PER_COMMAND_MAX, "reservations")
            }
            Self::ExpireHolds { reservation_ids } => {
                count("Sweep", reservation_ids.len(), 0..=wide(HOLDS_PER_SWEEP_MAX), "holds")
            }
            Self::GoAway { holds, .. } => count("Name", holds.len(), 0..=HOLDS_PER_PARTING_MAX, "reservations"),
            Self::AdvanceRoom { .. } | Self::Share { .. } => line_lists(self),
            Self::StepDraw { step, .. } => entries(step),
            Self::AddSeats { seats, .. } => {
                count("Add", seats.len(), 1..=SEATS_PER_OPERATOR_COMMAND_MAX, "seats")?;
                labels(seats)
            }
            Self::SetSeats { seat_ids, action, .. } => {
                named(seat_ids)?;
                texts(match action {
                    SeatAction::Block { reason } => Some(reason.as_str()),
                    SeatAction::Free { reason } => reason.as_deref(),
                })
            }
            Self::ChangeSeats { seat_ids, change, reason, .. } => {
                named(seat_ids)?;
                texts(reason.as_deref())?;
                let SeatChange { section, row, number, grade, price: _ } = change;
                label_parts([section, row, number, grade].into_iter().flatten())
            }
            Self::RemoveSeats { seat_ids, reason, .. } => named(seat_ids).and_then(|()| texts(reason.as_deref())),
            Self::Register(user) | Self::RegisterFirst(user) => {
                texts([user.name.as_str(), &user.email, &user.password_hash])
            }
            Self::TopUp { reference, .. } => texts(reference.as_deref()),
            Self::Adjust(NewAdjustment { reason, reference, .. }) => texts([reason.as_str(), reference]),
            Self::CreateConcert(NewConcert { title, artist, venue, time_zone, details, .. }) => {
                texts([title.as_str(), artist, venue, time_zone])?;
                detail_texts(details)
            }
            Self::UpdateConcert { change, reason, .. } => {
                let ConcertChange { title, artist, venue, time_zone, status_reason, .. } = change;
                let for_buyers = status_reason.as_ref().and_then(Option::as_ref);
                let all = [title, artist, venue, time_zone, reason].map(Option::as_ref).into_iter().chain([for_buyers]);
                texts(all.flatten().map(String::as_str))?;
                detail_texts(&change.details)
            }
            Self::SetPoster { poster, .. } => count("Send", poster.jpeg.len(), 1..=POSTER_LEN_MAX, "bytes"),
            Self::CancelConcert { reason, .. }
            | Self::SettleDebt { reason, .. }
            | Self::RemoveFromLine { reason, .. }
            | Self::BlockFromLine(NewBlock { reason, .. }) => texts([reason.as_str()]),
            Self::WindUp { seat_ids, payment_ids, .. } => wound_up(seat_ids, payment_ids),
            Self::SetRoom { .. } | Self::CreateRoom(_) | Self::CloseRoom { .. } => room_texts(self),
            Self::Refund { reason, .. }
            | Self::CancelReservation { reason, .. }
            | Self::LockUser { reason, .. }
            | Self::StepLane { step: LaneStep::Open { reason, .. } | LaneStep::Set { reason, .. }, .. } => {
                texts(reason.as_deref())
            }
            Self::RenameUser { name, .. } => texts([name.as_str()]),
            Self::SetPassword(NewPassword { password_hash, .. }) | Self::RedeemResetLink { password_hash, .. } => {
                texts([password_hash.0.as_str()])
            }
            Self::EraseUser(Erasure { tokens, reservations, .. }) => {
                count("Name", tokens.len(), 0..=LIVE_PER_ERASURE_MAX, "tokens")?;
                count("Name", reservations.len(), 0..=LIVE_PER_ERASURE_MAX, "reservations")
            }
            Self::SettleEvents(settled) => settlements(settled),
            Self::ChangeFactor { step, .. } => factor_step(step),
            Self::StepLane { step: LaneStep::AddGuest { .. } | LaneStep::RemoveGuest { .. }, .. }
            | Self::SetRole { .. }
            | Self::OpenSessionWithFactor { .. }
            | Self::CloseSessions { .. }
            | Self::UnlockUser { .. }
            | Self::IssueResetLink { .. }
            | Self::RequestLetter { .. }
            | Self::IssueLetterLink { .. }
            | Self::ConfirmEmail { .. }
            | Self::EndSession { .. }
            | Self::OpenSession { .. }
            | Self::NoteFailedProofs { .. }
            | Self::BeginRehearsal { .. }
            | Self::StopRehearsal { .. }
            | Self::CloseSession { .. }
            | Self::IssueToken { .. }
            | Self::ActivateToken { .. }
            | Self::LeaveQueue { .. }
            | Self::WakeToken { .. }
            | Self::UnblockFromLine { .. }
            | Self::IssuePass { .. }
            | Self::EndLine { .. }
            | Self::EndClosedLine { .. }
            | Self::RefundConcert { .. }
            | Self::SettleConcert { .. }
            | Self::RemovePoster { .. }
            | Self::RenewLine { .. }
            | Self::ClaimEvents { .. }
            | Self::RetryEvent { .. }
            | Self::FeedAudit { .. } => Ok(()),
        }
    }
}

/// The list of a command that moves a line or shares between lines.
fn line_lists(command: &Command) -> Result<(), Refusal> {
    match command {
        Command::AdvanceRoom { unresponsive, .. } => {
            count("Name", unresponsive.len(), 0..=wide(TOKENS_PER_ADVANCE_MAX), "silent tokens")
        }
        Command::Share { waiting, .. } => count("Name", waiting.len(), 0..=wide(ROOMS_SHARED_MAX), "rooms"),
        _ => Ok(()),
    }
}

/// The texts of a command about a room.
fn room_texts(command: &Command) -> Result<(), Refusal> {
    match command {
        Command::SetRoom { change, reason, .. } => {
            texts(change.message.iter().flatten().chain(&change.name).chain(reason).map(String::as_str))
        }
        Command::CreateRoom(NewRoom { site, .. }) => texts([site.name.as_str()]),
        Command::CloseRoom { reason, .. } => texts([reason.as_str()]),
        _ => Ok(()),
    }
}

fn wide(count: u32) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

fn count(verb: &str, len: usize, bounds: RangeInclusive<usize>, things: &str) -> Result<(), Refusal> {
    if bounds.contains(&len) {
        return Ok(());
    }
    Err(Refusal::Malformed { reason: format!("{verb} {} to {} {things}.", bounds.start(), bounds.end()) })
}

/// A part of a cancelled concert that is wound up.
/// The entries that a step of a draw gives their places.
fn entries(step: &DrawStep) -> Result<(), Refusal> {
    match step {
        DrawStep::Place { entries, .. } => count("Place", entries.len(), 1..=ENTRIES_PER_PLACING_MAX, "entries"),
        _ => Ok(()),
    }
}

fn wound_up(seats: &[SeatId], payments: &[PaymentId]) -> Result<(), Refusal> {
    count("Name", seats.len(), 0..=wide(WIND_UP_MAX), "seats")?;
    count("Name", payments.len(), 0..=wide(WIND_UP_MAX), "payments")
}

/// Seats that an operator names.
fn named(seats: &[SeatId]) -> Result<(), Refusal> {
    count("Name", seats.len(), 1..=SEATS_PER_OPERATOR_COMMAND_MAX, "seats")
}

fn texts<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<(), Refusal> {
    if texts.into_iter().all(|text| text.len() <= TEXT_BYTES_MAX) {
        return Ok(());
    }
    Err(Refusal::Malformed { reason: format!("A text has at most {TEXT_BYTES_MAX} bytes.") })
}

fn settlements(Settlements { delivered, failed, .. }: &Settlements) -> Result<(), Refusal> {
    let len = delivered.len().saturating_add(failed.len());
    count("Settle", len, 0..=CLAIM_MAX, "events")?;
    texts(failed.iter().map(|(_, error)| error.text()))
}

fn factor_step(step: &FactorStep) -> Result<(), Refusal> {
    match step {
        FactorStep::Confirm(FactorConfirmation { recovery, .. }) | FactorStep::RenewCodes { recovery, .. } => {
            count("Make", recovery.len(), 0..=RECOVERY_CODES, "recovery codes")
        }
        FactorStep::Enrol { .. }
        | FactorStep::Decline
        | FactorStep::Remove { .. }
        | FactorStep::Reset
        | FactorStep::NoteWrongCode => Ok(()),
    }
}

fn detail_texts(details: &DetailsChange) -> Result<(), Refusal> {
    texts(details.texts().map(String::as_str))?;
    match details.description.as_ref().and_then(Option::as_ref) {
        Some(text) if text.len() > DESCRIPTION_BYTES_MAX => {
            Err(Refusal::Malformed { reason: format!("A description has at most {DESCRIPTION_BYTES_MAX} bytes.") })
        }
        _ => Ok(()),
    }
}

fn labels(seats: &[NewSeat]) -> Result<(), Refusal> {
    label_parts(seats.iter().flat_map(|NewSeat { label, .. }| {
        let SeatLabel { section, row, number, grade } = label;
        [section, row, number, grade]
    }))
}

fn label_parts<'a>(mut parts: impl Iterator<Item = &'a String>) -> Result<(), Refusal> {
    if parts.all(|text| text.len() <= LABEL_BYTES_MAX) {
        return Ok(());
    }
    Err(Refusal::Malformed { reason: format!("A part of a seat's label has at most {LABEL_BYTES_MAX} bytes.") })
}
