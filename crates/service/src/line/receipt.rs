//! The receipt of a place in a line: when its user came, how many were in front, and what became of it.

use crate::office::{BoxOffice, ServiceError};
use frontrow_domain::{
    line::{DrawPhase, OpeningOrder, TokenColumns},
    refusal::{EntityKind, Refusal},
    time::Time,
    user::Caller,
};
use frontrow_signing::{ReceiptClaims, subject};

/// A receipt, and the signed form of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedReceipt {
    /// What it says.
    pub claims: ReceiptClaims,
    /// The text that anybody verifies by the public keys.
    pub signed: String,
}

/// The word of a value in JSON.
fn word(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| Some(value.as_str()?.to_owned())).unwrap_or_default()
}

impl BoxOffice {
    /// The receipt of the caller's token. `issuer` is the address of the box office.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] if the token is not the caller's, or its row is not kept any more.
    pub async fn line_receipt(&self, caller: Caller, token: &str, issuer: &str) -> Result<SignedReceipt, ServiceError> {
        let super::VerifiedToken { signed, view, .. } = self.verified(token).await?;
        let missing = Refusal::NotFound { what: EntityKind::Token };
        let row = self.row_of_place(signed.id).await?.filter(|row| caller.may_act_for(row.user_id)).ok_or(missing)?;
        let draw = view.room().draw;
        let is_undrawn = draw.is_entry_number(row.id.position);
        let drawn_entry = match draw.reserved() {
            Some(reserved) if !is_undrawn && row.id.position <= reserved.end => self.drawn_entry(row.id).await?,
            _ => None,
        };
        let ahead_at_start = match drawn_entry {
            Some(drawn) => Some(drawn.rank - 1),
            // How many are in front of a token that came after the opening is known when the entries are counted.
            None if is_undrawn || matches!(draw, DrawPhase::Sealed { .. }) => None,
            None => Some(draw.in_front_of(row.id.position)),
        };
        let columns = TokenColumns::from(row);
        let claims = ReceiptClaims {
            iss: issuer.to_owned(),
            sub: subject(row.id.room_id.general(), row.user_id),
            iat: self.now().micros().div_euclid(1_000_000),
            room: row.id.room_id.general().get(),
            lane: row.id.room_id.lane_kind(),
            joined_at: row.issued_at.micros(),
            opening: word(&if drawn_entry.is_some() || is_undrawn {
                OpeningOrder::Draw
            } else {
                OpeningOrder::FirstCome
            }),
            entry: drawn_entry.map(|drawn| drawn.entry.0).or(is_undrawn.then_some(row.id.position.0)),
            entries: drawn_entry.map(|drawn| drawn.entries),
            rank: drawn_entry.map(|drawn| drawn.rank),
            place: (!is_undrawn).then_some(row.id.position.0),
            ahead_at_start,
            status: word(&row.status()),
            turns_passed: row.turns_passed,
            activated_at: columns.activated_at.map(Time::micros),
            ended_at: columns.expired_at.map(Time::micros),
            end_reason: columns.end_reason.as_ref().map(word),
        };
        let signed = self.keyring.sign_receipt(&claims);
        let signed = signed.map_err(|_| ServiceError::Internal("a receipt cannot be signed"))?;
        Ok(SignedReceipt { claims, signed })
    }
}
