//! The API's shapes of rows: types of their own, so that a row may change without its readers.

mod concerts;
mod lanes;
mod operators;
mod sales;
mod users;

pub(super) use concerts::{ConcertShape, DetailsShape, PosterShape};
pub(super) use lanes::LaneShape;
pub(super) use operators::{AdjustedShape, AuditEntryShape, AuditFeedPage, OutboxEventShape, OutboxState, RoomShape};
pub(super) use sales::{DebtShape, PaymentShape, PointEntryShape, ReservationShape};
pub(super) use users::UserShape;
