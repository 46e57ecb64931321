//! The port to the database: loads rows, saves rows and reads the clock. It contains no business rules.

#![warn(missing_docs)]

pub mod check;
mod columns;
mod draw_columns;
mod enum_text;
mod error;
mod factor_columns;
mod filter;
mod instances;
mod line;
mod line_record;
mod lists;
pub mod lock;
pub mod memory;
pub mod migrate;
mod noted;
pub mod postgres;
pub mod sqlite;
pub mod sqlite_to_postgres;
mod store;
pub mod trouble;

pub use error::{Damage, StoreError};
pub use filter::{ConcertFilter, DebtFilter, EventFilter, PaymentFilter, ReservationFilter, later_name};
pub use instances::{Instance, Instances, Sharing};
pub use line::{Life, Line, RoomSummary, RoomTally};
pub use line_record::{LINE_RECORD_BYTES_MAX, SavedLineRecord};
pub use lists::{
    ConcertPlace, ConcertProfile, DoorLine, EVENTS_COUNTED_MAX, EventCounts, GradePrices, Page, Remnant, SeatCounts,
    TicketPlace,
};
pub use store::{COMMIT_VISIBILITY_MAX, Committed, Decide, GAP_GRACE, Store};
