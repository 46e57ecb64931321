//! The demo season: invented concerts, two sign-ins, and one hall that is partly sold, made by the same commands that
//! anybody could give.

use crate::{
    catalog::{ConcertDraft, SeatsDraft, demo_season},
    flow::{BoxOffice, Stop},
    store::{ConcertFilter, Page},
};
use anyhow::{Context as _, anyhow};
use frontrow_domain::{
    command::{Command, Outcome},
    concert::Concert,
    id::{SeatId, UserId},
    money::Money,
    user::{Caller, Role},
};

/// The demo operator's e-mail address.
pub const OPERATOR: &str = "operator@frontrow.example";
/// The demo buyer's e-mail address.
pub const BUYER: &str = "buyer@frontrow.example";
/// The password of both.
pub const PASSWORD: &str = "front-row-demo";

/// Loads the season into a box office that has no concerts.
///
/// # Errors
/// The database cannot be written.
pub async fn load(office: &BoxOffice) -> anyhow::Result<()> {
    let any = office.store.concerts(&ConcertFilter::default(), Page { after: None, limit: 1 }).await?;
    if !any.is_empty() {
        return Ok(());
    }
    let register =
        |name: &str, email: &str, role| office.register(name.to_owned(), email.to_owned(), PASSWORD.to_owned(), role);
    register("Demo Operator", OPERATOR, Role::Operator).await?;
    let buyer = register("Demo Buyer", BUYER, Role::Buyer).await?;
    charge(office, buyer.user_id, 1_000_000, "demo-buyer").await?;
    let mut partly_sold = None;
    for (draft, seats) in demo_season(office.clock.now()) {
        let (concert, _) = create(office, &draft, &seats).await?;
        if partly_sold.is_none() && concert.room_id == frontrow_domain::id::RoomId::HOUSE {
            partly_sold = Some(concert);
        }
    }
    let concert = partly_sold.context("the season has no concert of the house room")?;
    sell_some(office, &concert).await
}

/// Creates a concert with its seats. Returns it with the number of seats.
///
/// # Errors
/// The draft is not valid, or the database cannot be written.
pub async fn create(
    office: &BoxOffice,
    draft: &ConcertDraft,
    parts: &[SeatsDraft],
) -> anyhow::Result<(Concert, usize)> {
    let command = Command::CreateConcert(draft.check()?);
    let Outcome::Concert(concert) = office.operate(Caller::System, command, None).await?.value else {
        return Err(anyhow!("a concert was not created"));
    };
    let mut count = 0;
    for part in parts {
        let seats = part.check(concert.base_price)?;
        count += seats.len();
        let command = Command::AddSeats { concert_id: concert.concert_id, seats };
        office.operate(Caller::System, command, None).await?;
    }
    Ok((concert, count))
}

async fn charge(office: &BoxOffice, user: UserId, amount: i64, reference: &str) -> Result<(), Stop> {
    office.charge(Caller::System, user, Money::new(amount), Some(reference.to_owned()), None).await.map(|_| ())
}

/// Four fans buy three seats each.
async fn sell_some(office: &BoxOffice, concert: &Concert) -> anyhow::Result<()> {
    let seats = office.store.seats(concert.concert_id).await?;
    let middle: Vec<SeatId> = seats.iter().skip(18).map(|(seat, _)| seat.seat_id).collect();
    for (number, wanted) in middle.chunks(3).take(4).enumerate() {
        let email = format!("fan{}@frontrow.example", number + 1);
        let name = format!("Demo Fan {}", number + 1);
        let fan = office.register(name, email, PASSWORD.to_owned(), Role::Buyer).await?;
        charge(office, fan.user_id, 1_000_000, &format!("demo-fan-{}", number + 1)).await?;
        let caller = Caller::Buyer(fan.user_id);
        let token = office.issue_token(caller, Some(concert.concert_id), None).await?.value.0.token.id;
        let advance = Command::AdvanceRoom { room_id: token.room_id, limit: 1, asleep: Vec::new() };
        office.operate(Caller::System, advance, None).await?;
        office.operate(caller, Command::ActivateToken { token }, None).await?;
        let held = office.hold(caller, token, wanted.to_vec(), None).await?.value;
        let reservations = held.iter().map(|reservation| reservation.reservation_id).collect();
        office.pay(caller, token, reservations, None).await?;
    }
    Ok(())
}
