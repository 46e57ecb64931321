//! Numbers, money and times as they are written in each language.

use crate::edge::language::Language;
use frontrow_domain::{
    money::Money,
    time::{Span, Time},
};
use jiff::{
    Timestamp, Zoned,
    civil::{Date, Weekday},
    tz::{TimeZone, TimeZoneDatabase},
};

/// A whole number with its digits in groups of three.
#[expect(clippy::cast_possible_truncation, reason = "Fluent holds numbers as f64; these were integers")]
pub(crate) fn grouped_number(value: f64) -> String {
    grouped(value as i64)
}

/// 1234567 as `1,234,567`.
pub(crate) fn grouped(value: i64) -> String {
    let digits = value.unsigned_abs().to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3 + 1);
    if value < 0 {
        text.push('-');
    }
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `180,000원`, or `₩180,000`.
pub(crate) fn money(language: Language, amount: Money) -> String {
    match (language, amount.get()) {
        (Language::Korean, won) => format!("{}원", grouped(won)),
        (Language::English, won @ ..0) => format!("-₩{}", grouped(won.saturating_neg())),
        (Language::English, won) => format!("₩{}", grouped(won)),
    }
}

/// A moment by the clock of a time zone; of UTC if the zone is unknown.
pub(crate) fn local(at: Time, zone: &str) -> Zoned {
    let zone = TimeZoneDatabase::bundled().get(zone).unwrap_or(TimeZone::UTC);
    Timestamp::from_microsecond(at.micros()).unwrap_or_default().to_zoned(zone)
}

const fn weekday(language: Language, day: Weekday) -> &'static str {
    match (language, day) {
        (Language::Korean, Weekday::Monday) => "월",
        (Language::Korean, Weekday::Tuesday) => "화",
        (Language::Korean, Weekday::Wednesday) => "수",
        (Language::Korean, Weekday::Thursday) => "목",
        (Language::Korean, Weekday::Friday) => "금",
        (Language::Korean, Weekday::Saturday) => "토",
        (Language::Korean, Weekday::Sunday) => "일",
        (Language::English, Weekday::Monday) => "Mon",
        (Language::English, Weekday::Tuesday) => "Tue",
        (Language::English, Weekday::Wednesday) => "Wed",
        (Language::English, Weekday::Thursday) => "Thu",
        (Language::English, Weekday::Friday) => "Fri",
        (Language::English, Weekday::Saturday) => "Sat",
        (Language::English, Weekday::Sunday) => "Sun",
    }
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// `2027년 3월 1일 (월)`, or `Mon 1 March 2027`.
pub(crate) fn date(language: Language, at: &Zoned) -> String {
    let day = weekday(language, at.weekday());
    match language {
        Language::Korean => format!("{}년 {}월 {}일 ({day})", at.year(), at.month(), at.day()),
        Language::English => format!("{day} {} {} {}", at.day(), month_name(at.month()), at.year()),
    }
}

/// `2027년 3월`, or `March 2027`.
pub(crate) fn month(language: Language, date: Date) -> String {
    match language {
        Language::Korean => format!("{}년 {}월", date.year(), date.month()),
        Language::English => format!("{} {}", month_name(date.month()), date.year()),
    }
}

fn month_name(month: i8) -> &'static str {
    usize::try_from(month).ok().and_then(|month| MONTHS.get(month.checked_sub(1)?)).unwrap_or(&"")
}

/// `오후 8:00`, or `8:00 pm`.
pub(crate) fn hour(language: Language, at: &Zoned) -> String {
    let (hour, minute) = (at.hour(), at.minute());
    let clock = match hour % 12 {
        0 => 12,
        hour => hour,
    };
    match (language, hour < 12) {
        (Language::Korean, true) => format!("오전 {clock}:{minute:02}"),
        (Language::Korean, false) => format!("오후 {clock}:{minute:02}"),
        (Language::English, true) => format!("{clock}:{minute:02} am"),
        (Language::English, false) => format!("{clock}:{minute:02} pm"),
    }
}

/// As [`hour`], with seconds.
pub(crate) fn exact_hour(language: Language, at: &Zoned) -> String {
    hour(language, at).replacen(&format!(":{:02}", at.minute()), &format!(":{:02}:{:02}", at.minute(), at.second()), 1)
}

/// A length of more hours is written in days.
const DAYS_FROM_HOURS: i64 = 48;

/// A length of time to the second: `2시간 30분`, or `2 h 30 min`, and above two days `3일 4시간`, or `3 d 4 h`. A part that is
/// none is left out.
pub(crate) fn length(language: Language, span: Span) -> String {
    let seconds = span.micros().max(0) / 1_000_000;
    let names = match language {
        Language::Korean => ["일", "시간", "분", "초"],
        Language::English => [" d", " h", " min", " s"],
    };
    let hours = seconds / 3_600;
    let (days, hours) = if hours > DAYS_FROM_HOURS { (hours / 24, hours % 24) } else { (0, hours) };
    let parts = [days, hours, seconds / 60 % 60, seconds % 60];
    let parts: Vec<_> =
        parts.iter().zip(names).filter(|(part, _)| **part > 0).map(|(part, name)| format!("{part}{name}")).collect();
    let [.., name] = names;
    if parts.is_empty() { format!("0{name}") } else { parts.join(" ") }
}

/// Minutes and seconds that are left, rounded up: `0:54`. None are left of a span that is over.
pub(crate) fn clock(left: Span) -> String {
    let seconds = left.micros().max(0).saturating_add(999_999) / 1_000_000;
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

/// Date and hour.
pub(crate) fn moment(language: Language, at: &Zoned) -> String {
    on_date(language, at, &hour(language, at))
}

/// As [`moment`], with the seconds unless they are zero: for a deadline, which must not be rounded away.
pub(crate) fn exact_moment(language: Language, at: &Zoned) -> String {
    let hour = if at.second() == 0 { hour(language, at) } else { exact_hour(language, at) };
    on_date(language, at, &hour)
}

fn on_date(language: Language, at: &Zoned, hour: &str) -> String {
    match language {
        Language::Korean => format!("{} {hour}", date(language, at)),
        Language::English => format!("{}, {hour}", date(language, at)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_counts_whole_seconds_and_stops_at_none() {
        for (left, expected) in [(54_000_000, "0:54"), (53_000_001, "0:54"), (600_000_000, "10:00"), (-5, "0:00")] {
            assert_eq!(clock(Span::from_micros(left)), expected);
        }
    }

    #[test]
    fn money_and_times_are_written_as_each_language_writes_them() {
        let at = |text: &str| Time::from_micros(text.parse::<Timestamp>().unwrap().as_microsecond());
        let midnight = local(at("2027-02-28T15:00:00Z"), "Asia/Seoul");
        let at = local(at("2027-03-01T11:00:05Z"), "Asia/Seoul");
        assert_eq!(moment(Language::Korean, &at), "2027년 3월 1일 (월) 오후 8:00");
        assert_eq!(moment(Language::English, &at), "Mon 1 March 2027, 8:00 pm");
        assert_eq!(exact_hour(Language::Korean, &at), "오후 8:00:05");
        assert_eq!(exact_moment(Language::English, &at), "Mon 1 March 2027, 8:00:05 pm");
        assert_eq!(exact_moment(Language::Korean, &midnight), "2027년 3월 1일 (월) 오전 12:00");
        assert_eq!(hour(Language::English, &midnight), "12:00 am");
        for (seconds, korean, english) in [
            (0, "0초", "0 s"),
            (45, "45초", "45 s"),
            (60, "1분", "1 min"),
            (90, "1분 30초", "1 min 30 s"),
            (300, "5분", "5 min"),
            (9_000, "2시간 30분", "2 h 30 min"),
            (7_205, "2시간 5초", "2 h 5 s"),
            (172_800, "48시간", "48 h"),
            (273_900, "3일 4시간 5분", "3 d 4 h 5 min"),
            (-1, "0초", "0 s"),
        ] {
            assert_eq!(length(Language::Korean, Span::from_secs(seconds)), korean);
            assert_eq!(length(Language::English, Span::from_secs(seconds)), english);
        }
        for (won, korean, english) in [
            (0, "0원", "₩0"),
            (999, "999원", "₩999"),
            (180_000, "180,000원", "₩180,000"),
            (-1_234_567, "-1,234,567원", "-₩1,234,567"),
        ] {
            assert_eq!(money(Language::Korean, Money::new(won)), korean);
            assert_eq!(money(Language::English, Money::new(won)), english);
        }
    }
}
