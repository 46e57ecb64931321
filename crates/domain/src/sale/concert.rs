//! Concerts: scheduled → over, closed or postponed and scheduled again, or cancelled for good.

use crate::{
    id::{ConcertId, RoomId},
    money::Money,
    refusal::Refusal,
    sale::{CONCERT_CANCELLED, ConcertDetails, REFUNDED_AFTER_SALE, SeatAction},
    time::{Span, Time},
};
use jiff::{
    civil,
    tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// How long after a concert was cancelled or changed an earlier decided hold or payment may still be saved: longer than
/// any transaction of a store with many writers lives. A sale counts as opened this long before its opening: a change
/// that is decided then may be saved after the first holds.
pub const LATE_SALES: Span = Span::from_secs(15);

/// How long after a concert's end the places in its own line are kept: an hour, in which an operator may still correct
/// a wrong date.
pub const LINE_KEPT: Span = Span::from_secs(3_600);

/// The status of a concert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ConcertStatus {
    /// On sale between its opening and closing times.
    Scheduled,
    /// The concert takes place, but an operator closed its sale.
    Closed,
    /// It takes place on another day: the sale stands still until an operator schedules it again.
    Postponed,
    /// It does not take place. Final.
    Cancelled,
    /// It has ended. No row says so: it follows from the time.
    Over,
}

/// The end of the sale: absolute, or with the concert's start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Closing {
    /// It is the concert's start, and moves with it.
    WithStart,
    /// It was set by itself, and stays when the start moves.
    Apart,
}

/// Which of two moments is meant if a clock shows both alike, because it was set back between them. 0 or 1 in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fold {
    /// The first moment, 0.
    First,
    /// The second moment, 1.
    Second,
}

impl Serialize for Fold {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(match self {
            Self::First => 0,
            Self::Second => 1,
        })
    }
}

impl<'de> Deserialize<'de> for Fold {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u8::deserialize(deserializer)? {
            0 => Ok(Self::First),
            1 => Ok(Self::Second),
            _ => Err(serde::de::Error::custom("a fold is 0, the first of two, or 1, the second")),
        }
    }
}

/// The hours of a concert, in the venue's local time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalHours {
    /// The date of the start.
    pub concert_date: civil::Date,
    /// When it starts.
    pub start_time: civil::Time,
    /// When it ends; on the next day unless it is later than the start.
    pub end_time: civil::Time,
    /// Which moment is meant if the venue's clock shows the start or the end twice.
    pub fold: Option<Fold>,
}

/// An hour of a concert or of its sale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hour {
    /// The start.
    Start,
    /// The end.
    End,
    /// The opening of the sale.
    Opening,
    /// The closing of the sale.
    Closing,
}

/// Why hours cannot be turned into moments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoMoment {
    /// The name is not in the time zone database.
    #[error("is not a time zone's IANA name, such as Asia/Seoul")]
    UnknownZone,
    /// It is beyond the range of instants.
    #[error("is out of range")]
    OutOfRange,
    /// The clock is set forward over it.
    #[error("does not exist at the venue on that day: the clock is set forward over it")]
    LeftOut(Hour),
    /// The clock is set back over it, and `fold` does not say which moment is meant.
    #[error(
        "comes twice at the venue on that day, since the clock is set back: send `fold` with 0 for the first or 1 for the \
         second"
    )]
    Twice(Hour),
}

impl NoMoment {
    /// The field of a concert that is wrong.
    #[must_use]
    pub const fn field(self) -> &'static str {
        match self {
            Self::UnknownZone => "time_zone",
            Self::OutOfRange => "concert_date",
            Self::LeftOut(Hour::Start) | Self::Twice(Hour::Start) => "start_time",
            Self::LeftOut(Hour::End) | Self::Twice(Hour::End) => "end_time",
            Self::LeftOut(Hour::Opening) | Self::Twice(Hour::Opening) => "opens_at",
            Self::LeftOut(Hour::Closing) | Self::Twice(Hour::Closing) => "closes_at",
        }
    }
}

/// Names in the time zone database that belong to no place.
const NO_PLACES: [&str; 2] = ["Factory", "Etc/Unknown"];

fn zone_of(name: &str) -> Result<(TimeZone, String), NoMoment> {
    let zone = TimeZoneDatabase::bundled().get(name).map_err(|_| NoMoment::UnknownZone)?;
    let name = zone.iana_name().filter(|name| !NO_PLACES.contains(name)).map(str::to_owned);
    name.map(|name| (zone, name)).ok_or(NoMoment::UnknownZone)
}

/// The name of a time zone as the time zone database writes it, from a name in any case.
///
/// # Errors
/// [`NoMoment::UnknownZone`].
pub fn zone_name(name: &str) -> Result<String, NoMoment> {
    zone_of(name).map(|(_, name)| name)
}

/// The moment at which the clocks of a time zone show a date and a time of day; `hour` is what it is for.
///
/// # Errors
/// The zone is unknown, the date out of range, the hour does not exist on that day, or it comes twice and `fold` does
/// not say which.
pub fn local_moment(time_zone: &str, at: civil::DateTime, fold: Option<Fold>, hour: Hour) -> Result<Time, NoMoment> {
    moment_in(&zone_of(time_zone)?.0, at, fold, hour)
}

fn moment_in(zone: &TimeZone, at: civil::DateTime, fold: Option<Fold>, hour: Hour) -> Result<Time, NoMoment> {
    let local = zone.to_ambiguous_timestamp(at);
    let moment = match (local.offset(), fold) {
        (AmbiguousOffset::Unambiguous { .. }, _) => local.unambiguous(),
        (AmbiguousOffset::Gap { .. }, _) => return Err(NoMoment::LeftOut(hour)),
        (AmbiguousOffset::Fold { .. }, None) => return Err(NoMoment::Twice(hour)),
        (AmbiguousOffset::Fold { .. }, Some(Fold::First)) => local.earlier(),
        (AmbiguousOffset::Fold { .. }, Some(Fold::Second)) => local.later(),
    };
    moment.map(|moment| Time::from_micros(moment.as_microsecond())).map_err(|_| NoMoment::OutOfRange)
}

impl LocalHours {
    /// The moments of start and end in a time zone, by the time zone data that the program was built with.
    ///
    /// # Errors
    /// The zone is unknown, the date out of range, an hour does not exist on that day, or it comes twice and `fold` does
    /// not say which.
    pub fn moments(&self, time_zone: &str) -> Result<(Time, Time), NoMoment> {
        let (zone, _) = zone_of(time_zone)?;
        let moment = |hour: Hour, date: civil::Date, time: civil::Time| {
            moment_in(&zone, date.to_datetime(time), self.fold, hour)
        };
        let starts_at = moment(Hour::Start, self.concert_date, self.start_time)?;
        let last_date = if self.end_time > self.start_time {
            self.concert_date
        } else {
            self.concert_date.tomorrow().map_err(|_| NoMoment::OutOfRange)?
        };
        // If the clock is set back within the concert, it could show an end before the start.
        let ends_at = moment(Hour::End, last_date, self.end_time)?.max(starts_at.plus(Span::from_micros(1)));
        Ok((starts_at, ends_at))
    }
}

/// One performance. Date and times are local to the venue; `starts_at` is the same moment in UTC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Concert {
    /// Which concert.
    pub concert_id: ConcertId,
    /// Its title.
    pub title: String,
    /// The artist.
    pub artist: String,
    /// The venue.
    pub venue: String,
    /// The venue's time zone, by its IANA name.
    pub time_zone: String,
    /// The date at the venue.
    pub concert_date: civil::Date,
    /// When it starts, at the venue.
    pub start_time: civil::Time,
    /// When it ends, at the venue; on the next day unless it is later than the start.
    pub end_time: civil::Time,
    /// The moment it starts.
    pub starts_at: Time,
    /// The moment it ends. From then on nothing of it is sold.
    pub ends_at: Time,
    /// The price of a seat unless its grade has one.
    pub base_price: Money,
    /// When the sale opens.
    pub opens_at: Time,
    /// When the sale closes.
    pub closes_at: Time,
    /// When the sale had opened before an operator put `opens_at` off; none if that was never done after the opening or
    /// in the last 15 seconds before it.
    pub opened_at: Option<Time>,
    /// Whether `closes_at` moves with the start.
    pub closing: Closing,
    /// The waiting room that leads to its seats: 0 for the house room, or its own number.
    pub room_id: RoomId,
    /// Its status.
    pub status: ConcertStatus,
    /// Why, for the buyers.
    pub status_reason: Option<String>,
    /// When an operator asked for every payment to be given back.
    pub refund_all_at: Option<Time>,
    /// When all seats of a cancelled concert were off sale and, if that was asked for, all payments given back.
    pub wound_up_at: Option<Time>,
    /// When it was created.
    pub created_at: Time,
    /// When anything of it last changed.
    pub updated_at: Time,
}

/// Whether a buyer's payment may be refunded, and how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefundTime {
    /// The concert was cancelled: with no end.
    Anytime,
    /// The concert was postponed: with its new date the refunds have an end again.
    UntilNewDate,
    /// Before this moment.
    Until(Time),
    /// Since this moment not any more.
    Over(Time),
}

impl RefundTime {
    /// Whether a refund is allowed.
    #[must_use]
    pub const fn is_open(self) -> bool {
        !matches!(self, Self::Over(_))
    }
}

impl Concert {
    /// The concert's status at `now`: a scheduled or closed one is over once `ends_at` has passed.
    #[must_use]
    pub fn status_at(&self, now: Time) -> ConcertStatus {
        match self.status {
            ConcertStatus::Scheduled | ConcertStatus::Closed if now >= self.ends_at => ConcertStatus::Over,
            status => status,
        }
    }

    /// The concert with its status at `now`.
    #[must_use]
    pub fn seen_at(&self, now: Time) -> Self {
        Self { status: self.status_at(now), ..self.clone() }
    }

    /// When the sale opened, if it may have been open before a change that is decided at `now` is saved: buyers may
    /// then hold seats with tokens of its room. The opening may be up to [`LATE_SALES`] after `now`.
    #[must_use]
    pub fn sale_opened_at(&self, now: Time) -> Option<Time> {
        self.opened_at.or_else(|| (now.plus(LATE_SALES) >= self.opens_at).then_some(self.opens_at))
    }

    /// Moves the opening of the sale. If it may have been open before, `opened_at` keeps that.
    pub fn open_at(&mut self, opens_at: Time, now: Time) {
        if now.max(self.opens_at) < opens_at {
            self.opened_at = self.sale_opened_at(now);
        }
        self.opens_at = opens_at;
    }

    /// Refuses unless the sale is open at `now`.
    ///
    /// # Errors
    /// As [`Self::check_not_over`], or [`Refusal::SaleNotOpen`].
    pub fn check_on_sale(&self, now: Time) -> Result<(), Refusal> {
        self.check_not_over(now)?;
        if now < self.opens_at { Err(Refusal::SaleNotOpen { opens_at: self.opens_at }) } else { Ok(()) }
    }

    /// Refuses once the sale is over. Before the opening the line may be joined.
    ///
    /// # Errors
    /// As [`Self::check_payable`]; from the closing time on [`Refusal::SaleClosed`].
    pub fn check_not_over(&self, now: Time) -> Result<(), Refusal> {
        self.check_payable(now)?;
        if now >= self.closes_at { Err(Refusal::SaleClosed) } else { Ok(()) }
    }

    /// Refuses unless a hold may be paid at `now`. The closing time does not cut a hold's five minutes; the concert's
    /// end and an operator do.
    ///
    /// # Errors
    /// [`Refusal::ConcertCancelled`], [`Refusal::ConcertPostponed`], or [`Refusal::SaleClosed`] if it was closed or is
    /// over.
    pub fn check_payable(&self, now: Time) -> Result<(), Refusal> {
        self.check_takes_place()?;
        match self.status_at(now) {
            ConcertStatus::Scheduled => Ok(()),
            ConcertStatus::Postponed => Err(Refusal::ConcertPostponed),
            ConcertStatus::Closed | ConcertStatus::Over | ConcertStatus::Cancelled => Err(Refusal::SaleClosed),
        }
    }

    /// Refuses if the concert was cancelled.
    ///
    /// # Errors
    /// [`Refusal::ConcertCancelled`].
    pub fn check_takes_place(&self) -> Result<(), Refusal> {
        if self.status == ConcertStatus::Cancelled { Err(Refusal::ConcertCancelled) } else { Ok(()) }
    }

    /// Whether a payment may be refunded at `now`: until `cutoff` before the start, and with no end if the concert was
    /// postponed or cancelled.
    #[must_use]
    pub fn refund_time(&self, cutoff: Span, now: Time) -> RefundTime {
        match self.status {
            ConcertStatus::Postponed => RefundTime::UntilNewDate,
            ConcertStatus::Cancelled => RefundTime::Anytime,
            ConcertStatus::Scheduled | ConcertStatus::Closed | ConcertStatus::Over => {
                let until = self.starts_at.minus(cutoff);
                if now < until { RefundTime::Until(until) } else { RefundTime::Over(until) }
            }
        }
    }

    /// When the doors open; none if the details do not say.
    #[must_use]
    pub fn doors_at(&self, details: &ConcertDetails) -> Option<Time> {
        let before = Span::from_secs(i64::from(details.doors_minutes?).saturating_mul(60));
        Some(self.starts_at.minus(before))
    }

    /// Whether no turn can come any more in the concert's own line: it was cancelled, or has been over for
    /// [`LINE_KEPT`]. A sale that is closed or postponed may go on, and keeps its places.
    #[must_use]
    pub fn is_line_over(&self, now: Time) -> bool {
        matches!(self.status_at(now.minus(LINE_KEPT)), ConcertStatus::Cancelled | ConcertStatus::Over)
    }

    /// Whether the sale that its own line leads to has ended: it has closed by the clock or by an operator, or the concert
    /// was cancelled or is over. That of a postponed concert stands still, and has not. An operator may open a sale again
    /// that has closed; what is said of its line then is said anew.
    #[must_use]
    pub fn has_sale_ended(&self, now: Time) -> bool {
        match self.status_at(now) {
            ConcertStatus::Scheduled => now >= self.closes_at,
            ConcertStatus::Closed => !self.has_no_opening(),
            ConcertStatus::Cancelled | ConcertStatus::Over => true,
            ConcertStatus::Postponed => false,
        }
    }

    /// Whether a cancelled concert may be settled at `now`: no hold or payment that was decided before its last change
    /// can be saved any more.
    #[must_use]
    pub fn may_settle(&self, now: Time) -> bool {
        now >= self.updated_at.plus(LATE_SALES)
    }

    /// Whether a paid ticket has a worth at `now`: the concert has not begun, or refunds have no end because it was
    /// postponed or cancelled.
    #[must_use]
    pub fn has_tickets_of_worth(&self, now: Time) -> bool {
        match self.status {
            ConcertStatus::Postponed | ConcertStatus::Cancelled => true,
            ConcertStatus::Scheduled | ConcertStatus::Closed | ConcertStatus::Over => now < self.starts_at,
        }
    }

    /// The new state of a seat whose payment is refunded at `now`. If the sale is over, the seat is blocked: a sale
    /// that opens again must not sell it before an operator frees it. The sale of a postponed concert is not over.
    #[must_use]
    pub fn refunded_seat(&self, now: Time) -> SeatAction {
        match self.status {
            ConcertStatus::Cancelled => self.unpaid_seat(),
            ConcertStatus::Postponed => SeatAction::FREE,
            ConcertStatus::Scheduled | ConcertStatus::Closed | ConcertStatus::Over => match self.check_not_over(now) {
                Ok(()) => SeatAction::FREE,
                Err(_) => SeatAction::Block { reason: REFUNDED_AFTER_SALE.to_owned() },
            },
        }
    }

    /// The new state of a seat whose hold has ended.
    #[must_use]
    pub fn unpaid_seat(&self) -> SeatAction {
        match self.status {
            ConcertStatus::Cancelled => SeatAction::Block { reason: CONCERT_CANCELLED.to_owned() },
            ConcertStatus::Scheduled | ConcertStatus::Closed | ConcertStatus::Postponed | ConcertStatus::Over => {
                SeatAction::FREE
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_concert_ends_on_its_date_or_after_midnight_by_the_venues_clock() {
        let show = |start: (i8, i8), end: (i8, i8), date: civil::Date| LocalHours {
            concert_date: date,
            start_time: civil::time(start.0, start.1, 0, 0),
            end_time: civil::time(end.0, end.1, 0, 0),
            fold: None,
        };
        let hours = |hours: LocalHours, zone| {
            let (starts_at, ends_at) = hours.moments(zone).unwrap();
            (starts_at.to_string(), ends_at.since(starts_at).micros() / 60_000_000)
        };
        let plain = show((20, 0), (22, 30), civil::date(2027, 3, 1));
        assert_eq!(hours(plain, "Asia/Seoul"), ("2027-03-01T11:00:00.000000Z".to_owned(), 150));
        let late = show((22, 0), (2, 0), civil::date(2027, 3, 1));
        assert_eq!(hours(late, "Asia/Seoul").1, 240);
        let whole_day = show((20, 0), (20, 0), civil::date(2027, 3, 1));
        assert_eq!(hours(whole_day, "Asia/Seoul").1, 24 * 60);
        // The clock goes forward at 2:00 and back at 3:00 in the night of the concert.
        let spring = show((22, 0), (4, 0), civil::date(2027, 3, 27));
        assert_eq!(hours(spring, "Europe/Berlin").1, 5 * 60);
        let autumn = LocalHours { fold: Some(Fold::First), ..show((2, 45), (2, 50), civil::date(2027, 10, 31)) };
        assert_eq!(hours(autumn, "Europe/Berlin").1, 5);
        assert_eq!(plain.moments("Mars/Olympus"), Err(NoMoment::UnknownZone));
        let never = show((20, 0), (1, 0), civil::Date::MAX);
        assert_eq!(never.moments("Asia/Seoul"), Err(NoMoment::OutOfRange));
    }

    #[test]
    fn an_hour_that_the_clock_leaves_out_is_no_moment_and_one_that_comes_twice_needs_a_fold() {
        let at = |date, start: (i8, i8), end: (i8, i8), fold| LocalHours {
            concert_date: date,
            start_time: civil::time(start.0, start.1, 0, 0),
            end_time: civil::time(end.0, end.1, 0, 0),
            fold,
        };
        let new_york = |hours: LocalHours| {
            hours
                .moments("America/New_York")
                .map(|(start, end)| (start.to_string(), end.since(start).micros() / 60_000_000))
        };
        let (forward, back) = (civil::date(2027, 3, 14), civil::date(2027, 11, 7));
        for fold in [None, Some(Fold::First), Some(Fold::Second)] {
            assert_eq!(new_york(at(forward, (2, 30), (5, 0), fold)), Err(NoMoment::LeftOut(Hour::Start)));
            assert_eq!(new_york(at(forward, (1, 30), (2, 30), fold)), Err(NoMoment::LeftOut(Hour::End)));
        }
        assert_eq!(new_york(at(back, (1, 30), (5, 0), None)), Err(NoMoment::Twice(Hour::Start)));
        assert_eq!(new_york(at(back, (0, 30), (1, 30), None)), Err(NoMoment::Twice(Hour::End)));
        let first = new_york(at(back, (1, 30), (5, 0), Some(Fold::First)));
        assert_eq!(first, Ok(("2027-11-07T05:30:00.000000Z".to_owned(), 270)));
        let second = new_york(at(back, (1, 30), (5, 0), Some(Fold::Second)));
        assert_eq!(second, Ok(("2027-11-07T06:30:00.000000Z".to_owned(), 210)));
        assert_eq!(new_york(at(back, (0, 30), (1, 30), Some(Fold::Second))).unwrap().1, 120);
        // If no hour comes twice, a fold has no effect.
        assert!(new_york(at(forward, (20, 0), (22, 0), Some(Fold::Second))).is_ok());
    }

    #[test]
    fn a_time_zone_has_one_name_and_no_clock_that_was_never_set_is_one() {
        assert_eq!(zone_name("asia/seoul").as_deref(), Ok("Asia/Seoul"));
        assert_eq!(zone_name("AMERICA/NEW_YORK").as_deref(), Ok("America/New_York"));
        assert_eq!(zone_name("utc").as_deref(), Ok("UTC"));
        for bad in [
            "Factory",
            "factory",
            "Etc/Unknown",
            "localtime",
            "KST",
            "+09:00",
            "GMT+9",
            "../Asia/Seoul",
            "",
            "Mars/Olympus",
        ] {
            assert_eq!(zone_name(bad), Err(NoMoment::UnknownZone), "{bad}");
        }
    }
}
