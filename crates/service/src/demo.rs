//! The demo season: invented concerts, two accounts to sign in with, and one partly sold hall, made by ordinary
//! commands.

use crate::{
    concert_import::{self, concerts},
    drafts::{ConcertDraft, DetailsDraft, SeatRange, SeatsDraft},
    office::{BoxOffice, ServiceError},
    validate::{Email, Password},
};
use frontrow_domain::{
    id::{ReservationId, SeatId, UserId},
    line::Fence,
    money::Money,
    refusal::Refusal,
    sale::{AgeRating, Concert, SeatStatus},
    time::{Span, Time},
    user::{Caller, Role, User},
};
use frontrow_line::NextAdvance;
use frontrow_storage::{ConcertFilter, Page, ReservationFilter};
use jiff::{civil, tz::TimeZone};

/// The demo operator's e-mail address.
pub const OPERATOR: &str = "operator@frontrow.example";
/// The demo buyer's e-mail address.
pub const BUYER: &str = "buyer@frontrow.example";
/// The password of both.
pub const PASSWORD: &str = "front-row-demo";

const DAY: i64 = 86_400;
/// The time zone of all venues.
const ZONE: &str = "Asia/Seoul";
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
        let next = NextAdvance { limit: 1, unresponsive: Vec::new(), outlook: None };
        office.advance_room(token.room_id, Fence(0), next).await?;
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
    [
        DemoConcert {
            title: "Midnight Tide: The First Night",
            artist: "Midnight Tide",
            venue: "Hangang Hall, Seoul",
            address: "12 Yeouiseo-ro, Yeongdeungpo-gu, Seoul",
            about: "한강이 내려다보이는 무대에서 미드나잇 타이드가 새 앨범을 처음으로 들려줍니다.\n\n현악 사중주와 함께하는 2부에서는                 지난 십 년의 노래를 다시 편곡했습니다.",
            age: AgeRating::From7,
            days: 60,
            start: (20, 0),
            base: 120_000,
            own_room_max_active: Some(50),
            opens: -DAY,
        },
        DemoConcert {
            title: "Midnight Tide: The Last Night",
            artist: "Midnight Tide",
            venue: "Hangang Hall, Seoul",
            address: "12 Yeouiseo-ro, Yeongdeungpo-gu, Seoul",
            about: "이틀 공연의 마지막 밤. 첫날과 다른 곡으로 채웁니다.",
            age: AgeRating::From7,
            days: 61,
            start: (18, 0),
            base: 120_000,
            own_room_max_active: None,
            opens: -DAY,
        },
        DemoConcert {
            title: "Paper Lanterns Acoustic",
            artist: "Paper Lanterns",
            venue: "Dalmaji Theatre, Busan",
            address: "30 Dalmaji-gil, Haeundae-gu, Busan",
            about: "앰프를 끄고 가까이에서 듣는 밤. 종이등 아래에서 기타 두 대와 첼로로 노래합니다.",
            age: AgeRating::All,
            days: 75,
            start: (19, 30),
            base: 66_000,
            own_room_max_active: None,
            opens: -DAY,
        },
        DemoConcert {
            title: "Glass Orchard in Winter",
            artist: "Glass Orchard",
            venue: "Seonbi Auditorium, Daegu",
            address: "8 Seonbi-gil, Jung-gu, Daegu",
            about: "피아노와 전자음악이 만나는 겨울 공연입니다.\n\n공연 뒤에 작은 사인회가 있습니다.",
            age: AgeRating::From12,
            days: 82,
            start: (19, 0),
            base: 88_000,
            own_room_max_active: None,
            opens: -DAY,
        },
        DemoConcert {
            title: "Northern Relay",
            artist: "Relay North",
            venue: "Harbour Rooms, Incheon",
            address: "77 Harbour-ro, Jung-gu, Incheon",
            about: "네 밴드가 쉬지 않고 이어서 연주합니다. 처음부터 끝까지 서서 즐기는 공연입니다.",
            age: AgeRating::From15,
            days: 90,
            start: (20, 30),
            base: 77_000,
            own_room_max_active: None,
            opens: -DAY,
        },
        DemoConcert {
            title: "An Evening of Small Songs",
            artist: "Yoon Saebyeok Trio",
            venue: "Maru Studio, Jeonju",
            address: "5 Maru-gil, Wansan-gu, Jeonju",
            about: "재즈 트리오가 짧은 노래만 골라 들려주는 저녁.",
            age: AgeRating::All,
            days: 97,
            start: (17, 0),
            base: 55_000,
            own_room_max_active: None,
            opens: -DAY,
        },
        DemoConcert {
            title: "Comet Parade: Opening Week",
            artist: "Comet Parade",
            venue: "Hangang Hall, Seoul",
            address: "12 Yeouiseo-ro, Yeongdeungpo-gu, Seoul",
            about: "새 월드 투어의 첫 주. 불꽃과 큰 소리가 나는 장면이 있습니다.",
            age: AgeRating::From19,
            days: 120,
            start: (20, 0),
            base: 132_000,
            own_room_max_active: Some(50),
            opens: 3 * DAY,
        },
    ]
    .into_iter()
    .filter_map(|concert| Some((concert.draft(now)?, hall(concert.base))))
    .collect()
}

/// A concert of the season.
struct DemoConcert {
    title: &'static str,
    artist: &'static str,
    venue: &'static str,
    address: &'static str,
    about: &'static str,
    age: AgeRating,
    /// Days from now.
    days: i64,
    /// Hour and minute.
    start: (i8, i8),
    base: i64,
    own_room_max_active: Option<i64>,
    /// In how many seconds the sale opens.
    opens: i64,
}

impl DemoConcert {
    fn draft(&self, now: Time) -> Option<ConcertDraft> {
        let day = jiff::Timestamp::from_microsecond(now.plus(Span::from_secs(self.days * DAY)).micros()).ok()?;
        let zone = TimeZone::get(ZONE).ok()?;
        let (hour, minute) = self.start;
        let start_time = civil::Time::new(hour, minute, 0, 0).ok()?;
        Some(ConcertDraft {
            title: self.title.to_owned(),
            artist: self.artist.to_owned(),
            venue: self.venue.to_owned(),
            time_zone: ZONE.to_owned(),
            concert_date: day.to_zoned(zone).date(),
            start_time,
            end_time: start_time.saturating_add(jiff::Span::new().minutes(150)),
            fold: None,
            base_price: Money::new(self.base),
            opens_at: now.plus(Span::from_secs(self.opens)),
            closes_at: None,
            own_room_max_active: self.own_room_max_active,
            details: Some(DetailsDraft {
                description: Some(Some(self.about.to_owned())),
                age_rating: Some(Some(self.age)),
                running_minutes: Some(Some(150)),
                doors_minutes: Some(Some(60)),
                address: Some(Some(self.address.to_owned())),
                organiser: Some(Some("Frontrow Live".to_owned())),
                organiser_contact: Some(Some("tickets@frontrow.example".to_owned())),
            }),
        })
    }
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
            assert!(concert.opens_at.is_some_and(|opens_at| opens_at < concert.starts_at));
            let numbers: Vec<_> =
                parts.iter().flat_map(|part| part.check().unwrap()).filter_map(|seat| seat.seat_number).collect();
            assert_eq!(numbers, (1..=50).collect::<Vec<_>>());
        }
    }
}
