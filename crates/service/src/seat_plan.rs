//! Seats as operators write them in a text: a line for each range of seats, a CSV file, or the JSON of an import file.
//!
//! A line is `section, rows, numbers, grade, price`. Rows and numbers are single ones or ranges, several apart by blanks:
//! `Floor, A-C, 1-10 15-20, VIP, 180000`. A first line with the names of columns puts them in another order; the columns
//! `row` and `number` have one value each as it is printed, `rows` and `numbers` have ranges.

use crate::drafts::{ConcertFile, LABEL_LEN_MAX, SeatsDraft, checked_number, read_file};
use frontrow_domain::{
    money::Money,
    policy::SEATS_PER_OPERATOR_COMMAND_MAX,
    sale::{NewSeat, SeatLabel, SeatPlace},
    text::checked_label,
};
use std::collections::HashMap;

/// How many lines a text may have: one for each seat, and the names of the columns.
const LINES_MAX: usize = SEATS_PER_OPERATOR_COMMAND_MAX + 1;
/// How long a line may be, in bytes: two fields with as many parts as there may be, and three labels, take less.
const LINE_LEN_MAX: usize = 16 * 1_024;
/// How long a text may be, in bytes: as many lines of 80 bytes as there may be.
pub const PLAN_LEN_MAX: usize = 8 * 1_024 * 1_024;
/// How many faults are told at once.
pub const PLAN_FAULTS_MAX: usize = 20;
/// How many parts, apart by blanks, a field of ranges may have.
const PARTS_MAX: usize = 200;

/// What is wrong at a place of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlanFaultKind {
    /// There are no seats in it.
    Empty,
    /// It has more lines, or names more seats, than one command may add.
    TooMany,
    /// The text, or the line, has more bytes than one may have.
    TooLong {
        /// How many it may have.
        max: usize,
    },
    /// The line has fewer or more fields than there are columns.
    FieldCount {
        /// How many columns there are.
        columns: usize,
    },
    /// A quotation mark is not closed, or something follows a closed one.
    Quotes,
    /// A column has no name that is known, or has that of another.
    UnknownColumn,
    /// There is no column of numbers.
    NoNumberColumn,
    /// A label is too long, or has characters that no label has.
    Label,
    /// There is no number, or it is too long.
    Number,
    /// A range is not one: `A-C`, `1-20`.
    Range,
    /// A price is not whole won from 0 to [`Money::MAX`].
    Price,
    /// The seat is in the text already.
    Twice {
        /// On which line.
        first: usize,
    },
    /// The JSON cannot be read.
    Json {
        /// Why, in English.
        why: String,
    },
}

/// A fault, and where it is: both from 1, the column in characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanFault {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
    /// What is wrong.
    pub kind: PlanFaultKind,
}

impl PlanFault {
    const fn at(line: usize, column: usize, kind: PlanFaultKind) -> Self {
        Self { line, column, kind }
    }
}

/// The columns of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PlanColumn {
    Section,
    Row,
    Rows,
    Number,
    Numbers,
    Grade,
    Price,
}

impl PlanColumn {
    /// The order of a text that does not name its columns.
    const ALL: [Self; 5] = [Self::Section, Self::Rows, Self::Numbers, Self::Grade, Self::Price];

    fn of_name(name: &str) -> Option<Self> {
        Some(match name.trim().to_lowercase().as_str() {
            "section" | "구역" => Self::Section,
            "row" | "열" => Self::Row,
            "rows" => Self::Rows,
            "number" | "seat" | "번호" | "좌석" => Self::Number,
            "numbers" | "seats" => Self::Numbers,
            "grade" | "등급" => Self::Grade,
            "price" | "가격" => Self::Price,
            _ => return None,
        })
    }

    const fn kind(self) -> u8 {
        match self {
            Self::Section => 0,
            Self::Row | Self::Rows => 1,
            Self::Number | Self::Numbers => 2,
            Self::Grade => 3,
            Self::Price => 4,
        }
    }
}

/// A field of a line, and the column at which it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
struct PlanField {
    text: String,
    column: usize,
}

/// The seats that a text lists, in its order.
///
/// # Errors
/// Its first faults, by line.
pub fn read_seats(text: &str) -> Result<Vec<NewSeat>, Vec<PlanFault>> {
    if text.len() > PLAN_LEN_MAX {
        return Err(vec![PlanFault::at(1, 1, PlanFaultKind::TooLong { max: PLAN_LEN_MAX })]);
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim_start().starts_with(['[', '{']) {
        return json_seats(text).map_err(|fault| vec![fault]);
    }
    let mut reader = PlanReader::default();
    for (at, line) in text.lines().enumerate() {
        if at == LINES_MAX {
            reader.faults.push(PlanFault::at(at + 1, 1, PlanFaultKind::TooMany));
        }
        if reader.is_full() {
            break;
        }
        if !line.trim().is_empty() {
            reader.read(at + 1, line);
        }
    }
    if reader.seats.is_empty() && reader.faults.is_empty() {
        reader.faults.push(PlanFault::at(1, 1, PlanFaultKind::Empty));
    }
    if reader.faults.is_empty() { Ok(reader.seats) } else { Err(reader.faults) }
}

#[derive(Debug, Default)]
struct PlanReader {
    /// None before the first line.
    columns: Option<Vec<PlanColumn>>,
    seats: Vec<NewSeat>,
    /// The line of each seat.
    places: HashMap<SeatPlace, usize>,
    faults: Vec<PlanFault>,
}

impl PlanReader {
    fn is_full(&self) -> bool {
        let is_too_many = |fault: &PlanFault| fault.kind == PlanFaultKind::TooMany;
        self.faults.len() >= PLAN_FAULTS_MAX || self.faults.last().is_some_and(is_too_many)
    }

    fn read(&mut self, line: usize, text: &str) {
        if let Err(fault) = self.read_line(line, text) {
            self.faults.push(fault);
        }
    }

    fn read_line(&mut self, line: usize, text: &str) -> Result<(), PlanFault> {
        if text.len() > LINE_LEN_MAX {
            return Err(PlanFault::at(line, 1, PlanFaultKind::TooLong { max: LINE_LEN_MAX }));
        }
        let fields = fields(text).map_err(|column| PlanFault::at(line, column, PlanFaultKind::Quotes))?;
        let columns = if let Some(columns) = &self.columns {
            columns.clone()
        } else {
            let named = named_columns(line, &fields);
            let is_heading = named.is_some();
            let columns = named.unwrap_or_else(|| Ok(PlanColumn::ALL.to_vec()));
            // A faulty heading is told once: its lines are read as if it had no names.
            self.columns = Some(columns.clone().unwrap_or_else(|_| PlanColumn::ALL.to_vec()));
            if is_heading {
                return columns.map(|_| ());
            }
            columns?
        };
        // Prices and grades at the end may be left out in lines of ranges.
        if fields.len() > columns.len() || fields.len() < columns.len().min(3) {
            let column = fields.get(columns.len()).or(fields.last()).map_or(1, |field| field.column);
            return Err(PlanFault::at(line, column, PlanFaultKind::FieldCount { columns: columns.len() }));
        }
        let mut seats = PlanLine::default();
        for (column, field) in columns.iter().zip(&fields) {
            seats.take(*column, field).map_err(|kind| PlanFault::at(line, field.column, kind))?;
        }
        let count = seats.rows.len().max(1).saturating_mul(seats.numbers.len());
        if self.seats.len().saturating_add(count) > SEATS_PER_OPERATOR_COMMAND_MAX {
            return Err(PlanFault::at(line, 1, PlanFaultKind::TooMany));
        }
        if seats.numbers.is_empty() {
            return Err(PlanFault::at(line, 1, PlanFaultKind::Number));
        }
        let rows = if seats.rows.is_empty() { vec![String::new()] } else { seats.rows };
        for row in &rows {
            for number in &seats.numbers {
                let (section, grade) = (seats.section.clone(), seats.grade.clone());
                let label = SeatLabel { section, row: row.clone(), number: number.clone(), grade };
                if let Some(first) = self.places.insert(label.place(), line) {
                    return Err(PlanFault::at(line, 1, PlanFaultKind::Twice { first }));
                }
                self.seats.push(NewSeat { seat_number: None, price: seats.price, label });
            }
        }
        Ok(())
    }
}

/// What a line says.
#[derive(Debug, Default)]
struct PlanLine {
    section: String,
    rows: Vec<String>,
    numbers: Vec<String>,
    grade: String,
    price: Option<Money>,
}

impl PlanLine {
    fn take(&mut self, column: PlanColumn, field: &PlanField) -> Result<(), PlanFaultKind> {
        let text = field.text.trim();
        let label = |text: &str| checked_label("label", text, LABEL_LEN_MAX).map_err(|_| PlanFaultKind::Label);
        let number = |text: &str| checked_number("number", text).map_err(|_| PlanFaultKind::Number);
        match column {
            PlanColumn::Section => self.section = label(text)?,
            PlanColumn::Grade => self.grade = label(text)?,
            PlanColumn::Row => self.rows = vec![label(text)?],
            PlanColumn::Rows => {
                self.rows = ranges(text)?.iter().map(|row| label(row)).collect::<Result<_, _>>()?;
            }
            PlanColumn::Number => self.numbers = vec![number(text)?],
            PlanColumn::Numbers => {
                self.numbers = ranges(text)?.iter().map(|one| number(one)).collect::<Result<_, _>>()?;
                if self.numbers.is_empty() {
                    return Err(PlanFaultKind::Number);
                }
            }
            PlanColumn::Price => self.price = if text.is_empty() { None } else { Some(price(text)?) },
        }
        Ok(())
    }
}

/// The columns that a first line names; none if it names none and is a line like the others.
fn named_columns(line: usize, fields: &[PlanField]) -> Option<Result<Vec<PlanColumn>, PlanFault>> {
    let known: Vec<_> = fields.iter().map(|field| PlanColumn::of_name(&field.text)).collect();
    // A section may be called as a column is; two fields are not.
    if known.iter().flatten().count() < 2 {
        return None;
    }
    let mut columns: Vec<PlanColumn> = Vec::new();
    for (column, field) in known.into_iter().zip(fields) {
        match column {
            Some(column) if columns.iter().all(|other| other.kind() != column.kind()) => columns.push(column),
            _ => return Some(Err(PlanFault::at(line, field.column, PlanFaultKind::UnknownColumn))),
        }
    }
    if columns.iter().all(|column| column.kind() != PlanColumn::Number.kind()) {
        return Some(Err(PlanFault::at(line, 1, PlanFaultKind::NoNumberColumn)));
    }
    Some(Ok(columns))
}

/// The fields of a line, apart by commas, or by tabs if it has any; a field in quotation marks may have commas, and a
/// doubled mark in it is one. What follows one field more than there are columns is not read.
///
/// # Errors
/// The column of a quotation mark that is not closed, or of what follows a closed one.
fn fields(line: &str) -> Result<Vec<PlanField>, usize> {
    let comma = if line.contains('\t') { '\t' } else { ',' };
    let mut fields = Vec::new();
    let mut letters = line.chars().enumerate().map(|(at, letter)| (at + 1, letter)).peekable();
    let mut end = 1;
    loop {
        while letters.next_if(|(_, letter)| *letter == ' ').is_some() {}
        let column = letters.peek().map_or(end, |(at, _)| *at);
        let mut text = String::new();
        if letters.next_if(|(_, letter)| *letter == '"').is_some() {
            loop {
                match letters.next() {
                    None => return Err(column),
                    Some((_, '"')) if letters.next_if(|(_, letter)| *letter == '"').is_some() => text.push('"'),
                    Some((_, '"')) => break,
                    Some((_, letter)) => text.push(letter),
                }
            }
            while letters.next_if(|(_, letter)| *letter == ' ').is_some() {}
            if let Some((at, letter)) = letters.peek()
                && *letter != comma
            {
                return Err(*at);
            }
        } else {
            while let Some((_, letter)) = letters.next_if(|(_, letter)| *letter != comma) {
                text.push(letter);
            }
        }
        fields.push(PlanField { text, column });
        match letters.next() {
            Some((at, _)) if fields.len() <= PlanColumn::ALL.len() => end = at + 1,
            _ => return Ok(fields),
        }
    }
}

/// The labels of ranges: `A-C`, `1-20`, `3 5 7-9`. A single one is as it is printed.
fn ranges(text: &str) -> Result<Vec<String>, PlanFaultKind> {
    let mut labels = Vec::new();
    for (at, part) in text.split_whitespace().enumerate() {
        if at == PARTS_MAX {
            return Err(PlanFaultKind::TooMany);
        }
        let Some((first, last)) = part.split_once(['-', '–', '~']) else {
            labels.push(part.to_owned());
            continue;
        };
        let letter = |text: &str| {
            let mut letters = text.chars();
            letters.next().filter(|letter| letter.is_ascii_alphabetic() && letters.next().is_none())
        };
        let whole = |text: &str| {
            text.parse::<u32>()
                .ok()
                .filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0'))
        };
        match (letter(first), letter(last), whole(first), whole(last)) {
            (Some(first), Some(last), ..)
                if first <= last && first.is_ascii_uppercase() == last.is_ascii_uppercase() =>
            {
                labels.extend((first..=last).map(String::from));
            }
            (.., Some(first), Some(last)) if first <= last => {
                let count = usize::try_from(last - first).unwrap_or(usize::MAX);
                if count.saturating_add(labels.len()) >= SEATS_PER_OPERATOR_COMMAND_MAX {
                    return Err(PlanFaultKind::TooMany);
                }
                labels.extend((first..=last).map(|number| number.to_string()));
            }
            _ => return Err(PlanFaultKind::Range),
        }
    }
    Ok(labels)
}

/// A price in won, with its digits in groups or not.
fn price(text: &str) -> Result<Money, PlanFaultKind> {
    let digits: String = text.chars().filter(|letter| *letter != ',').collect();
    let is_plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let won = digits.parse::<i64>().ok().filter(|won| is_plain && *won <= Money::MAX.get());
    won.map(Money::new).ok_or(PlanFaultKind::Price)
}

/// The seats of an import file with one concert, or of the part of it that lists seats.
fn json_seats(text: &str) -> Result<Vec<NewSeat>, PlanFault> {
    let at_error = |error: &serde_json::Error| {
        PlanFault::at(error.line().max(1), error.column().max(1), PlanFaultKind::Json { why: error.to_string() })
    };
    let whole = |why: String| PlanFault::at(1, 1, PlanFaultKind::Json { why });
    let parts = match serde_json::from_str::<Vec<SeatsDraft>>(text) {
        Ok(parts) => parts,
        Err(error) => match read_file(text) {
            Ok(concerts) => match <[ConcertFile; 1]>::try_from(concerts) {
                Ok([concert]) => concert.seats,
                Err(_) => return Err(whole("the file must list one concert".to_owned())),
            },
            Err(other) => {
                // The reading that came further says more.
                let place = |error: &serde_json::Error| (error.line(), error.column());
                return Err(at_error(if place(&error) > place(&other) { &error } else { &other }));
            }
        },
    };
    let mut seats = Vec::new();
    for part in parts {
        seats.extend(part.check().map_err(|fault| whole(fault.to_string()))?);
        if seats.len() > SEATS_PER_OPERATOR_COMMAND_MAX {
            return Err(PlanFault::at(1, 1, PlanFaultKind::TooMany));
        }
    }
    if seats.is_empty() { Err(PlanFault::at(1, 1, PlanFaultKind::Empty)) } else { Ok(seats) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(text: &str) -> Vec<String> {
        let seats = read_seats(text).unwrap();
        let place = |seat: &NewSeat| {
            let label = seat.printed().unwrap();
            let price = seat.price.map_or(String::new(), |price| price.get().to_string());
            [label.section, label.row, label.number, label.grade, price].join("|")
        };
        seats.iter().map(place).collect()
    }

    fn faults(text: &str) -> Vec<(usize, usize, PlanFaultKind)> {
        read_seats(text).unwrap_err().into_iter().map(|fault| (fault.line, fault.column, fault.kind)).collect()
    }

    #[test]
    fn a_text_that_is_no_plan_is_left_before_it_takes_memory() {
        let commas = ",".repeat(LINE_LEN_MAX);
        assert_eq!(faults(&commas), [(1, 6, PlanFaultKind::FieldCount { columns: 5 })]);
        assert_eq!(fields(&commas).unwrap().len(), PlanColumn::ALL.len() + 1);
        let longer = format!("Floor, A, 1\n{commas},");
        assert_eq!(faults(&longer), [(2, 1, PlanFaultKind::TooLong { max: LINE_LEN_MAX })]);
        let longest = "\n".repeat(PLAN_LEN_MAX + 1);
        assert_eq!(faults(&longest), [(1, 1, PlanFaultKind::TooLong { max: PLAN_LEN_MAX })]);
    }

    #[test]
    fn a_line_names_a_range_of_rows_and_numbers() {
        let said = places("Floor, A-B, 1-2 5, VIP, 180000\n\n 2층 , 3 , 7 , S\n");
        assert_eq!(
            said,
            [
                "Floor|A|1|VIP|180000",
                "Floor|A|2|VIP|180000",
                "Floor|A|5|VIP|180000",
                "Floor|B|1|VIP|180000",
                "Floor|B|2|VIP|180000",
                "Floor|B|5|VIP|180000",
                "2층|3|7|S|"
            ]
        );
        assert_eq!(places(",,1-2"), ["||1||", "||2||"]);
        assert_eq!(places("가\tA\t12A\tR\t\"180,000\""), ["가|A|12A|R|180000"]);
    }

    #[test]
    fn a_file_names_its_columns_in_any_order_and_has_values_as_they_are_printed() {
        let file = "\u{feff}number,section,row,price\r\n1-2,\"Floor, left\",A-C,1000\r\n12A,Floor,,\r\n";
        assert_eq!(places(file), ["Floor, left|A-C|1-2||1000", "Floor||12A||"]);
        assert_eq!(places("구역,열,번호,등급,가격\n가,1,2,R,5"), ["가|1|2|R|5"]);
        assert_eq!(places("section,rows,numbers\nA,1-2,1"), ["A|1|1||", "A|2|1||"]);
    }

    #[test]
    fn the_seats_of_an_import_file_are_read() {
        let parts = r#"[{"range":{"from":1,"to":2,"section":"A"}},{"seats":[{"number":"9B","price":5}]}]"#;
        assert_eq!(places(parts), ["A||1||", "A||2||", "||9B||5"]);
        let (concert, seats) = crate::demo::season(frontrow_domain::time::Time::default()).remove(0);
        let count: usize = seats.iter().map(|part| part.check().unwrap().len()).sum();
        let file = serde_json::json!([{ "concert": concert, "seats": seats }]);
        assert_eq!(read_seats(&file.to_string()).unwrap().len(), count);
        let (line, column, kind) = faults("[{\"range\":\n{\"from\":x}}]").remove(0);
        assert_eq!((line, column), (2, 9));
        assert!(matches!(kind, PlanFaultKind::Json { .. }), "{kind:?}");
    }

    #[test]
    fn a_fault_is_told_with_its_line_and_column() {
        use PlanFaultKind as Kind;
        let long = "x".repeat(LABEL_LEN_MAX + 1);
        for (text, line, column, kind) in [
            ("", 1, 1, Kind::Empty),
            ("\n \n", 1, 1, Kind::Empty),
            ("A,1", 1, 3, Kind::FieldCount { columns: 5 }),
            ("A,1,1,R,5,6", 1, 11, Kind::FieldCount { columns: 5 }),
            ("A,1,1\nA,1,\"2", 2, 5, Kind::Quotes),
            ("A,1,\"2\"x", 1, 8, Kind::Quotes),
            ("A,1,2-1", 1, 5, Kind::Range),
            ("A, C-A, 1", 1, 4, Kind::Range),
            ("A,a-C,1", 1, 3, Kind::Range),
            ("A,1,", 1, 5, Kind::Number),
            ("A,1,1,R,-5", 1, 9, Kind::Price),
            ("A,1,1,R,1.5", 1, 9, Kind::Price),
            ("A,1,1,R,1000000000001", 1, 9, Kind::Price),
            ("A,1,1\nB,1,1\nA,1,1-3", 3, 1, Kind::Twice { first: 1 }),
            ("section,row,seat,colour\nA,1,1,x", 1, 18, Kind::UnknownColumn),
            ("section,section,number\n", 1, 9, Kind::UnknownColumn),
            ("section,row\nA,1", 1, 1, Kind::NoNumberColumn),
            ("A,1,1-100001", 1, 5, Kind::TooMany),
            ("A,1-1000,1-101", 1, 1, Kind::TooMany),
            (long.as_str(), 1, 1, Kind::FieldCount { columns: 5 }),
        ] {
            let found = faults(text).remove(0);
            assert_eq!(found, (line, column, kind), "{text}");
        }
        assert_eq!(faults(&format!("{long},1,1")).remove(0), (1, 1, Kind::Label));
        assert_eq!(faults(&"A,1,x-y\n".repeat(50)).len(), PLAN_FAULTS_MAX);
    }
}
