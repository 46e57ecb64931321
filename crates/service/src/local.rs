//! Dates and times of day at a venue, in their only accepted forms: `YYYY-MM-DD` and `HH:MM` or `HH:MM:SS`.
//!
//! A lenient parser would drop an offset, for example, and the concert would begin at another hour than written.

use jiff::civil::{Date, Time};
use serde::{Deserialize, Deserializer, de::Error};
use std::borrow::Cow;

/// The years that a concert may be in.
const YEARS: std::ops::RangeInclusive<i16> = 1_970..=9_999;

/// Reads a date.
///
/// # Errors
/// A sentence that says what a date looks like.
pub fn date(text: &str) -> Result<Date, &'static str> {
    let wrong = "a date is written as 2027-03-01, without a time, a zone or an offset";
    let [year, month, day] = numbers(text, b'-', [4, 2, 2]).ok_or(wrong)?;
    let small = |number: i16| i8::try_from(number).map_err(|_| wrong);
    let date = Date::new(year, small(month)?, small(day)?).map_err(|_| "there is no such date")?;
    if YEARS.contains(&year) { Ok(date) } else { Err("a date is from 1970-01-01 to 9999-12-31") }
}

/// Reads a time of day.
///
/// # Errors
/// A sentence that says what a time of day looks like.
pub fn time(text: &str) -> Result<Time, &'static str> {
    let wrong = "a time at the venue is written as 20:00 or 20:00:00, without a zone or an offset";
    let [hour, minute, second] = numbers(text, b':', [2, 2, 2])
        .or_else(|| numbers(text, b':', [2, 2]).map(|[hour, minute]| [hour, minute, 0]))
        .ok_or(wrong)?;
    let small = |number: i16| i8::try_from(number).map_err(|_| wrong);
    Time::new(small(hour)?, small(minute)?, small(second)?, 0)
        .map_err(|_| "a time at the venue is from 00:00 to 23:59:59")
}

/// Numbers with these counts of digits, separated by `mark`, and nothing else.
fn numbers<const N: usize>(text: &str, mark: u8, lens: [usize; N]) -> Option<[i16; N]> {
    let mut parts = text.as_bytes().split(|byte| *byte == mark);
    let mut read = [0; N];
    for (number, len) in read.iter_mut().zip(lens) {
        let digits = parts.next().filter(|part| part.len() == len && part.iter().all(u8::is_ascii_digit))?;
        *number = digits.iter().fold(0, |number, digit| number * 10 + i16::from(digit - b'0'));
    }
    parts.next().is_none().then_some(read)
}

fn read<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    parse: impl FnOnce(&str) -> Result<T, &'static str>,
) -> Result<T, D::Error> {
    parse(&Cow::<str>::deserialize(deserializer)?).map_err(D::Error::custom)
}

fn read_option<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    parse: impl FnOnce(&str) -> Result<T, &'static str>,
) -> Result<Option<T>, D::Error> {
    let text = Option::<Cow<str>>::deserialize(deserializer)?;
    text.map(|text| parse(&text)).transpose().map_err(D::Error::custom)
}

/// For a field that is a date.
///
/// # Errors
/// It is not.
pub fn de_date<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Date, D::Error> {
    read(deserializer, date)
}

/// For a field that is a time of day.
///
/// # Errors
/// It is not.
pub fn de_time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Time, D::Error> {
    read(deserializer, time)
}

/// For a field that is a date or nothing.
///
/// # Errors
/// It is neither.
pub fn de_date_option<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Date>, D::Error> {
    read_option(deserializer, date)
}

/// For a field that is a time of day or nothing.
///
/// # Errors
/// It is neither.
pub fn de_time_option<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Time>, D::Error> {
    read_option(deserializer, time)
}

#[cfg(test)]
mod tests {
    use super::{date, time};
    use jiff::civil;

    #[test]
    fn a_date_and_a_time_have_one_form_and_nothing_beside_it() {
        assert_eq!(date("2028-02-29"), Ok(civil::date(2028, 2, 29)));
        assert_eq!(time("20:00"), Ok(civil::time(20, 0, 0, 0)));
        assert_eq!(time("23:59:59"), Ok(civil::time(23, 59, 59, 0)));
        for bad in [
            "",
            "2027-02-29",
            "2027-13-01",
            "2027-3-1",
            "27-03-01",
            "20270301",
            "2027-03-01T20:00:00",
            "2027-03-01T20:00:00+09:00",
            "2027-03-01[u-ca=hebrew]",
            "2027-03-01 ",
            "-002027-03-01",
            "0001-01-01",
            "１９９９-01-01",
        ] {
            assert!(date(bad).is_err(), "{bad}");
        }
        for bad in [
            "",
            "20",
            "2000",
            "8:00",
            "24:00",
            "23:59:60",
            "20:00:00.5",
            "20:00:00-05:00",
            "20:00Z",
            "20:00:00[Asia/Tokyo]",
            "2027-05-01T20:00:00",
            "20:00:00:00",
            " 20:00",
        ] {
            assert!(time(bad).is_err(), "{bad}");
        }
    }
}
