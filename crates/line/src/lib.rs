//! The waiting lines as one instance knows them ([`Lines`]), and the port to the other instances ([`Peers`]) with its
//! two implementations: none ([`SoleInstance`]), and Redis ([`redis::RedisPeers`]).

#![warn(missing_docs)]

mod advance;
mod lines;
mod lock;
mod peers;
mod positions;
mod record;
pub mod redis;
mod replicas;
mod slots;
mod sole;
pub mod view;

pub use advance::{NextAdvance, may_advance, next_advance};
pub use lines::{CarriedSign, HeardSince, Lines, Rebuild, TokenWatch, WatcherKey};
pub use peers::{Down, Leadership, PeerFigures, PeerStatus, Peers, PeersError};
pub use record::LINE_RECORD_AGE_MAX;
pub use sole::SoleInstance;
