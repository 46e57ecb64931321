//! A concert as an entry for a calendar (RFC 5545).

use crate::{
    edge::base_url::BaseUrl,
    html::{figures, paths},
};
use frontrow_domain::{
    sale::{Concert, ConcertStatus},
    time::Time,
};

/// How many bytes a line may have, without its end.
const LINE_LEN_MAX: usize = 75;

/// A text within a value: what has a meaning in the format is marked, and a line end is written out.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | ';' | ',' => escaped.extend(['\\', c]),
            '\n' => escaped.push_str("\\n"),
            c if c.is_control() => {}
            c => escaped.push(c),
        }
    }
    escaped
}

/// Adds a line, and goes on with a blank on the next one where it is too long. No character is split.
fn add(to: &mut String, line: &str) {
    let (mut len, mut first) = (0, true);
    for c in line.chars() {
        // The blank that begins a further line counts too.
        if len + c.len_utf8() > LINE_LEN_MAX - usize::from(!first) {
            to.push_str("\r\n ");
            (len, first) = (0, false);
        }
        len += c.len_utf8();
        to.push(c);
    }
    to.push_str("\r\n");
}

/// In UTC: no calendar needs the rules of the venue's time zone to read it.
fn utc(at: Time) -> String {
    figures::local(at, "UTC").strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// The entry. Its id stays when the concert moves, so that a calendar that has it moves it too, as long as the shop has
/// one host: the setting `public_url` says which.
pub(super) fn entry(base: &BaseUrl, concert: &Concert, address: Option<&str>) -> String {
    let status = match concert.status {
        ConcertStatus::Cancelled => "CANCELLED",
        ConcertStatus::Postponed => "TENTATIVE",
        ConcertStatus::Scheduled | ConcertStatus::Closed | ConcertStatus::Over => "CONFIRMED",
    };
    let place = address.map_or_else(|| concert.venue.clone(), |address| format!("{}, {address}", concert.venue));
    let mut text = String::new();
    for line in [
        "BEGIN:VCALENDAR".to_owned(),
        "VERSION:2.0".to_owned(),
        "PRODID:-//Frontrow//Box office//EN".to_owned(),
        "CALSCALE:GREGORIAN".to_owned(),
        "BEGIN:VEVENT".to_owned(),
        format!("UID:concert-{}@{}", concert.concert_id, base.host()),
        format!("DTSTAMP:{}", utc(concert.updated_at)),
        format!("LAST-MODIFIED:{}", utc(concert.updated_at)),
        format!("DTSTART:{}", utc(concert.starts_at)),
        format!("DTEND:{}", utc(concert.ends_at)),
        format!("SUMMARY:{}", escaped(&concert.title)),
        format!("LOCATION:{}", escaped(&place)),
        format!("URL:{}", base.link(&paths::concert(concert.concert_id))),
        format!("STATUS:{status}"),
        "END:VEVENT".to_owned(),
        "END:VCALENDAR".to_owned(),
    ] {
        add(&mut text, &line);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_folded_between_characters() {
        let line = format!("SUMMARY:{}", "한밤의 물결 ".repeat(20));
        let mut folded = String::new();
        add(&mut folded, &line);
        assert!(folded.split("\r\n").all(|line| line.len() <= LINE_LEN_MAX), "{folded}");
        assert_eq!(folded.replace("\r\n ", ""), format!("{line}\r\n"));
        let mut exact = String::new();
        add(&mut exact, &"x".repeat(LINE_LEN_MAX));
        assert_eq!(exact.matches("\r\n").count(), 1);
        add(&mut exact, &"x".repeat(2 * LINE_LEN_MAX));
        assert!(exact.split("\r\n").all(|line| line.len() <= LINE_LEN_MAX), "{exact}");
    }

    #[test]
    fn a_text_cannot_end_its_line_or_its_value() {
        assert_eq!(escaped("a;b,c\\d\r\nBEGIN:VEVENT"), "a\\;b\\,c\\\\d\\nBEGIN:VEVENT");
    }
}
