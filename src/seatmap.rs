//! The seat maps: kept in memory, followed commit by commit, rendered once for all who look.

use crate::store::{Store, StoreError};
use arc_swap::ArcSwapOption;
use bytes::Bytes;
use frontrow_domain::{
    id::{ConcertId, SeatId},
    money::Money,
    seat::{Seat, SeatLabel, SeatStatus},
    world::Changes,
};
use serde::Serialize;
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::OnceCell;
use utoipa::ToSchema;

/// A map whose rendering takes longer than this may be served a little old.
const RENDER_CHEAP: Duration = Duration::from_millis(1);
/// How old.
const AGE_MAX: Duration = Duration::from_millis(100);

/// How a seat map is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MapForm {
    /// An object for each seat.
    Full,
    /// Blocks of neighbouring seats, a letter for each seat.
    Compact,
}

/// A rendered map.
#[derive(Debug)]
pub struct SeatMap {
    /// The JSON.
    pub body: Bytes,
    /// Changes whenever the body does.
    pub etag: String,
    version: u64,
    rendered_at: Instant,
    cost: Duration,
}

/// Every seat map that somebody has looked at.
#[derive(Debug)]
pub struct SeatMaps {
    boot: u64,
    halls: RwLock<HashMap<ConcertId, Arc<Hall>>>,
}

#[derive(Debug)]
struct Hall {
    concert_id: ConcertId,
    loaded: OnceCell<()>,
    version: AtomicU64,
    seats: Mutex<Seats>,
    full: ArcSwapOption<SeatMap>,
    compact: ArcSwapOption<SeatMap>,
}

#[derive(Debug)]
struct Seats {
    rows: Vec<(Seat, SeatLabel)>,
    index: HashMap<SeatId, usize>,
}

/// The full form.
#[derive(Debug, Serialize, ToSchema)]
pub struct FullMap<'a> {
    /// Of which concert.
    pub concert_id: ConcertId,
    /// Rises with every change.
    pub version: u64,
    /// The seats, by number.
    pub seats: Vec<MapSeat<'a>>,
}

/// One seat of the full form.
#[derive(Debug, Serialize, ToSchema)]
pub struct MapSeat<'a> {
    /// Which seat.
    pub seat_id: SeatId,
    /// Its number in the concert.
    pub seat_number: i32,
    /// The block of the hall.
    pub section: &'a str,
    /// The row in the section.
    pub row: &'a str,
    /// The price grade.
    pub grade: &'a str,
    /// What it costs.
    pub price: Money,
    /// What may be done with it.
    pub status: SeatStatus,
}

/// The compact form.
#[derive(Debug, Serialize, ToSchema)]
pub struct CompactMap<'a> {
    /// Of which concert.
    pub concert_id: ConcertId,
    /// Rises with every change.
    pub version: u64,
    /// The seats in blocks.
    pub blocks: Vec<MapBlock<'a>>,
}

/// Seats whose ids and numbers both rise by one, in one row at one price.
#[derive(Debug, Serialize, ToSchema)]
pub struct MapBlock<'a> {
    /// The block of the hall.
    pub section: &'a str,
    /// The row in the section.
    pub row: &'a str,
    /// The price grade.
    pub grade: &'a str,
    /// What each costs.
    pub price: Money,
    /// The first seat's id.
    pub first_seat_id: SeatId,
    /// The first seat's number.
    pub first_seat_number: i32,
    /// How many seats.
    pub count: usize,
    /// A letter for each seat: A available, H held, S sold, B blocked.
    #[schema(example = "AAHSBA")]
    pub states: String,
}

impl SeatMaps {
    /// No maps yet. `boot` keeps this run's tags apart from those of the run before.
    #[must_use]
    pub fn new(boot: u64) -> Self {
        Self { boot, halls: RwLock::new(HashMap::new()) }
    }

    /// Takes in what a committed batch changed.
    pub fn publish(&self, changes: &Changes) {
        if changes.seats.is_empty() {
            return;
        }
        let halls = self.halls.read().unwrap_or_else(PoisonError::into_inner);
        let mut current: Option<(&Arc<Hall>, std::sync::MutexGuard<'_, Seats>)> = None;
        for seat in changes.seats.iter() {
            if current.as_ref().is_none_or(|(hall, _)| hall.concert_id != seat.concert_id) {
                current = None;
                let Some(hall) = halls.get(&seat.concert_id) else { continue };
                let seats = hall.seats.lock().unwrap_or_else(PoisonError::into_inner);
                // Under the lock: whoever renders sees a version together with its rows.
                hall.version.fetch_add(1, Ordering::Relaxed);
                current = Some((hall, seats));
            }
            if let Some((_, seats)) = &mut current {
                seats.put(seat, &changes.new_labels);
            }
        }
    }

    /// Forgets every map, so that the next look reads the store.
    pub fn forget(&self) {
        self.halls.write().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The map of a concert. The seats are read from the store the first time only.
    ///
    /// # Errors
    /// The seats could not be read.
    pub async fn get(&self, store: &dyn Store, id: ConcertId, form: MapForm) -> Result<Arc<SeatMap>, StoreError> {
        let known = self.halls.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned();
        // The hall goes into the table before its rows are read, so that no commit in between is missed; what the
        // commits bring is newer than what the read brings.
        let hall = known.unwrap_or_else(|| {
            let mut halls = self.halls.write().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(halls.entry(id).or_insert_with(|| Arc::new(Hall::new(id))))
        });
        let load = async || {
            let rows = store.seats(id).await?;
            let mut seats = hall.seats.lock().unwrap_or_else(PoisonError::into_inner);
            seats.fill(rows);
            hall.version.fetch_add(1, Ordering::Relaxed);
            Ok(())
        };
        hall.loaded.get_or_try_init(load).await?;
        Ok(hall.map(form, self.boot))
    }
}

impl Seats {
    fn put(&mut self, seat: &Seat, labels: &HashMap<SeatId, SeatLabel>) {
        if let Some(at) = self.index.get(&seat.seat_id) {
            if let Some((row, _)) = self.rows.get_mut(*at) {
                row.clone_from(seat);
            }
        } else {
            self.index.insert(seat.seat_id, self.rows.len());
            self.rows.push((seat.clone(), labels.get(&seat.seat_id).cloned().unwrap_or_default()));
        }
    }

    fn fill(&mut self, rows: Vec<(Seat, SeatLabel)>) {
        for (seat, label) in rows {
            if let Some(at) = self.index.get(&seat.seat_id) {
                if let Some(row) = self.rows.get_mut(*at) {
                    row.1 = label;
                }
            } else {
                self.index.insert(seat.seat_id, self.rows.len());
                self.rows.push((seat, label));
            }
        }
        self.sort();
    }

    fn sort(&mut self) {
        if !self.rows.is_sorted_by_key(|(seat, _)| seat.seat_number) {
            self.rows.sort_by_key(|(seat, _)| seat.seat_number);
            self.index = self.rows.iter().enumerate().map(|(at, (seat, _))| (seat.seat_id, at)).collect();
        }
    }
}

impl Hall {
    fn new(concert_id: ConcertId) -> Self {
        Self {
            concert_id,
            loaded: OnceCell::new(),
            version: AtomicU64::new(0),
            seats: Mutex::new(Seats { rows: Vec::new(), index: HashMap::new() }),
            full: ArcSwapOption::empty(),
            compact: ArcSwapOption::empty(),
        }
    }

    fn map(&self, form: MapForm, boot: u64) -> Arc<SeatMap> {
        let slot = match form {
            MapForm::Full => &self.full,
            MapForm::Compact => &self.compact,
        };
        let fresh_enough = |map: &SeatMap| {
            map.version == self.version.load(Ordering::Relaxed)
                || (map.cost > RENDER_CHEAP && map.rendered_at.elapsed() < AGE_MAX)
        };
        if let Some(map) = &*slot.load()
            && fresh_enough(map)
        {
            return Arc::clone(map);
        }
        let mut seats = self.seats.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(map) = slot.load_full()
            && fresh_enough(&map)
        {
            return map;
        }
        seats.sort();
        let started = Instant::now();
        let version = self.version.load(Ordering::Relaxed);
        let body = match form {
            MapForm::Full => serde_json::to_vec(&full(self.concert_id, version, &seats.rows)),
            MapForm::Compact => serde_json::to_vec(&compact(self.concert_id, version, &seats.rows)),
        };
        let map = Arc::new(SeatMap {
            body: Bytes::from(body.unwrap_or_default()),
            etag: format!("\"{}-{boot:x}-{version}-{form:?}\"", self.concert_id),
            version,
            rendered_at: started,
            cost: started.elapsed(),
        });
        slot.store(Some(Arc::clone(&map)));
        map
    }
}

fn full(concert_id: ConcertId, version: u64, rows: &[(Seat, SeatLabel)]) -> FullMap<'_> {
    let seats = rows
        .iter()
        .map(|(seat, label)| MapSeat {
            seat_id: seat.seat_id,
            seat_number: seat.seat_number,
            section: &label.section,
            row: &label.row,
            grade: &label.grade,
            price: seat.price,
            status: seat.status,
        })
        .collect();
    FullMap { concert_id, version, seats }
}

fn compact(concert_id: ConcertId, version: u64, rows: &[(Seat, SeatLabel)]) -> CompactMap<'_> {
    let mut blocks: Vec<MapBlock<'_>> = Vec::new();
    let mut last: Option<&(Seat, SeatLabel)> = None;
    for row in rows {
        let (seat, label) = row;
        let goes_on = last.is_some_and(|(before, before_label)| {
            before.seat_id.get() + 1 == seat.seat_id.get()
                && before.seat_number + 1 == seat.seat_number
                && before.price == seat.price
                && before_label == label
        });
        let letter = char::from(seat.status.letter());
        match blocks.last_mut() {
            Some(block) if goes_on => {
                block.count += 1;
                block.states.push(letter);
            }
            _ => blocks.push(MapBlock {
                section: &label.section,
                row: &label.row,
                grade: &label.grade,
                price: seat.price,
                first_seat_id: seat.seat_id,
                first_seat_number: seat.seat_number,
                count: 1,
                states: letter.to_string(),
            }),
        }
        last = Some(row);
    }
    CompactMap { concert_id, version, blocks }
}
