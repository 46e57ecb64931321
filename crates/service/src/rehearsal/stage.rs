//! Makes the copy of a concert and the accounts of its crowd in an empty box office.

use super::plan::{RehearsalPlan, RoomKind};
use crate::{
    drafts::ConcertDraft,
    office::{BoxOffice, ServiceError},
    outcome::AddedSeats,
};
use frontrow_domain::{
    command::{Command, RoomChange},
    id::{ConcertId, SeatId, UserId},
    money::Money,
    policy::SEATS_PER_OPERATOR_COMMAND_MAX,
    sale::{Concert, NewSeat, SeatAction, SeatLabel},
    time::Time,
    user::{Caller, NewUser, Role, User},
};
use jiff::{civil, tz::TimeZone};
use std::sync::Arc;
use tokio::task::JoinSet;

/// Accounts that are made at once: enough to fill a batch.
const AT_ONCE: usize = 500;
/// In how many days the copy takes place.
const DAYS_AHEAD: i64 = 30;
/// No password has this hash: the crowd is signed in when it comes.
const NO_PASSWORD: &str = "none";

/// An account of the crowd that is signed in.
#[derive(Debug, Clone)]
pub struct CrowdAccount {
    pub user_id: UserId,
    /// The secret of its session.
    pub session: String,
}

/// Makes the copy of a concert with its seats, its room and its prices. Its sale opens at `opens_at`.
///
/// # Errors
/// The plan is not valid, or the database cannot be written.
pub async fn make_copy(office: &BoxOffice, plan: &RehearsalPlan, opens_at: Time) -> anyhow::Result<Concert> {
    let room = plan.room;
    let now = jiff::Timestamp::from_microsecond(office.now().micros())?;
    let date = now.checked_add(jiff::SignedDuration::from_hours(24 * DAYS_AHEAD))?.to_zoned(TimeZone::UTC).date();
    let draft = ConcertDraft {
        title: plan.title.clone(),
        artist: plan.artist.clone(),
        venue: plan.venue.clone(),
        // No clock is set forward or back there on that day.
        time_zone: "UTC".to_owned(),
        concert_date: date,
        start_time: civil::time(20, 0, 0, 0),
        end_time: civil::time(22, 0, 0, 0),
        fold: None,
        base_price: plan.base_price,
        opens_at,
        closes_at: None,
        own_room_max_active: (room.kind == RoomKind::Own).then_some(room.max_active),
        details: None,
    };
    let concert = office.create_concert(Caller::System, draft.check()?, None).await?.value;
    let change = RoomChange {
        max_active: Some(room.max_active),
        admit_per_minute: Some(room.admit_per_minute),
        ..RoomChange::default()
    };
    office.set_room(Caller::System, concert.room_id, change, None, None, None).await?;
    for seats in plan.seats.chunks(SEATS_PER_OPERATOR_COMMAND_MAX) {
        let new = seats.iter().map(|seat| NewSeat {
            seat_number: None,
            price: Some(seat.price),
            label: SeatLabel {
                section: seat.section.clone(),
                row: seat.row.clone(),
                number: seat.number.clone(),
                grade: seat.grade.clone(),
            },
        });
        let added = office.add_seats(Caller::System, concert.concert_id, new.collect(), None).await?.value;
        let AddedSeats { first_seat_id, .. } = added;
        let ids = (first_seat_id.get()..).map(SeatId::new).zip(seats);
        let taken: Vec<SeatId> = ids.filter(|(_, seat)| !seat.free).map(|(id, _)| id).collect();
        if !taken.is_empty() {
            let action = SeatAction::Block { reason: "not for sale".to_owned() };
            office.set_seats(Caller::System, (Some(concert.concert_id), taken), action, None).await?;
        }
    }
    Ok(concert)
}

/// How many seats of a concert are for sale.
///
/// # Errors
/// The database cannot be read.
pub async fn seats_for_sale(office: &BoxOffice, concert_id: ConcertId) -> anyhow::Result<u64> {
    Ok(u64::try_from(office.store.seat_counts(concert_id).await?.available)?)
}

/// Makes an operator that is signed in.
///
/// # Errors
/// The database cannot be written.
pub async fn operator(office: &BoxOffice) -> Result<CrowdAccount, ServiceError> {
    signed_in(office, "operator", Role::Operator).await
}

/// Makes accounts of buyers that are signed in and have so many points.
///
/// # Errors
/// The database cannot be written.
pub async fn crowd(office: &Arc<BoxOffice>, people: u32, points: Money) -> anyhow::Result<Vec<CrowdAccount>> {
    let mut accounts = Vec::with_capacity(usize::try_from(people)?);
    let mut making = JoinSet::new();
    for number in 0..people {
        if making.len() >= AT_ONCE
            && let Some(made) = making.join_next().await
        {
            accounts.push(made??);
        }
        let office = Arc::clone(office);
        making.spawn(async move { buyer(&office, number, points).await });
    }
    while let Some(made) = making.join_next().await {
        accounts.push(made??);
    }
    Ok(accounts)
}

async fn buyer(office: &BoxOffice, number: u32, points: Money) -> Result<CrowdAccount, ServiceError> {
    let account = signed_in(office, &format!("person {number}"), Role::Buyer).await?;
    let reference = Some(format!("rehearsal-{number}"));
    office.top_up(Caller::System, account.user_id, points, reference, None).await?;
    Ok(account)
}

async fn signed_in(office: &BoxOffice, name: &str, role: Role) -> Result<CrowdAccount, ServiceError> {
    let user_id = UserId(office.ids.uuid(office.now()));
    let new = NewUser {
        user_id,
        name: name.to_owned(),
        email: format!("{}@rehearsal.example", name.replace(' ', "-")),
        password_hash: NO_PASSWORD.to_owned(),
        role,
    };
    let user: User = office.run(Caller::System, Command::Register(new)).await?;
    let opened = office.open_session(user, None).await?;
    Ok(CrowdAccount { user_id, session: opened.secret })
}
