//! What the pages of a hall call seats: the same words for the server's list and for the scripts.

use crate::html::{seat_names::SeatNaming, shell::Shell};
use frontrow_domain::sale::{SeatLabel, SeatPlace, SeatStatus};
use std::collections::BTreeMap;

/// A word by the name that the scripts know, with its text and the values that are filled in later.
pub(crate) type NamedWord = (&'static str, &'static str, &'static [&'static str]);

/// The words of the buyers' hall.
const WORDS: &[NamedWord] = &[
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
    ("empty", "hall-form-none", &[]),
    ("hint", "hall-hint", &[]),
    ("old", "hall-old", &[]),
    ("picked", "hall-picked", &["count", "total", "places"]),
    ("taken", "hall-taken", &["place"]),
    ("lost", "hall-lost", &["place"]),
    ("yours", "hall-yours", &["place"]),
];

/// The words of a hall in one language.
#[derive(Debug)]
pub(crate) struct HallWords {
    naming: SeatNaming,
    /// By the name that the scripts know.
    words: BTreeMap<&'static str, String>,
}

impl HallWords {
    pub(crate) fn of(shell: &Shell) -> Self {
        let words = WORDS.iter().map(|(name, id, values)| (*name, shell.template(id, values))).collect();
        Self { naming: SeatNaming::of(shell), words }
    }

    /// The words with others in their place, or beside them.
    pub(crate) fn with(mut self, shell: &Shell, others: &[NamedWord]) -> Self {
        self.words.extend(others.iter().map(|(name, id, values)| (*name, shell.template(id, values))));
        self
    }

    /// All words, for the scripts.
    pub(crate) const fn all(&self) -> &BTreeMap<&'static str, String> {
        &self.words
    }

    /// The words for the scripts of a visitor who may choose so many seats: what has a number in it is finished, since
    /// its form depends on the number.
    pub(crate) fn for_scripts(&self, shell: &Shell, left: i64) -> BTreeMap<&'static str, String> {
        let mut words = self.words.clone();
        words.insert("unpicked", shell.t1("hall-unpicked", "limit", left));
        words.insert("full", shell.t1("hall-limit", "limit", left));
        words
    }

    /// The name of a row: `A열`; empty if it has none.
    pub(crate) fn row(&self, row: &str) -> String {
        self.naming.row(row)
    }

    /// Where a seat is, or several neighbours, by the parts that it has.
    pub(crate) fn place(&self, section: &str, row: &str, number: &str) -> String {
        self.naming.seat(section, row, number)
    }

    /// A text with its values filled in.
    pub(crate) fn filled(&self, name: &str, values: &[(&str, &str)]) -> String {
        filled(self.word(name), values)
    }

    /// Where a ticket's seat is.
    pub(crate) fn place_of(&self, place: &SeatPlace) -> String {
        self.naming.seat(&place.section, &place.row, &place.number)
    }

    /// A seat with all that there is to know of it, for those who hear the page.
    pub(crate) fn seat(&self, label: &SeatLabel, price: &str, state: SeatWord) -> String {
        let place = self.naming.seat(&label.section, &label.row, &label.number);
        let values = [
            ("{place}", place.as_str()),
            ("{grade}", &label.grade),
            ("{price}", price),
            ("{state}", self.word(state.name())),
        ];
        filled(self.word("seat"), &values).replace("  ", " ")
    }

    /// How many seats of a grade are free.
    pub(crate) fn count(&self, grade: &str, count: &str) -> String {
        let grade = if grade.is_empty() { self.word("nograde") } else { grade };
        filled(self.word("count"), &[("{grade}", grade), ("{count}", count)])
    }

    /// A word without values.
    pub(crate) fn word(&self, name: &str) -> &str {
        self.words.get(name).map_or("", String::as_str)
    }
}

/// The state of a seat as a person sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SeatWord {
    Free,
    Held,
    Sold,
    Blocked,
    /// Held or paid by the visitor.
    Mine,
}

impl SeatWord {
    /// Its name in the style sheet and in the scripts.
    pub(crate) const fn name(self) -> &'static str {
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
    fn a_value_is_not_read_as_words() {
        let values = [("{place}", "{grade} {place}"), ("{grade}", "VIP")];
        assert_eq!(filled("{place}, {grade} {odd} {", &values), "{grade} {place}, VIP {odd} {");
    }
}
