//! The waiting line: token states, order, admission, estimated wait.
//!
//! waiting → offered → active → ended. Two more states: dormant (unresponsive at its turn, may return) and missed (did
//! not claim its turn, may return to the head of the line).

mod token;

pub use token::{ContradictoryColumns, DEADLINE_ORDER, EndReason, Fence, Gate, Room, Token, TokenColumns, TokenState, TokenStatus, Turn, WrongState, can_be_activated, check_may_use, estimated_wait, estimated_wait_p90, first_due, is_live_token, is_valid_position, is_wake_due, may_activate, next_position};
