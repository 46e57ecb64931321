//! The waiting line: token states, order, admission, estimated wait, the forecast of a sale.
//!
//! waiting → offered → active → ended. Two more states: dormant (unresponsive at its turn, may return) and missed (did
//! not claim its turn, may return to the head of the line).

mod admission;
mod away;
mod block;
mod draw;
mod entries;
mod expectation;
mod figure;
mod forecast;
mod heads;
mod lane;
mod measures;
mod pass;
mod room;
mod share;
mod sign_of_life;
mod state;
mod stock;
mod tally;
mod token;
mod token_columns;
mod told;
mod turn_url;
mod visit;
mod wait;
mod work;

pub use admission::{can_be_activated, check_may_use, may_activate};
pub use away::{Parting, Silence, SilentToken};
pub use block::LineBlock;
pub use draw::{
    BeaconWait, Draw, DrawPhase, DrawResult, DrawStatus, ENTRIES_PER_PLACING_MAX, OpeningOrder, ReservedPositions,
    SealedEntries, drawn_position, drawn_token,
};
pub use entries::{EntryCount, EntrySet};
pub use expectation::{ClaimChances, ClaimMeasures, ClaimRecord, TurnAge, TurnOutlook};
pub use forecast::{Forecast, ForecastUnknown, SalePace, VISITS_MIN};
pub use heads::{HeadMeasures, HeadRecord, HeadStep, HeadWeight};
pub use lane::{LANE_SHARES_MAX, LaneEntry, LaneGuest, LaneKind, LaneOf, LaneShare};
pub use measures::ImpossibleMeasure;
pub use pass::{PASS_LIFE, Pass};
pub use room::{Fence, Gate, Room, RoomSite, Turn};
pub use share::{
    HOUSE_BUDGET_MAX, LineShare, ROOMS_SHARED_MAX, RoomWeight, ShareClaim, ShareScope, SharedLine, share_out, shares,
};
pub use sign_of_life::{SignOfLife, is_wake_due};
pub use state::{ContradictoryColumns, EndReason, TokenState, TokenStatus, WrongState};
pub use stock::{InFront, StockOutlook, StockPace};
pub use tally::{CountedFrom, LinePeaks, TALLY_LEN, TokenTally};
pub use token::{
    DEADLINE_ORDER, Token, first_claimed, first_due, hold_until, is_last_turn, is_live_token, is_valid_position,
    next_position,
};
pub use token_columns::TokenColumns;
pub use told::{TOLD_ERROR_PERCENT_MAX, TOLD_RISE_MAX, ToldHorizon, ToldJudgement, ToldWait};
pub use turn_url::{PASS_FIELD, TURN_URL_LEN_MAX, TurnUrl};
pub use visit::{AGE_CLASSES, VisitMeasures, VisitMemory, VisitTable};
pub use wait::{RoomMoment, WaitForecast, estimated_wait, estimated_wait_p90};
pub use work::{JoinPace, WorkPolicy, WorkPrice};
