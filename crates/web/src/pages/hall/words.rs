//! What the hall page calls seats: the same words for the server's list and for the scripts.

use crate::pages::shell::Shell;
use frontrow_domain::sale::{SeatLabel, SeatPlace, SeatStatus};
use std::collections::BTreeMap;

/// The words by the name that the scripts know, with the text of each and the values that are filled in later.
const WORDS: &[(&str, &str, &[&str])] = &[
    ("row", "hall-row", &["name"]),
    ("number", "hall-number", &["name"]),
    ("between", "hall-between", &[]),
    ("seat", "hall-seat", &["place", "grade", "price", "state"]),
    ("free", "hall-free", &[]),
    ("held", "hall-held", &[]),
    ("sold", "hall-sold", &[]),
    ("blocked", "hall-blocked", &[]),
    ("mine", "hall-mine", &[]),
    ("money", "hall-money", &["sum"]),
    ("count", "hall-count", &["grade", "count"]),
    ("nograde", "grade-any", &[]),
    ("none", "hall-none", &[]),
    ("hall", "hall-whole", &[]),
    ("seats", "hall-seats", &[]),
    ("stage", "hall-stage", &[]),
    ("more", "hall-next-rows", &[]),
    ("hint", "hall-hint", &[]),
    ("unpicked", "hall-unpicked", &["limit"]),
    ("picked", "hall-picked", &["count", "total", "places"]),
    ("full", "hall-limit", &["limit"]),
    ("taken", "hall-taken", &["place"]),
    ("lost", "hall-lost", &["place"]),
];

/// The words of the hall page in one language.
#[derive(Debug)]
pub(super) struct HallWords(pub(super) BTreeMap<&'static str, String>);

impl HallWords {
    pub(super) fn of(shell: &Shell) -> Self {
        Self(WORDS.iter().map(|(name, id, values)| (*name, shell.template(id, values))).collect())
    }

    fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    /// The name of a row: `A열`; empty if it has none.
    pub(super) fn row(&self, row: &str) -> String {
        named(self.get("row"), row)
    }

    /// Where a seat is: `1층 가구역 A열 7번`.
    pub(super) fn place(&self, section: &str, row: &str, number: &str) -> String {
        let parts = [section.to_owned(), self.row(row), named(self.get("number"), number)];
        let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        parts.join(self.get("between"))
    }

    /// Where a ticket's seat is.
    pub(super) fn place_of(&self, place: &SeatPlace) -> String {
        self.place(&place.section, &place.row, &place.number)
    }

    /// A seat with all that there is to know of it, for those who hear the page.
    pub(super) fn seat(&self, label: &SeatLabel, price: &str, state: SeatWord) -> String {
        let place = self.place(&label.section, &label.row, &label.number);
        let values = [
            ("{place}", place.as_str()),
            ("{grade}", &label.grade),
            ("{price}", price),
            ("{state}", self.get(state.name())),
        ];
        filled(self.get("seat"), &values).replace("  ", " ")
    }

    /// How many seats of a grade are free.
    pub(super) fn count(&self, grade: &str, count: &str) -> String {
        let grade = if grade.is_empty() { self.get("nograde") } else { grade };
        filled(self.get("count"), &[("{grade}", grade), ("{count}", count)])
    }

    /// A word without values.
    pub(super) fn word(&self, name: &str) -> &str {
        self.get(name)
    }
}

/// The state of a seat as a person sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SeatWord {
    Free,
    Held,
    Sold,
    Blocked,
    Mine,
}

impl SeatWord {
    /// Its name in the style sheet and in the scripts.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::Held => "held",
            Self::Sold => "sold",
            Self::Blocked => "blocked",
            Self::Mine => "mine",
        }
    }
}

impl From<SeatStatus> for SeatWord {
    fn from(status: SeatStatus) -> Self {
        match status {
            SeatStatus::Available => Self::Free,
            SeatStatus::Held => Self::Held,
            SeatStatus::Sold => Self::Sold,
            SeatStatus::Blocked => Self::Blocked,
        }
    }
}

/// A name in its words, such as `7번` or `row A`; as it is if it has these words already.
fn named(words: &str, name: &str) -> String {
    if name.is_empty() {
        return String::new();
    }
    let (before, after) = words.split_once("{name}").unwrap_or_default();
    let (start, end, bare) = (before.trim().to_lowercase(), after.trim().to_lowercase(), name.to_lowercase());
    let has = (!start.is_empty() && bare.starts_with(&start)) || (!end.is_empty() && bare.ends_with(&end));
    if has { name.to_owned() } else { format!("{before}{name}{after}") }
}

/// The words with their values. A value that looks like a name in braces stays as it is.
fn filled(words: &str, values: &[(&str, &str)]) -> String {
    let mut text = String::with_capacity(words.len() + 64);
    let mut rest = words;
    while let Some(at) = rest.find('{') {
        let (before, after) = rest.split_at(at);
        text.push_str(before);
        if let Some((name, value)) = values.iter().find(|(name, _)| after.starts_with(name)) {
            text.push_str(value);
            rest = after.get(name.len()..).unwrap_or_default();
        } else {
            text.push('{');
            rest = after.get(1..).unwrap_or_default();
        }
    }
    text.push_str(rest);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_its_words_once() {
        for (words, name, expected) in [
            ("{name}열", "A", "A열"),
            ("{name}열", "A열", "A열"),
            ("row {name}", "A", "row A"),
            ("row {name}", "Row A", "Row A"),
            ("{name}번", "", ""),
        ] {
            assert_eq!(named(words, name), expected);
        }
    }

    #[test]
    fn a_value_is_not_read_as_words() {
        let values = [("{place}", "{grade} {place}"), ("{grade}", "VIP")];
        assert_eq!(filled("{place}, {grade} {odd} {", &values), "{grade} {place}, VIP {odd} {");
    }
}
