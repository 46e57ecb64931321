//! The columns of a draw, the same in every database.

use frontrow_domain::{
    id::RoomId,
    line::{BeaconWait, ContradictoryColumns, Draw, DrawResult, EntrySet, SealedEntries},
    time::{Span, Time},
};
use frontrow_draw::{BeaconRound, Chain, DrawSecret, HexBytes};
use std::num::NonZeroU32;

/// A row of `draw`.
pub(super) struct DrawColumns {
    pub(super) room_id: RoomId,
    pub(super) secret: Vec<u8>,
    pub(super) begun_at: Time,
    pub(super) chain_hash: Vec<u8>,
    pub(super) chain_key: Vec<u8>,
    pub(super) chain_genesis: i64,
    pub(super) chain_period: i64,
    pub(super) patience: i64,
    pub(super) sealed_at: Option<Time>,
    pub(super) entered: Option<Vec<u8>>,
    pub(super) root: Option<Vec<u8>>,
    pub(super) round: Option<i64>,
    pub(super) drawn_at: Option<Time>,
    pub(super) signature: Option<Vec<u8>>,
    pub(super) seed: Option<Vec<u8>>,
}

fn fixed<const N: usize>(bytes: Vec<u8>) -> Option<HexBytes<N>> {
    bytes.try_into().ok().map(HexBytes::new)
}

impl DrawColumns {
    fn read(self) -> Option<Draw> {
        let chain = Chain {
            hash: fixed(self.chain_hash)?,
            public_key: fixed(self.chain_key)?,
            genesis_seconds: u64::try_from(self.chain_genesis).ok()?,
            period_seconds: NonZeroU32::new(u32::try_from(self.chain_period).ok()?)?,
        };
        let sealed = match (self.sealed_at, self.entered, self.root, self.round) {
            (None, None, None, None) => None,
            (Some(sealed_at), Some(entered), Some(root), Some(round)) => Some(SealedEntries {
                sealed_at,
                entered: EntrySet::from_bytes(entered),
                root: fixed(root)?,
                round: BeaconRound(u64::try_from(round).ok()?),
            }),
            _ => return None,
        };
        let result = match (self.drawn_at, self.seed) {
            (None, None) => None,
            (Some(drawn_at), Some(seed)) => Some(DrawResult {
                drawn_at,
                signature: self.signature.map_or(Some(None), |bytes| fixed(bytes).map(Some))?,
                seed: fixed(seed)?,
            }),
            _ => return None,
        };
        Some(Draw {
            room_id: self.room_id,
            secret: DrawSecret::from_bytes(self.secret.try_into().ok()?),
            begun_at: self.begun_at,
            beacon: BeaconWait { chain, patience: Span::from_micros(self.patience) },
            sealed,
            result,
        })
    }
}

impl TryFrom<DrawColumns> for Draw {
    type Error = ContradictoryColumns;

    fn try_from(row: DrawColumns) -> Result<Self, ContradictoryColumns> {
        row.read().ok_or(ContradictoryColumns { table: "draw" })
    }
}

impl From<&Draw> for DrawColumns {
    fn from(draw: &Draw) -> Self {
        let Draw { room_id, secret, begun_at, beacon, sealed, result } = draw;
        let Chain { hash, public_key, genesis_seconds, period_seconds } = beacon.chain;
        Self {
            room_id: *room_id,
            secret: secret.bytes().to_vec(),
            begun_at: *begun_at,
            chain_hash: hash.bytes().to_vec(),
            chain_key: public_key.bytes().to_vec(),
            chain_genesis: i64::try_from(genesis_seconds).unwrap_or(i64::MAX),
            chain_period: i64::from(period_seconds.get()),
            patience: beacon.patience.micros(),
            sealed_at: sealed.as_ref().map(|sealed| sealed.sealed_at),
            entered: sealed.as_ref().map(|sealed| sealed.entered.as_bytes().to_vec()),
            root: sealed.as_ref().map(|sealed| sealed.root.bytes().to_vec()),
            round: sealed.as_ref().map(|sealed| i64::try_from(sealed.round.0).unwrap_or(i64::MAX)),
            drawn_at: result.as_ref().map(|result| result.drawn_at),
            signature: result.as_ref().and_then(|result| Some(result.signature.as_ref()?.bytes().to_vec())),
            seed: result.as_ref().map(|result| result.seed.bytes().to_vec()),
        }
    }
}
