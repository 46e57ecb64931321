//! The door list, a page at a time, so that a hall of any size takes little memory: as CSV, and what is looked for in it.

use frontrow_domain::id::ConcertId;
use frontrow_storage::{DoorLine, Store, StoreError};
use std::{fmt::Write as _, sync::Arc};

/// How many seats one query reads, and a part has at most: as many as are printed at once.
const PAGE: u32 = 500;
/// How many queries one part takes: a name in a hall of so many times [`PAGE`] tickets is found at once, and in a larger
/// one by going on.
const QUERIES_MAX: u32 = 20;
/// The first line, after a byte order mark: without it some spreadsheets misread UTF-8.
const HEAD: &str = "\u{feff}section,row,number,grade,name,reservation_id,payment_id,paid_at\r\n";

/// Reads a door list page by page.
#[derive(Debug)]
pub struct Pages {
    store: Arc<dyn Store>,
    concert: ConcertId,
    /// The seat number of the last line; none at the end.
    after: Option<i32>,
    head: Option<&'static str>,
}

impl Pages {
    /// The whole list of a concert.
    pub(crate) const fn of(store: Arc<dyn Store>, concert: ConcertId) -> Self {
        Self { store, concert, after: Some(0), head: Some(HEAD) }
    }

    /// The next lines as CSV; none after the last. The first part begins with the head, even without lines.
    ///
    /// # Errors
    /// The store could not be read.
    pub async fn next(&mut self) -> Result<Option<String>, StoreError> {
        let Some(after) = self.after else { return Ok(None) };
        let lines = self.store.door_list(self.concert, after, PAGE).await?;
        let is_full = u32::try_from(lines.len()).is_ok_and(|len| len >= PAGE);
        self.after = lines.last().filter(|_| is_full).map(|last| last.seat_number);
        let mut text = self.head.take().unwrap_or_default().to_owned();
        for line in &lines {
            write_line(&mut text, line);
        }
        Ok(Some(text))
    }
}

/// A part of a door list: the wanted ones of its lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DoorPart {
    /// The lines, at most 500.
    pub lines: Vec<DoorLine>,
    /// What is beyond them.
    pub rest: DoorRest,
}

/// What is beyond a part of a door list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DoorRest {
    /// Nothing.
    None,
    /// More wanted lines, after this seat number.
    Found(i32),
    /// Lines that were not looked at, after this seat number.
    Unread(i32),
}

impl DoorPart {
    /// The part after a seat number.
    pub(crate) async fn read(
        store: &dyn Store,
        concert: ConcertId,
        after: i32,
        is_wanted: impl Fn(&DoorLine) -> bool,
    ) -> Result<Self, StoreError> {
        let mut part = Self { lines: Vec::new(), rest: DoorRest::Unread(after) };
        for _ in 0..QUERIES_MAX {
            let DoorRest::Unread(last) = part.rest else { break };
            part.take(store.door_list(concert, last, PAGE).await?, &is_wanted);
        }
        Ok(part)
    }

    /// Takes the wanted ones of the next lines of the list, which are fewer than [`PAGE`] at its end.
    fn take(&mut self, read: Vec<DoorLine>, is_wanted: impl Fn(&DoorLine) -> bool) {
        let full = usize::try_from(PAGE).unwrap_or(usize::MAX);
        self.rest = match read.last().filter(|_| read.len() >= full) {
            Some(last) => DoorRest::Unread(last.seat_number),
            None => DoorRest::None,
        };
        for line in read.into_iter().filter(is_wanted) {
            if let Some(last) = self.lines.last().filter(|_| self.lines.len() >= full) {
                self.rest = DoorRest::Found(last.seat_number);
                return;
            }
            self.lines.push(line);
        }
    }
}

fn write_line(text: &mut String, line: &DoorLine) {
    let DoorLine { label, name, reservation_id, payment_id, paid_at, .. } = line;
    for cell in [&label.section, &label.row, &label.number, &label.grade, name] {
        write_cell(text, cell);
        text.push(',');
    }
    // Writing to a string cannot fail.
    let _ = write!(text, "{reservation_id},{payment_id},{paid_at}\r\n");
}

/// The characters that begin a formula in spreadsheets, in East Asian locales in full width too.
const FORMULA: [char; 10] = ['=', '+', '-', '@', '\t', '\r', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}'];

/// Writes a cell of user text. An apostrophe keeps spreadsheets from reading it as a formula; semicolons become commas,
/// since some locales separate cells by them.
fn write_cell(text: &mut String, cell: &str) {
    let cell = &cell.replace(';', ",");
    let is_formula = cell.starts_with(FORMULA);
    let is_plain = !is_formula && !cell.contains([',', '"', '\r', '\n']) && cell.trim() == cell;
    if is_plain {
        text.push_str(cell);
        return;
    }
    text.push('"');
    if is_formula {
        text.push('\'');
    }
    text.push_str(&cell.replace('"', "\"\""));
    text.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use frontrow_domain::{
        id::{PaymentId, ReservationId},
        sale::SeatLabel,
        time::Time,
    };

    fn ticket(seat_number: i32, number: &str, name: &str) -> DoorLine {
        let label = SeatLabel { section: "Stalls".into(), row: "C".into(), number: number.into(), grade: "R".into() };
        DoorLine {
            seat_number,
            label,
            name: name.to_owned(),
            reservation_id: ReservationId::new(17),
            payment_id: PaymentId::new(9),
            paid_at: Time::from_micros(1_803_898_800_000_000),
        }
    }

    fn line(number: &str, name: &str) -> String {
        let mut text = String::new();
        write_line(&mut text, &ticket(1, number, name));
        text
    }

    #[test]
    fn a_part_of_a_list_says_what_is_beyond_it() {
        let page = i32::try_from(PAGE).unwrap();
        let list = |from: i32, to: i32| (from..=to).map(|number| ticket(number, "1", "Kim")).collect::<Vec<_>>();
        let even = |line: &DoorLine| line.seat_number % 2 == 0;
        let empty = || DoorPart { lines: Vec::new(), rest: DoorRest::Unread(0) };
        // Half of a full page is wanted: there may be more.
        let mut part = empty();
        part.take(list(1, page), even);
        assert_eq!((part.lines.len(), part.rest), (PAGE as usize / 2, DoorRest::Unread(page)));
        // The last page: nothing is beyond.
        part.take(list(page + 1, page + 3), even);
        assert_eq!((part.lines.len(), part.rest), (PAGE as usize / 2 + 1, DoorRest::None));
        // More are wanted than a part has.
        let mut part = empty();
        part.take(list(1, page), |_| true);
        part.take(list(page + 1, page + 1), |_| true);
        assert_eq!((part.lines.len(), part.rest), (PAGE as usize, DoorRest::Found(page)));
    }

    #[test]
    fn a_line_has_what_the_door_asks_for() {
        let moment = Time::from_micros(1_803_898_800_000_000);
        assert_eq!(line("12A", "김민지"), format!("Stalls,C,12A,R,김민지,17,9,{moment}\r\n"));
    }

    #[test]
    fn a_cell_that_a_spreadsheet_would_run_is_text() {
        for formula in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "＝1+1", "＠SUM(A1)"] {
            let written = line("1", formula);
            assert!(written.contains(&format!(",\"'{formula}\",")), "{written:?}");
        }
        assert!(line("-3", "Kim").starts_with("Stalls,C,\"'-3\",R,"), "a number as well");
        assert!(line("1", "Kim;=1+1;x").contains(",\"Kim,=1+1,x\","), "no cell of its own behind a semicolon");
        assert!(line("가-3", "Kim").starts_with("Stalls,C,가-3,R,"), "a sign inside is none");
        assert!(line("1", "=HYPERLINK(\"x\",\"y\")").contains(",\"'=HYPERLINK(\"\"x\"\",\"\"y\"\")\","));
    }

    #[test]
    fn a_cell_with_a_comma_a_quote_or_a_line_break_stays_one_cell() {
        for (name, written) in [
            ("Kim, Minji", "\"Kim, Minji\""),
            ("Kim \"MJ\" Minji", "\"Kim \"\"MJ\"\" Minji\""),
            ("a\nb", "\"a\nb\""),
            (" Kim", "\" Kim\""),
        ] {
            assert!(line("1", name).contains(&format!(",{written},")), "{name}");
        }
    }
}
