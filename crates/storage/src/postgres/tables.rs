//! The store's work with each table: its columns, its statements, and how a row is read and bound.
//!
//! A statement that saves takes one array for each column, however many rows there are. An update passes to `all_found`
//! how many rows it touched: the commit is already on its way, and only an error of the server can still stop it.
//!
//! Rows are inserted in the order of a key that is unique among all instances, so that two instances that insert the
//! same keys cannot deadlock.

pub(super) mod account_link;
pub(super) mod audit_feed;
pub(super) mod audit_log;
pub(super) mod concert;
pub(super) mod concert_details;
pub(super) mod debt;
pub(super) mod draw;
pub(super) mod idempotency;
pub(super) mod lane_guest;
pub(super) mod line_block;
pub(super) mod line_record;
pub(super) mod outbox;
pub(super) mod outbox_lease;
pub(super) mod payment;
pub(super) mod point;
pub(super) mod point_history;
pub(super) mod poster;
pub(super) mod reservation;
pub(super) mod room;
pub(super) mod seat;
pub(super) mod second_factor;
pub(super) mod session;
pub(super) mod token;
pub(super) mod user;

use super::columns::Arrays;
use tokio_postgres::types::Type;

/// The rows that a statement saves.
type Rows<'a, R> = Arrays<'a, &'a R>;

// Types of parameters.
const ID: Type = Type::INT8;
const IDS: Type = Type::INT8_ARRAY;
const NUMBER: Type = Type::INT8;
const SMALL: Type = Type::INT4;
const SMALLS: Type = Type::INT4_ARRAY;
const TEXT: Type = Type::TEXT;
const TEXTS: Type = Type::TEXT_ARRAY;
const TIME: Type = Type::INT8;
const TIMES: Type = Type::INT8_ARRAY;
const UUID: Type = Type::UUID;
const UUIDS: Type = Type::UUID_ARRAY;
const HASHES: Type = Type::BYTEA_ARRAY;
const FLAG: Type = Type::BOOL;
const FLAGS: Type = Type::BOOL_ARRAY;
