//! Creates concerts with their seats, from an import file or for the demo.

use crate::{
    drafts::{ConcertDraft, ConcertFile, SeatsDraft},
    office::BoxOffice,
};
use anyhow::{Context as _, anyhow, bail};
use frontrow_domain::{
    command::{Command, NewConcert, Outcome, Request},
    decide::decide_all,
    sale::{Concert, NewSeat},
    text::InvalidField,
    user::Caller,
};
use frontrow_storage::{ConcertFilter, ConcertPlace, Page, Store, StoreError, memory::MemoryStore};
use std::sync::Arc;

/// How many concerts one query reads.
const PAGE: u32 = 100;

/// A concert with its seats, ready for commands.
#[derive(Debug, Clone)]
struct Checked {
    concert: NewConcert,
    parts: Vec<Vec<NewSeat>>,
}

fn check(draft: &ConcertDraft, parts: &[SeatsDraft]) -> Result<Checked, InvalidField> {
    let concert = draft.check()?;
    let parts = parts.iter().map(SeatsDraft::check).collect::<Result<_, _>>()?;
    Ok(Checked { concert, parts })
}

/// Creates the concerts of a file. Everything is checked before the first is created: a file with a mistake, or with a
/// concert that exists already, creates nothing.
///
/// # Errors
/// A concert is not valid, is twice in the file, or exists already (one with the same title, date and venue); or the
/// database cannot be written.
pub async fn import(office: &BoxOffice, file: &[ConcertFile]) -> anyhow::Result<Vec<(Concert, usize)>> {
    let rehearsal = MemoryStore::new(office.clock.clone(), office.policy, 1);
    let mut checked: Vec<Checked> = Vec::with_capacity(file.len());
    for (at, entry) in file.iter().enumerate() {
        let name = || format!("nothing was imported: concert {} of the file, \"{}\"", at + 1, entry.concert.title);
        let one = check(&entry.concert, &entry.seats).with_context(name)?;
        if checked.iter().any(|other| same(&other.concert, &one.concert)) {
            return Err(anyhow!("the same title, date and venue stand in the file twice").context(name()));
        }
        if let Some(known) = find(office, &one.concert).await? {
            let what = format!("concert {} has the same title, date and venue", known.concert_id);
            return Err(anyhow!(what).context(name()));
        }
        dry_run(&rehearsal, &one).await.with_context(name)?;
        checked.push(one);
    }
    let mut created = Vec::with_capacity(checked.len());
    for one in checked {
        created.push(make(office, one).await?);
    }
    Ok(created)
}

fn same(a: &NewConcert, b: &NewConcert) -> bool {
    a.title == b.title && a.concert_date == b.concert_date && a.venue == b.venue
}

async fn find(office: &BoxOffice, new: &NewConcert) -> Result<Option<Concert>, StoreError> {
    let filter = ConcertFilter { from: Some(new.concert_date), to: Some(new.concert_date), ..ConcertFilter::default() };
    let on_the_day = concerts(office, &filter).await?;
    Ok(on_the_day.into_iter().find(|concert| concert.title == new.title && concert.venue == new.venue))
}

/// Every concert that matches, however many there are.
///
/// # Errors
/// The store could not be read.
pub async fn concerts(office: &BoxOffice, filter: &ConcertFilter) -> Result<Vec<Concert>, StoreError> {
    let mut all: Vec<Concert> = Vec::new();
    loop {
        let after = all.last().map(ConcertPlace::of);
        let page = office.store.concerts(filter, Page { after, limit: PAGE }).await?;
        if page.is_empty() {
            return Ok(all);
        }
        all.extend(page);
    }
}

/// Creates a concert in a scratch store, so that every rule is checked before anything is saved.
async fn dry_run(store: &MemoryStore, Checked { concert, parts }: &Checked) -> anyhow::Result<()> {
    let Outcome::Concert(concert) = decide(store, Command::CreateConcert(concert.clone())).await? else {
        bail!("a concert was not created");
    };
    for seats in parts {
        decide(store, Command::AddSeats { concert_id: concert.concert_id, seats: seats.clone() }).await?;
    }
    Ok(())
}

async fn decide(store: &MemoryStore, command: Command) -> anyhow::Result<Outcome> {
    let request = Request { caller: Caller::System, command, idempotency: None };
    let answer =
        store.transact(Arc::from([request]), decide_all).await?.answers.pop().context("a command has no answer")?;
    Ok(answer.decision?)
}

/// Creates a concert with its seats. Returns it with the number of seats.
///
/// # Errors
/// The drafts are not valid, or the database cannot be written.
pub async fn create(
    office: &BoxOffice,
    draft: &ConcertDraft,
    parts: &[SeatsDraft],
) -> anyhow::Result<(Concert, usize)> {
    make(office, check(draft, parts)?).await
}

async fn make(office: &BoxOffice, Checked { concert, parts }: Checked) -> anyhow::Result<(Concert, usize)> {
    let concert = office.create_concert(Caller::System, concert, None).await?.value;
    let count = seat(office, &concert, parts).await?;
    Ok((concert, count))
}

/// Adds seats to a concert. Returns how many.
///
/// # Errors
/// The drafts are not valid, a seat number is taken, or the database cannot be written.
pub async fn add_seats(office: &BoxOffice, concert: &Concert, parts: &[SeatsDraft]) -> anyhow::Result<usize> {
    let parts = parts.iter().map(SeatsDraft::check).collect::<Result<_, _>>()?;
    seat(office, concert, parts).await
}

async fn seat(office: &BoxOffice, concert: &Concert, parts: Vec<Vec<NewSeat>>) -> anyhow::Result<usize> {
    let mut count = 0;
    for seats in parts {
        count += seats.len();
        office.add_seats(Caller::System, concert.concert_id, seats, None).await?;
    }
    Ok(count)
}
