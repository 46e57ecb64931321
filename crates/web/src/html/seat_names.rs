//! What a seat is called: the same on every page, in the server's words and in those of the scripts.

use crate::html::shell::Shell;
use frontrow_domain::sale::SeatPlace;

/// The words around the parts of a seat's name in one language, with `{name}` where a part stands.
#[derive(Debug)]
pub(crate) struct SeatNaming {
    row: String,
    number: String,
    between: String,
}

impl SeatNaming {
    pub(crate) fn of(shell: &Shell) -> Self {
        Self {
            row: shell.template("hall-row", &["name"]),
            number: shell.template("hall-number", &["name"]),
            between: shell.t("hall-between"),
        }
    }

    /// The name of a row: `A열`; empty if it has none.
    pub(crate) fn row(&self, row: &str) -> String {
        named(&self.row, row)
    }

    /// Where a seat is: `1층 가구역 A열 7번`.
    pub(crate) fn seat(&self, section: &str, row: &str, number: &str) -> String {
        let parts = [section.to_owned(), self.row(row), named(&self.number, number)];
        let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        parts.join(&self.between)
    }
}

/// Where a ticket's seat is.
pub(crate) fn seat_name(shell: &Shell, place: &SeatPlace) -> String {
    SeatNaming::of(shell).seat(&place.section, &place.row, &place.number)
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
    fn a_seat_is_called_by_the_parts_that_it_has() {
        let naming =
            SeatNaming { row: "{name}열".to_owned(), number: "{name}번".to_owned(), between: " ".to_owned() };
        assert_eq!(naming.seat("1층", "A열", "7번"), "1층 A열 7번");
        assert_eq!(naming.seat("", "A", "7"), "A열 7번");
        assert_eq!(naming.seat("", "", "7"), "7번");
    }
}
