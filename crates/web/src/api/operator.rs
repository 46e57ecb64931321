//! Operators' calls.

pub mod accounts;
pub mod blocks;
pub mod books;
pub mod concerts;
pub mod door_list;
pub mod lanes;
pub mod outbox;
pub mod posters;
pub mod rooms;
pub mod search;
pub mod seats;

use crate::edge::extract::{Cursor, Limit};
use frontrow_domain::{
    id::UserId,
    policy::STATUS_REASON_LEN_MAX,
    text::{InvalidField, checked_text},
};
use serde::Deserialize;
use utoipa::IntoParams;

/// A page of something that is listed by user.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct UserPageQuery {
    /// The most items on the page.
    #[serde(default)]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100)]
    limit: Limit,
    /// `next_cursor` of the page before.
    #[param(value_type = Option<String>, format = "cursor-of-users")]
    cursor: Option<Cursor<UserId>>,
}

/// The reason of a change, if one is given.
fn checked_reason(reason: Option<&str>) -> Result<Option<String>, InvalidField> {
    reason.map(|reason| checked_text("reason", reason, STATUS_REASON_LEN_MAX)).transpose()
}
