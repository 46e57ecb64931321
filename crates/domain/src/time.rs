//! Time as a value: an instant is a number of microseconds, and nothing here can read a clock.

use jiff::fmt::{StdFmtWrite, temporal::DateTimePrinter};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;

/// Always six digits of fraction: some clients support only times with a fraction or only times without, or read its
/// digits as milliseconds.
const PRINTER: DateTimePrinter = DateTimePrinter::new().precision(Some(6));

/// An instant: microseconds since 1970-01-01T00:00:00Z. In JSON an RFC 3339 string in UTC with six digits of fraction, in
/// a binary format those microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(value_type = String, format = "date-time", description = "An instant, as RFC 3339 has it, in UTC.", example = "2027-03-01T11:00:00.250000Z"))]
pub struct Time(i64);

impl Time {
    /// The latest instant.
    pub const MAX: Self = Self(i64::MAX);

    /// An instant from microseconds since the epoch.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since the epoch.
    #[must_use]
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// The instant `span` later, at most [`Time::MAX`].
    #[must_use]
    pub const fn plus(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.0))
    }

    /// The instant `span` earlier.
    #[must_use]
    pub const fn minus(self, span: Span) -> Self {
        Self(self.0.saturating_sub(span.0))
    }

    /// The time from `earlier` to this instant; zero if `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Span {
        Span(self.0.saturating_sub(earlier.0).max(0))
    }

    fn to_jiff(self) -> jiff::Timestamp {
        jiff::Timestamp::from_microsecond(self.0).unwrap_or(jiff::Timestamp::MAX)
    }
}

impl std::fmt::Display for Time {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        PRINTER.print_timestamp(&self.to_jiff(), StdFmtWrite(f)).map_err(|_| std::fmt::Error)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { serializer.collect_str(self) } else { self.0.serialize(serializer) }
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            return i64::deserialize(deserializer).map(Self);
        }
        let text = Cow::<str>::deserialize(deserializer)?;
        let at = if is_instant(&text) { text.parse::<jiff::Timestamp>().ok() } else { None };
        at.map(|at| Self(at.as_microsecond())).ok_or_else(|| {
            serde::de::Error::custom("an instant is written as 2027-03-01T11:00:00Z, or with an offset such as +09:00")
        })
    }
}

/// Whether the text has the form of RFC 3339, without a leap second. The parser accepts more, and drops the parts that
/// it does not need.
fn is_instant(text: &str) -> bool {
    let has_form = |bytes: &[u8], form: &[u8]| {
        bytes.len() == form.len()
            && bytes.iter().zip(form).all(|(byte, form)| match form {
                b'0' => byte.is_ascii_digit(),
                form => byte.eq_ignore_ascii_case(form),
            })
    };
    let Some((moment, rest)) = text.as_bytes().split_at_checked(19) else { return false };
    let Some(zone) = rest.iter().position(|byte| !byte.is_ascii_digit() && *byte != b'.') else { return false };
    let (fraction, zone) = rest.split_at(zone);
    let digits = match fraction {
        [] => 1,
        [b'.', digits @ ..] if digits.iter().all(u8::is_ascii_digit) => digits.len(),
        _ => 0,
    };
    has_form(moment, b"0000-00-00T00:00:00")
        && !moment.ends_with(b":60")
        && (1..=9).contains(&digits)
        && [&b"Z"[..], b"+00:00", b"-00:00"].iter().any(|form| has_form(zone, form))
}

/// A length of time in microseconds, never negative in a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span(i64);

impl Span {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// A span of whole microseconds.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// A span of whole milliseconds.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(1_000))
    }

    /// A span of whole seconds.
    #[must_use]
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1_000_000))
    }

    /// Whole microseconds.
    #[must_use]
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Whole milliseconds, rounded down.
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.0 / 1_000
    }
}

#[cfg(test)]
mod tests {
    use super::Time;

    fn read(text: &str) -> Option<String> {
        serde_json::from_value::<Time>(text.into()).ok().map(|at| at.to_string())
    }

    #[test]
    fn an_instant_is_written_with_six_digits_and_read_as_rfc_3339_has_it() {
        for (text, written) in [
            ("2027-03-01T11:00:00Z", "2027-03-01T11:00:00.000000Z"),
            ("2027-03-01t11:00:00.5z", "2027-03-01T11:00:00.500000Z"),
            ("2027-03-01T20:00:00+09:00", "2027-03-01T11:00:00.000000Z"),
            ("2027-03-01T06:00:00.123456789-05:00", "2027-03-01T11:00:00.123456Z"),
        ] {
            assert_eq!(read(text).as_deref(), Some(written), "{text}");
        }
        for bad in [
            "",
            "2027-03-01",
            "2027-03-01T11:00Z",
            "2027-03-01T11:00:00",
            "2027-03-01 11:00:00Z",
            "2027-03-01T11:00:60Z",
            "2027-03-01T24:00:00Z",
            "2027-02-29T11:00:00Z",
            "2027-03-01T11:00:00.Z",
            "2027-03-01T11:00:00.1.2Z",
            "2027-03-01T11:00:00.1234567890Z",
            "2027-03-01T11:00:00+0900",
            "2027-03-01T20:00:00+09:00[Asia/Seoul]",
            "2027-03-01T11:00:00Z[u-ca=hebrew]",
            "+002027-03-01T11:00:00Z",
            "1800000000",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
        assert_eq!(Time::MAX.to_string(), "9999-12-30T22:00:00.999999Z");
        assert_eq!(Time::from_micros(0).to_string(), "1970-01-01T00:00:00.000000Z");
    }
}
