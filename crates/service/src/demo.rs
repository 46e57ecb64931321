//! The demo season: invented concerts, two accounts to sign in with, and one partly sold hall, made by ordinary
//! commands.

use crate::{
    concert_import::{self, concerts},
    drafts::{ConcertDraft, SeatRange, SeatsDraft},
    office::{BoxOffice, ServiceError},
    validate::{Email, Password},
};
use frontrow_domain::{
    id::{ReservationId, SeatId, UserId},
    line::Fence,
    money::Money,
    refusal::Refusal,
    sale::{Concert, SeatStatus},
    time::{Span, Time},
    user::{Caller, Role, User},
};
use frontrow_storage::{ConcertFilter, Page, ReservationFilter};
use jiff::{civil, tz::TimeZone};

/// The demo operator's e-mail address.
pub const OPERATOR: &str = "operator@frontrow.example";
/// The demo buyer's e-mail address.
pub const BUYER: &str = "buyer@frontrow.example";
/// The password of both.
pub const PASSWORD: &str = "front-row-demo";

/// How many fans have bought seats.
const FANS: usize = 4;

fn fan(number: usize) -> String {
    format!("fan{number}@frontrow.example")
}

/// The addresses of all accounts that the demo makes.
fn addresses() -> impl Iterator<Item = String> {
    [OPERATOR.to_owned(), BUYER.to_owned()].into_iter().chain((1..=FANS).map(fan))
}

/// Whether these are a demo account's address and the published password.
#[must_use]
pub fn is_sign_in(email: &str, password: &Password) -> bool {
    password.expose() == PASSWORD && addresses().any(|address| address == email)
}

/// For a server that is not a demo: ends the sessions of demo accounts that still have the published password. Returns
/// their addresses.
///
/// # Errors
/// The database cannot be read or written.
pub async fn shut(office: &BoxOffice) -> anyhow::Result<Vec<String>> {
    let Ok(password) = Password::parse(PASSWORD.to_owned()) else { return Ok(Vec::new()) };
    let mut left = Vec::new();
    for address in addresses() {
        let Some((user, hash)) = office.store.credentials(&address).await? else { continue };
        if office.passwords.verify(&password, Some(hash)).await? {
            office.sign_out_everywhere(Caller::System, user.user_id).await?;
            left.push(address);
        }
    }
    Ok(left)
}

/// Loads the season, or the rest of it if an earlier load was interrupted. A box office that has concerts but no demo
/// operator is not a demo, and stays as it is: its operators did not choose this password.
///
/// # Errors
/// The database cannot be read or written.
pub async fn load(office: &BoxOffice) -> anyhow::Result<()> {
    let known = concerts(office, &ConcertFilter::default()).await?;
    if !known.is_empty() && office.store.credentials(OPERATOR).await?.is_none() {
        return Ok(());
    }
    account(office, "Demo Operator", OPERATOR, Role::Operator).await?;
    let buyer = account(office, "Demo Buyer", BUYER, Role::Buyer).await?;
    top_up(office, buyer.user_id, "demo-buyer").await?;
    let mut partly_sold = None;
    for (draft, parts) in season(office.now()) {
        let concert = match known.iter().find(|concert| concert.title == draft.title) {
            None => concert_import::create(office, &draft, &parts).await?.0,
            Some(concert) => {
                if office.store.seats(concert.concert_id).await?.is_empty() {
                    concert_import::add_seats(office, concert, &parts).await?;
                }
                concert.clone()
            }
        };
        if partly_sold.is_none() && draft.own_room_max_active.is_none() {
            partly_sold = Some(concert);
        }
    }
    let Some(concert) = partly_sold else { return Ok(()) };
    match sell_some(office, &concert).await {
        // Other buyers may be in the line by now, or the sale may be over: the season is usable without these sales.
        Err(ServiceError::Refused(refusal)) => {
            tracing::warn!(%refusal, "the demo season has no hall that is partly sold");
            Ok(())
        }
        other => Ok(other?),
    }
}

/// The account with this address, created if it is missing.
async fn account(office: &BoxOffice, name: &str, email: &str, role: Role) -> Result<User, ServiceError> {
    let (Ok(email), Ok(password)) = (Email::parse(email), Password::parse(PASSWORD.to_owned())) else {
        return Err(ServiceError::Internal("the demo's sign-ins are not valid"));
    };
    match office.account(&email).await? {
        Some((user, _)) => Ok(user),
        None => office.register(name.to_owned(), email, password, role).await,
    }
}

/// A million points, once for each reference.
async fn top_up(office: &BoxOffice, user: UserId, reference: &str) -> Result<(), ServiceError> {
    let amount = Money::new(1_000_000);
    match office.top_up(Caller::System, user, amount, Some(reference.to_owned()), None).await {
        Ok(_) | Err(ServiceError::Refused(Refusal::ReferenceUsed)) => Ok(()),
        Err(stop) => Err(stop),
    }
}

/// Four fans buy three seats each, unless a seat is sold already.
async fn sell_some(office: &BoxOffice, concert: &Concert) -> Result<(), ServiceError> {
    let seats = office.store.seats(concert.concert_id).await?;
    if seats.iter().any(|seat| seat.status() == SeatStatus::Sold) {
        return Ok(());
    }
    let middle: Vec<SeatId> = seats.iter().skip(18).map(|seat| seat.seat_id).collect();
    for (number, wanted) in middle.chunks(3).take(FANS).enumerate() {
        let number = number + 1;
        let fan = account(office, &format!("Demo Fan {number}"), &fan(number), Role::Buyer).await?;
        top_up(office, fan.user_id, &format!("demo-fan-{number}")).await?;
        let caller = Caller::Buyer(fan.user_id);
        let place = office.issue_token(caller, Some(concert.concert_id), None).await?.value.0;
        let (signed, token) = (office.verify_token(&place.signed).await?, place.token.id);
        office.advance_room(token.room_id, Fence(0), 1, Vec::new()).await?;
        office.activate_token(caller, &place.signed, None).await?;
        let mut reservations = pending(office, fan.user_id, concert).await?;
        if reservations.is_empty() {
            let held = office.hold(caller, &signed, wanted.to_vec(), None).await?.value;
            reservations = held.iter().map(|ticket| ticket.reservation.reservation_id).collect();
        }
        office.pay(caller, token, reservations, None).await?;
    }
    Ok(())
}

/// A fan's holds from an interrupted load.
async fn pending(office: &BoxOffice, user: UserId, concert: &Concert) -> Result<Vec<ReservationId>, ServiceError> {
    let filter =
        ReservationFilter { user: Some(user), concert: Some(concert.concert_id), ..ReservationFilter::default() };
    let now = office.now();
    let rows = office.store.reservations(&filter, Page { after: None, limit: 20 }).await?;
    Ok(rows.into_iter().filter(|row| row.is_live(now)).map(|row| row.reservation_id).collect())
}

/// The season's concerts; they come after `now`.
pub(crate) fn season(now: Time) -> Vec<(ConcertDraft, Vec<SeatsDraft>)> {
    const DAY: i64 = 86_400;
    // title, artist, venue, zone, days from now, start, base price, own room, opens in seconds
    type Row = (&'static str, &'static str, &'static str, &'static str, i64, (i8, i8), i64, Option<i64>, i64);
    let rows: [Row; 7] = [
        (
            "Midnight Tide: The First Night",
            "Midnight Tide",
            "Hangang Hall, Seoul",
            "Asia/Seoul",
            60,
            (20, 0),
            120_000,
            Some(50),
            -DAY,
        ),
        (
            "Midnight Tide: The Last Night",
            "Midnight Tide",
            "Hangang Hall, Seoul",
            "Asia/Seoul",
            61,
            (18, 0),
            120_000,
            None,
            -DAY,
        ),
        (
            "Paper Lanterns Acoustic",
            "Paper Lanterns",
            "Dalmaji Theatre, Busan",
            "Asia/Seoul",
            75,
            (19, 30),
            66_000,
            None,
            -DAY,
        ),
        (
            "Glass Orchard in Winter",
            "Glass Orchard",
            "Seonbi Auditorium, Daegu",
            "Asia/Seoul",
            82,
            (19, 0),
            88_000,
            None,
            -DAY,
        ),
        ("Northern Relay", "Relay North", "Harbour Rooms, Incheon", "Asia/Seoul", 90, (20, 30), 77_000, None, -DAY),
        (
            "An Evening of Small Songs",
            "Yoon Saebyeok Trio",
            "Maru Studio, Jeonju",
            "Asia/Seoul",
            97,
            (17, 0),
            55_000,
            None,
            -DAY,
        ),
        (
            "Comet Parade: Opening Week",
            "Comet Parade",
            "Hangang Hall, Seoul",
            "Asia/Seoul",
            120,
            (20, 0),
            132_000,
            Some(50),
            3 * DAY,
        ),
    ];
    rows.into_iter()
        .filter_map(|(title, artist, venue, time_zone, days, (hour, minute), base, own_room_max_active, opens)| {
            let day = jiff::Timestamp::from_microsecond(now.plus(Span::from_secs(days * DAY)).micros()).ok()?;
            let zone = TimeZone::get(time_zone).ok()?;
            let start_time = civil::Time::new(hour, minute, 0, 0).ok()?;
            let draft = ConcertDraft {
                title: title.to_owned(),
                artist: artist.to_owned(),
                venue: venue.to_owned(),
                time_zone: time_zone.to_owned(),
                concert_date: day.to_zoned(zone).date(),
                start_time,
                end_time: start_time.saturating_add(jiff::Span::new().minutes(150)),
                fold: None,
                base_price: Money::new(base),
                opens_at: now.plus(Span::from_secs(opens)),
                closes_at: None,
                own_room_max_active,
            };
            Some((draft, hall(base)))
        })
        .collect()
}

/// Fifty seats in three grades.
fn hall(base: i64) -> Vec<SeatsDraft> {
    [(1, 10, "A", "VIP", base * 3 / 2), (11, 30, "B", "R", base), (31, 50, "C", "S", base * 3 / 4)]
        .into_iter()
        .map(|(from, to, row, grade, price)| {
            SeatsDraft::Range(SeatRange {
                from,
                to,
                section: "Floor".to_owned(),
                row: row.to_owned(),
                grade: grade.to_owned(),
                price: Some(Money::new(price)),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_demo_concert_is_a_valid_one_with_seats_1_to_50() {
        let now = Time::from_micros(1_800_000_000_000_000);
        let season = season(now);
        assert!(season.len() >= 6);
        for (draft, parts) in season {
            let concert = draft.check().unwrap();
            assert!(concert.closes_at.is_none(), "the sale closes with the start");
            assert!(concert.opens_at < concert.starts_at);
            let numbers: Vec<_> =
                parts.iter().flat_map(|part| part.check().unwrap()).filter_map(|seat| seat.seat_number).collect();
            assert_eq!(numbers, (1..=50).collect::<Vec<_>>());
        }
    }
}
