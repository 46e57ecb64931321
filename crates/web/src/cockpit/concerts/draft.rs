//! Reads a concert from a form: a new one, or the changes of one.

use super::{
    ConcertVisit,
    form::{
        ADDRESS, AGE, ARTIST, CLOSES, CONTACT, DATE, DESCRIPTION, DOORS, END, FOLD, OPENS, OPENS_LATER, ORGANISER,
        OWN_ROOM, PRICE, RUNNING, START, StageReader, StageSpec, TITLE, VENUE, ZONE, moment_field,
    },
};
use frontrow_domain::{
    command::{ConcertChange, NewConcert, OwnRoom},
    policy::MAX_ACTIVE_MAX,
    sale::{
        Closing, Concert, ConcertDetails, DOORS_MINUTES, DetailsChange, Fold, Hour, LocalHours, NoMoment,
        RUNNING_MINUTES, local_moment, zone_name,
    },
    time::Time,
};
use jiff::civil;

/// What a concert is, where and when.
pub(super) static WHAT: [&StageSpec; 9] = [&TITLE, &ARTIST, &VENUE, &ZONE, &DATE, &START, &END, &FOLD, &PRICE];
/// When it is sold.
pub(super) static SALE: [&StageSpec; 2] = [&OPENS, &CLOSES];
/// What buyers read of it.
pub(super) static DETAILS: [&StageSpec; 7] = [&DESCRIPTION, &AGE, &RUNNING, &DOORS, &ADDRESS, &ORGANISER, &CONTACT];

impl ConcertVisit {
    /// The value of a field as the forms show it.
    pub(super) fn shown(&self, name: &str) -> String {
        if name == OPENS.name && self.concert.has_no_opening() {
            return String::new();
        }
        shown(&self.concert, &self.details, name)
    }

    /// The fields of its sale.
    pub(super) fn sale_specs(&self) -> [&'static StageSpec; 2] {
        if self.concert.has_no_opening() { [&OPENS_LATER, &CLOSES] } else { SALE }
    }
}

fn shown(concert: &Concert, details: &ConcertDetails, name: &str) -> String {
    let number = |number: Option<i32>| number.map(|number| number.to_string()).unwrap_or_default();
    let clock = |time: civil::Time| time.strftime(if time.second() == 0 { "%H:%M" } else { "%H:%M:%S" }).to_string();
    match name {
        "title" => concert.title.clone(),
        "artist" => concert.artist.clone(),
        "venue" => concert.venue.clone(),
        "time_zone" => concert.time_zone.clone(),
        "concert_date" => concert.concert_date.to_string(),
        "start_time" => clock(concert.start_time),
        "end_time" => clock(concert.end_time),
        "base_price" => concert.base_price.get().to_string(),
        "opens_at" => moment_field(concert.opens_at, &concert.time_zone),
        "closes_at" => match concert.closing {
            Closing::WithStart => String::new(),
            Closing::Apart => moment_field(concert.closes_at, &concert.time_zone),
        },
        "description" => details.description.clone().unwrap_or_default(),
        "age_rating" => details
            .age_rating
            .and_then(|rating| serde_json::to_value(rating).ok())
            .and_then(|rating| rating.as_str().map(str::to_owned))
            .unwrap_or_default(),
        "running_minutes" => number(details.running_minutes),
        "doors_minutes" => number(details.doors_minutes),
        "address" => details.address.clone().unwrap_or_default(),
        "organiser" => details.organiser.clone().unwrap_or_default(),
        "organiser_contact" => details.organiser_contact.clone().unwrap_or_default(),
        _ => String::new(),
    }
}

/// The hours of a form that are right, with their moments.
struct ReadHours {
    time_zone: String,
    local: LocalHours,
    starts_at: Time,
    ends_at: Time,
}

impl StageReader<'_> {
    /// Why hours are no moments, at the field of each.
    fn no_moment(&mut self, reason: NoMoment) {
        let spec = match reason.field() {
            "time_zone" => &ZONE,
            "concert_date" => &DATE,
            "start_time" => &START,
            "end_time" => &END,
            "opens_at" => &OPENS,
            _ => &CLOSES,
        };
        let why = self.shell.t(match reason {
            NoMoment::UnknownZone => "stage-fault-zone",
            NoMoment::OutOfRange => "stage-fault-date",
            NoMoment::LeftOut(_) => "stage-fault-left-out",
            NoMoment::Twice(_) => "stage-fault-comes-twice",
        });
        self.fault(spec, why);
    }

    fn hours(&mut self, fold: Option<Fold>) -> Option<ReadHours> {
        let zone = self.text(&ZONE).and_then(|text| match zone_name(text) {
            Ok(zone) => Some(zone),
            Err(reason) => {
                self.no_moment(reason);
                None
            }
        });
        let (date, start, end) = (self.date(&DATE), self.clock(&START), self.clock(&END));
        let (time_zone, concert_date, start_time, end_time) = (zone?, date?, start?, end?);
        let local = LocalHours { concert_date, start_time, end_time, fold };
        match local.moments(&time_zone) {
            Ok((starts_at, ends_at)) => Some(ReadHours { time_zone, local, starts_at, ends_at }),
            Err(reason) => {
                self.no_moment(reason);
                None
            }
        }
    }

    /// The moment of a field; none if it is empty or wrong.
    fn local(&mut self, spec: &StageSpec, zone: &str, fold: Option<Fold>, hour: Hour) -> Option<Time> {
        let at = self.moment(spec)?;
        match local_moment(zone, at, fold, hour) {
            Ok(at) => Some(at),
            Err(reason) => {
                self.no_moment(reason);
                None
            }
        }
    }

    /// When the sale of a concert that starts and ends so opens and closes, by the clock of the venue: it closes after
    /// `now`, and no later than the concert ends.
    pub(super) fn window(
        &mut self,
        zone: &str,
        fold: Option<Fold>,
        (starts_at, ends_at): (Time, Time),
        now: Time,
    ) -> Option<(Time, Option<Time>)> {
        let (opens, closes) =
            (self.local(&OPENS, zone, fold, Hour::Opening), self.local(&CLOSES, zone, fold, Hour::Closing));
        if opens.is_some_and(|opens| opens >= closes.unwrap_or(starts_at)) {
            let why = self.shell.t("stage-fault-order");
            self.fault(&OPENS, why);
        }
        // What is over has its fault at the date.
        let is_over = self.faults.iter().any(|(name, _)| *name == DATE.name);
        if !is_over && closes.unwrap_or(starts_at) <= now {
            let why = self.shell.t("stage-fault-closing-past");
            self.fault(&CLOSES, why);
        }
        if closes.is_some_and(|closes| closes > ends_at) {
            let why = self.shell.t("stage-fault-closing-late");
            self.fault(&CLOSES, why);
        }
        Some((opens?, closes)).filter(|_| self.faults.is_empty())
    }

    /// The hours of a concert that is not over at `now`.
    fn hours_to_come(&mut self, fold: Option<Fold>, now: Time) -> Option<ReadHours> {
        let hours = self.hours(fold)?;
        if hours.ends_at <= now {
            let why = self.shell.t("stage-fault-date-past");
            self.fault(&DATE, why);
        }
        Some(hours)
    }

    /// What a concert is, where and when, for one that is made in steps: a later one says when its sale opens.
    pub(super) fn beginning(&mut self, now: Time) -> Option<NewConcert> {
        let fold = self.fold();
        let hours = self.hours_to_come(fold, now);
        let new = self.new_concert(hours?)?;
        Some(new).filter(|_| self.faults.is_empty())
    }

    fn new_concert(&mut self, hours: ReadHours) -> Option<NewConcert> {
        let (title, artist, venue) = (self.words(&TITLE), self.words(&ARTIST), self.words(&VENUE));
        let price = self.money(&PRICE);
        let ReadHours { time_zone, local: LocalHours { concert_date, start_time, end_time, .. }, starts_at, ends_at } =
            hours;
        Some(NewConcert {
            title: title?,
            artist: artist?,
            venue: venue?,
            time_zone,
            concert_date,
            start_time,
            end_time,
            starts_at,
            ends_at,
            base_price: price?,
            opens_at: None,
            closes_at: None,
            own_room_max_active: None,
            details: DetailsChange::default(),
        })
    }

    /// A whole new concert.
    pub(super) fn whole_concert(&mut self, now: Time) -> Option<NewConcert> {
        let fold = self.fold();
        let hours = self.hours_to_come(fold, now);
        let window =
            hours.as_ref().and_then(|hours| self.window(&hours.time_zone, fold, (hours.starts_at, hours.ends_at), now));
        let own_room_max_active = self.whole(&OWN_ROOM, 1..=MAX_ACTIVE_MAX);
        let details = self.details(&|_| true);
        // Each field says what is wrong with it, whatever is wrong with others.
        for spec in [&TITLE, &ARTIST, &VENUE] {
            self.words(spec);
        }
        self.money(&PRICE);
        let new = self.new_concert(hours?)?;
        let (opens_at, closes_at) = window?;
        Some(NewConcert { opens_at: Some(opens_at), closes_at, own_room_max_active, details, ..new })
            .filter(|_| self.faults.is_empty())
    }

    /// The details whose fields differ: an empty one removes its detail.
    fn details(&mut self, differs: &dyn Fn(&StageSpec) -> bool) -> DetailsChange {
        let minutes = |reader: &mut Self, spec: &StageSpec, bounds: std::ops::RangeInclusive<i32>| {
            let read = reader.whole(spec, i64::from(*bounds.start())..=i64::from(*bounds.end()));
            read.and_then(|minutes| i32::try_from(minutes).ok())
        };
        DetailsChange {
            description: differs(&DESCRIPTION).then(|| self.words(&DESCRIPTION)),
            age_rating: differs(&AGE).then(|| self.age()),
            running_minutes: differs(&RUNNING).then(|| minutes(self, &RUNNING, RUNNING_MINUTES)),
            doors_minutes: differs(&DOORS).then(|| minutes(self, &DOORS, DOORS_MINUTES)),
            address: differs(&ADDRESS).then(|| self.words(&ADDRESS)),
            organiser: differs(&ORGANISER).then(|| self.words(&ORGANISER)),
            organiser_contact: differs(&CONTACT).then(|| self.words(&CONTACT)),
        }
    }

    /// The changes of a concert: of the fields that differ from what it is. A field that the form does not have is no
    /// change, unless it must be filled in.
    pub(super) fn change(&mut self, visit: &ConcertVisit) -> Option<ConcertChange> {
        let (typed, concert) = (self.typed, &visit.concert);
        let differs = |spec: &StageSpec| {
            let given = typed.all(spec.name).next();
            given.is_some_and(|given| given.trim() != visit.shown(spec.name).trim())
        };
        // The first value of a field that is there twice may be the one that was shown.
        for spec in WHAT.iter().chain(&visit.sale_specs()).chain(&DETAILS) {
            self.text(spec);
        }
        let fold = self.fold();
        let hours = self.hours(fold);
        for spec in [&TITLE, &ARTIST, &VENUE] {
            self.words(spec);
        }
        let price = self.money(&PRICE);
        let own_room_max_active = self.whole(&OWN_ROOM, 1..=MAX_ACTIVE_MAX);
        let zone = hours.as_ref().map_or(concert.time_zone.as_str(), |hours| hours.time_zone.as_str());
        let moment = |reader: &mut Self, spec, hour| differs(spec).then(|| reader.local(spec, zone, fold, hour));
        let opens_at = moment(self, &OPENS, Hour::Opening).flatten();
        let closes_at = moment(self, &CLOSES, Hour::Closing);
        let details_change = self.details(&differs);
        let moves = [&ZONE, &DATE, &START, &END].into_iter().any(differs);
        if let Some(hours) = &hours {
            let present = Some(concert.opens_at).filter(|_| !concert.has_no_opening());
            let opens = opens_at.or(present).unwrap_or(Concert::unknown_opening(hours.starts_at));
            let apart = Some(concert.closes_at).filter(|_| concert.closing == Closing::Apart);
            let closes = closes_at.unwrap_or(apart).unwrap_or(hours.starts_at);
            if opens >= closes {
                let why = self.shell.t("stage-fault-order");
                self.fault(&OPENS, why);
            }
            if (moves || closes_at.is_some()) && closes > hours.ends_at {
                let why = self.shell.t("stage-fault-closing-late");
                self.fault(&CLOSES, why);
            }
        }
        let hours = hours?;
        let text = |reader: &mut Self, spec| differs(spec).then(|| reader.words(spec)).flatten();
        let change = ConcertChange {
            title: text(self, &TITLE),
            artist: text(self, &ARTIST),
            venue: text(self, &VENUE),
            time_zone: differs(&ZONE).then_some(hours.time_zone),
            concert_date: differs(&DATE).then_some(hours.local.concert_date),
            start_time: differs(&START).then_some(hours.local.start_time),
            end_time: differs(&END).then_some(hours.local.end_time),
            fold: fold.filter(|_| moves),
            base_price: price.filter(|_| differs(&PRICE)),
            opens_at,
            closes_at,
            status: None,
            status_reason: None,
            own_room: own_room_max_active.map(|max_active| OwnRoom {
                max_active,
                admit_per_minute: None,
                opening: None,
            }),
            details: details_change,
        };
        Some(change).filter(|_| self.faults.is_empty())
    }
}
