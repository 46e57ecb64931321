//! Fixtures of the workers' tests.

use super::{Retention, lines::move_line};
use crate::{
    house::HouseFolders,
    office::{self, BoxOffice, DemoAccounts, Loading, OfficeParts, OfficeSettings},
};
use frontrow_clock::{Clock, Ids};
use frontrow_domain::{
    command::{Command, Outcome, Request},
    id::{ConcertId, Position, RoomId, SeatId, TokenId, UserId},
    line::{BeaconWait, Fence},
    money::Money,
    policy::Policy,
    sale::{NewSeat, SeatLabel},
    time::{Span, Time},
    user::{Caller, NewUser, Role},
};
use frontrow_draw::Chain;
use frontrow_line::SoleInstance;
use frontrow_signing::Keyring;
use frontrow_storage::Store;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};
use uuid::Uuid;

pub(super) const START: Time = Time::from_micros(1_800_000_000_000_000);
pub(super) const RETENTION: Retention =
    Retention { answers: Span::from_secs(60), tokens: None, reservations: None, idle_accounts: None };

/// A box office in a folder.
pub(super) struct TestFolder {
    folder: PathBuf,
}

impl TestFolder {
    pub(super) fn in_folder(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    pub(super) fn database(&self) -> PathBuf {
        self.folder.join("frontrow.db")
    }
}

/// The policy of the tests: a buyer may have ten seats.
pub(super) fn policy() -> Policy {
    Policy { max_seats_per_user: 10, ..Policy::default() }
}

pub(super) async fn open(place: &TestFolder, store: Arc<dyn Store>, clock: Clock) -> Arc<BoxOffice> {
    let ids = Ids::from_seed(1);
    let keyring = Keyring::load_or_create(&place.folder.join("keys.toml"), &ids).unwrap();
    let settings = OfficeSettings {
        policy: policy(),
        queue_len: 4_096,
        batch_max: 500,
        lanes: 1,
        demo_accounts: DemoAccounts::Refused,
        session_length: Span::from_secs(12 * 3_600),
        beacon: BeaconWait { chain: Chain::quicknet(), patience: Span::ZERO },
        instance_name: "test".to_owned(),
        folders: HouseFolders::default(),
    };
    let peers = Arc::new(SoleInstance::new(Arc::clone(&store)));
    let parts = OfficeParts { store, peers, keyring, clock, ids };
    office::open(parts, settings, Loading::AtOnce).await.unwrap().office
}

pub(super) async fn ask(office: &BoxOffice, caller: Caller, command: Command) -> Outcome {
    let request = Request { caller, command, idempotency: None };
    office.engine.run(request).await.unwrap().decision.unwrap()
}

pub(super) async fn join(office: &BoxOffice, number: u128) -> Caller {
    join_in(office, number, RoomId::HOUSE).await
}

pub(super) async fn join_in(office: &BoxOffice, number: u128, room_id: RoomId) -> Caller {
    let user_id = UserId(Uuid::from_u128(number));
    let (name, email) = ("Kim Minji".to_owned(), format!("{number}@example.com"));
    let new = NewUser { user_id, name, email, password_hash: String::new(), role: Role::Buyer };
    ask(office, Caller::System, Command::Register(new)).await;
    let caller = Caller::Buyer(user_id);
    ask(office, caller, Command::IssueToken { room_id, concert_id: None }).await;
    caller
}

/// The room of a new concert that is on sale.
pub(super) async fn own_room(office: &BoxOffice) -> RoomId {
    let (mut draft, _) = crate::demo::season(START).remove(1);
    draft.own_room_max_active = Some(5);
    let Outcome::Concert(concert) = ask(office, Caller::System, Command::CreateConcert(draft.check().unwrap())).await
    else {
        panic!("it is made")
    };
    concert.room_id
}

pub(super) async fn add_five_seats(office: &BoxOffice, concert_id: ConcertId) {
    let seat = |seat_number| NewSeat {
        seat_number: Some(seat_number),
        price: Some(Money::new(1)),
        label: SeatLabel::default(),
    };
    let add = Command::AddSeats { concert_id, seats: (1..=5).map(seat).collect() };
    ask(office, Caller::System, add).await;
}

/// Five seats held by one buyer.
pub(super) async fn hold_five(office: &BoxOffice) {
    let (draft, _) = crate::demo::season(START).remove(1);
    ask(office, Caller::System, Command::CreateConcert(draft.check().unwrap())).await;
    add_five_seats(office, ConcertId::new(1)).await;
    let buyer = join(office, 1).await;
    move_line(office, RoomId::HOUSE, Fence(0)).await.unwrap();
    let token = TokenId { room_id: RoomId::HOUSE, position: Position(1) };
    ask(office, buyer, Command::ActivateToken { token }).await;
    let seat_ids = (1..=5).map(SeatId::new).collect();
    ask(office, buyer, Command::Hold { token, seat_ids }).await;
}
