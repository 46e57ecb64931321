//! Passes for the edges of other sites: issue one, say that a visitor is done, and the keys that verify them.

use crate::office::{BoxOffice, ServiceError};
use frontrow_domain::{
    command::Command,
    id::{Position, RoomId, TokenId, UserId},
    line::{Pass, TokenStatus},
    refusal::Refusal,
    time::{Span, Time},
    user::Caller,
};
use frontrow_signing::{PassClaims, PassKey, audience, subject};

/// A pass, signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedPass {
    /// The text that an edge verifies.
    pub signed: String,
    /// The room.
    pub room_id: RoomId,
    /// Until when it is valid, in whole seconds.
    pub until: Time,
}

/// What a user has in a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PassPlace {
    /// An active token, and so a pass.
    Inside(SignedPass),
    /// A place in the line, by this token.
    InLine(String),
    /// No place.
    None,
}

/// Whole seconds, rounded down: a pass never outlives its token by the rest.
const fn seconds(time: Time) -> i64 {
    time.micros().div_euclid(Span::from_secs(1).micros())
}

impl BoxOffice {
    /// A pass for the caller's active token. It counts as a sign of life, and the token lives for as long as the pass.
    /// `issuer` is the address of the box office.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] if the token is not the caller's; the refusal that says what is missing if it is not active.
    pub async fn issue_pass(&self, caller: Caller, token: &str, issuer: &str) -> Result<SignedPass, ServiceError> {
        let super::VerifiedToken { signed, view, .. } = self.verified(token).await?;
        self.pass(caller, signed.id, view.epoch(), issuer).await
    }

    /// The pass of a user who is inside in a room, or the place in its line.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] if there is no such room.
    pub async fn pass_in(
        &self,
        caller: Caller,
        user: UserId,
        room: RoomId,
        issuer: &str,
    ) -> Result<PassPlace, ServiceError> {
        self.view(room).await?;
        let tokens = self.store.live_tokens(user).await?;
        let Some(token) = tokens.into_iter().find(|token| token.id.room_id.general() == room) else {
            return Ok(PassPlace::None);
        };
        let view = self.view(token.id.room_id).await?;
        let in_line = || PassPlace::InLine(self.keyring.sign(&token, view.epoch()));
        if token.status() != TokenStatus::Active {
            return Ok(in_line());
        }
        match self.pass(caller, token.id, view.epoch(), issuer).await {
            Ok(pass) => Ok(PassPlace::Inside(pass)),
            // It ended a moment ago: its page says why.
            Err(ServiceError::Refused(_)) => Ok(in_line()),
            Err(stop) => Err(stop),
        }
    }

    async fn pass(&self, caller: Caller, token: TokenId, epoch: i64, issuer: &str) -> Result<SignedPass, ServiceError> {
        let Pass { token, issued_at, until } = self.run(caller, Command::IssuePass { token }).await?;
        self.lines.record_heartbeat(token.id, self.now());
        // A pass names the room of the site, whether the place is in its line or in a lane beside it.
        let room_id = token.id.room_id.general();
        let claims = PassClaims {
            iss: issuer.to_owned(),
            aud: audience(room_id),
            sub: subject(room_id, token.user_id),
            jti: self.ids.uuid(issued_at).to_string(),
            iat: seconds(issued_at),
            nbf: seconds(issued_at),
            exp: seconds(until),
            room: room_id.get(),
            place: token.id.position.0,
            epoch,
            lane: token.id.room_id.lane_kind(),
        };
        let signed = self.keyring.sign_pass(&claims).map_err(|_| ServiceError::Internal("a pass cannot be signed"))?;
        let until = Time::default().plus(Span::from_secs(claims.exp));
        Ok(SignedPass { signed, room_id, until })
    }

    /// Ends the token of a pass: its visitor is done. Again it is done, as long as the pass is valid.
    ///
    /// # Errors
    /// [`Refusal::PassInvalid`].
    pub async fn end_pass(&self, pass: &str) -> Result<(), ServiceError> {
        let invalid = ServiceError::Refused(Refusal::PassInvalid);
        let Ok(claims) = self.keyring.verify_pass(pass) else { return Err(invalid) };
        if seconds(self.now()) >= claims.exp {
            return Err(invalid);
        }
        let room = RoomId::new(claims.room);
        let room_id = claims.lane.map_or(room, |lane| room.lane(lane));
        let token = TokenId { room_id, position: Position(claims.place) };
        let view = match self.view(token.room_id).await {
            Err(ServiceError::Refused(_)) => return Err(invalid),
            view => view?,
        };
        // After a renewal of the line the place may be another user's.
        if view.epoch() > claims.epoch {
            return Err(invalid);
        }
        let Some(row) = self.store.token(token).await? else { return Ok(()) };
        if subject(room, row.user_id) != claims.sub {
            return Err(invalid);
        }
        self.run(Caller::Buyer(row.user_id), Command::LeaveQueue { token }).await
    }

    /// The public keys that passes are verified with, the newest first.
    #[must_use]
    pub fn pass_keys(&self) -> Vec<PassKey> {
        self.keyring.pass_keys()
    }
}
