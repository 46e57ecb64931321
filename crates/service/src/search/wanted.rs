//! What a text of a search may stand for, from the text alone.

use super::SEARCH_LEN_MAX;
use frontrow_domain::{
    id::{ConcertId, ID_MAX, Position, RoomId, TokenId, UserId},
    text::{folded, nfc},
};

/// What a number may be the number of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WantedKind {
    User,
    Reservation,
    Payment,
    Concert,
    Room,
    Debt,
    Event,
    Audit,
}

/// The words that name a kind before a number, in both languages of the pages.
const KINDS: [(&str, WantedKind); 26] = [
    ("user", WantedKind::User),
    ("이용자", WantedKind::User),
    ("회원", WantedKind::User),
    ("reservation", WantedKind::Reservation),
    ("booking", WantedKind::Reservation),
    ("order", WantedKind::Reservation),
    ("예약", WantedKind::Reservation),
    ("예매", WantedKind::Reservation),
    ("주문", WantedKind::Reservation),
    ("payment", WantedKind::Payment),
    ("결제", WantedKind::Payment),
    ("concert", WantedKind::Concert),
    ("공연", WantedKind::Concert),
    ("room", WantedKind::Room),
    ("line", WantedKind::Room),
    ("대기실", WantedKind::Room),
    ("대기열", WantedKind::Room),
    ("줄", WantedKind::Room),
    ("debt", WantedKind::Debt),
    ("미정산", WantedKind::Debt),
    ("notice", WantedKind::Event),
    ("event", WantedKind::Event),
    ("알림", WantedKind::Event),
    ("audit", WantedKind::Audit),
    ("entry", WantedKind::Audit),
    ("기록", WantedKind::Audit),
];

/// The words between a concert and its seat.
const SEAT: [&str; 2] = ["seat", "좌석"];

/// A seat of a concert, by its number or by the words of its printed name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SeatWanted {
    pub(super) concert_id: ConcertId,
    pub(super) name: Vec<String>,
}

/// What a text may stand for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct WantedThing {
    /// The text, normalised and without blanks around it.
    pub(super) text: String,
    /// The kind that the text names, as in `payment 12`.
    pub(super) named: Option<WantedKind>,
    number: Option<i64>,
    pub(super) user: Option<UserId>,
    pub(super) seat: Option<SeatWanted>,
    /// A place in a line, as in `3-17`.
    pub(super) place: Option<TokenId>,
}

/// The words of a text in the form in which they are compared.
pub(super) fn words(text: &str) -> Vec<String> {
    let is_between = |c: char| c.is_whitespace() || matches!(c, '-' | '_' | ',' | '/');
    folded(text).split(is_between).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// A number as people write it: `12`, `#12`, `12번`, `1,234`.
fn number(text: &str) -> Option<i64> {
    let text = text.strip_prefix('#').unwrap_or(text);
    let text = text.strip_suffix('번').unwrap_or(text);
    let is_digits = text.chars().all(|c| c.is_ascii_digit() || c == ',') && !text.starts_with(',');
    if is_digits { text.replace(',', "").parse().ok() } else { None }
}

impl WantedThing {
    /// What the text may stand for; none if it is empty or too long.
    pub(super) fn of(text: &str) -> Option<Self> {
        let text = nfc(text.trim()).into_owned();
        if text.is_empty() || text.chars().count() > SEARCH_LEN_MAX || text.contains('\0') {
            return None;
        }
        let lower = folded(&text);
        let (first, rest) = lower.split_once(char::is_whitespace).unwrap_or((&lower, ""));
        let kind = KINDS.iter().find(|(word, _)| *word == first).map(|(_, kind)| *kind);
        let rest = rest.trim();
        let mut wanted = Self { text, ..Self::default() };
        match kind {
            Some(kind) if number(rest).is_some() => {
                (wanted.named, wanted.number) = (Some(kind), number(rest));
            }
            Some(WantedKind::Concert) => {
                wanted.seat = seat(rest);
                wanted.named = wanted.seat.is_some().then_some(WantedKind::Concert);
                wanted.number = wanted.seat.as_ref().map(|seat| seat.concert_id.get());
            }
            Some(WantedKind::User) if rest.parse::<uuid::Uuid>().is_ok() => {
                (wanted.named, wanted.user) = (Some(WantedKind::User), rest.parse().ok().map(UserId));
            }
            _ => {
                wanted.number = number(&lower);
                wanted.user = lower.parse().ok().map(UserId);
                wanted.place = place(&lower);
            }
        }
        Some(wanted)
    }

    /// Whether the text may stand for something of this kind.
    pub(super) fn may_be(&self, kind: WantedKind) -> bool {
        self.named.is_none_or(|named| named == kind)
    }

    /// The number that the text has, if it may be one of this kind.
    pub(super) fn number_of<T, E>(&self, kind: WantedKind, id: impl FnOnce(i64) -> Result<T, E>) -> Option<T> {
        self.number.filter(|_| self.may_be(kind)).and_then(|number| id(number).ok())
    }
}

/// What the audit log calls a thing that a text names by its kind and number, in either language: `payment 9` for
/// `결제 9` and `Payment #9`. None if the text names no such thing.
#[must_use]
pub fn logged_object(text: &str) -> Option<String> {
    let wanted = WantedThing::of(text)?;
    let numbered = |kind: &str| wanted.number.map(|number| format!("{kind} {number}"));
    match wanted.named {
        Some(WantedKind::User) => wanted.user.map(|user| format!("user {user}")),
        Some(WantedKind::Reservation) => numbered("reservation"),
        Some(WantedKind::Payment) => numbered("payment"),
        Some(WantedKind::Concert) if wanted.seat.is_none() => numbered("concert"),
        Some(WantedKind::Room) => numbered("room"),
        Some(WantedKind::Debt) => numbered("debt"),
        Some(WantedKind::Event) => numbered("event"),
        Some(WantedKind::Concert | WantedKind::Audit) | None => None,
    }
}

/// `3 seat 12`, `3 floor a 12`: a concert and what follows its number.
fn seat(text: &str) -> Option<SeatWanted> {
    let (concert, rest) = text.split_once(char::is_whitespace)?;
    let concert_id = ConcertId::try_from(number(concert)?).ok()?;
    let mut name = words(rest);
    if name.first().is_some_and(|word| SEAT.contains(&word.as_str())) {
        name.remove(0);
    }
    (!name.is_empty()).then_some(SeatWanted { concert_id, name })
}

/// The room with this number.
pub(super) fn room_of(number: i64) -> Result<RoomId, &'static str> {
    if (0..=ID_MAX).contains(&number) { Ok(RoomId::new(number)) } else { Err("no room") }
}

/// `3-17`: the room and the position.
fn place(text: &str) -> Option<TokenId> {
    let (room, position) = text.split_once('-')?;
    let (room_id, position) = (room_of(number(room)?).ok()?, number(position)?);
    (position >= 1).then_some(TokenId { room_id, position: Position(position) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(text: &str) -> WantedThing {
        WantedThing::of(text).unwrap()
    }

    #[test]
    fn a_number_may_be_of_any_kind_unless_the_text_names_one() {
        for text in ["12", "#12", "12번", " 12 "] {
            let wanted = wanted(text);
            for kind in [
                WantedKind::Reservation,
                WantedKind::Payment,
                WantedKind::Concert,
                WantedKind::Room,
                WantedKind::Debt,
                WantedKind::Event,
                WantedKind::Audit,
            ] {
                assert_eq!(wanted.number_of(kind, Ok::<_, ()>), Some(12), "{text} {kind:?}");
            }
        }
        for (text, kind) in [
            ("payment 12", WantedKind::Payment),
            ("결제 12번", WantedKind::Payment),
            ("Reservation #12", WantedKind::Reservation),
            ("예약 12", WantedKind::Reservation),
            ("CONCERT 12", WantedKind::Concert),
            ("대기실 12", WantedKind::Room),
            ("미정산 12", WantedKind::Debt),
            ("notice 12", WantedKind::Event),
            ("알림 12번", WantedKind::Event),
            ("기록 12", WantedKind::Audit),
        ] {
            let wanted = wanted(text);
            assert_eq!((wanted.named, wanted.number), (Some(kind), Some(12)), "{text}");
            assert!(!wanted.may_be(WantedKind::User), "{text}");
        }
        assert_eq!(wanted("1,234").number, Some(1_234));
        for text in
            ["12a", "-12", "1.5", "99999999999999999999", ",", "payment", "payment twelve", "concert of the year"]
        {
            assert_eq!((wanted(text).number, wanted(text).named), (None, None), "{text}");
        }
    }

    #[test]
    fn a_seat_is_named_after_its_concert() {
        for (text, name) in [
            ("concert 3 seat 12", vec!["12"]),
            ("Concert 3 Floor A-12", vec!["floor", "a", "12"]),
            ("공연 3 좌석 가 12", vec!["가", "12"]),
        ] {
            let seat = wanted(text).seat.unwrap();
            assert_eq!(
                (seat.concert_id, seat.name),
                (ConcertId::new(3), name.iter().map(|w| (*w).to_owned()).collect())
            );
        }
        for text in ["concert 3 seat", "seat 12", "concert x seat 12", "concert 0 seat 12"] {
            assert_eq!(wanted(text).seat, None, "{text}");
        }
    }

    #[test]
    fn a_users_id_and_a_place_are_read() {
        let id = "0193f3c4-5a6b-7c8d-9e0f-112233445566";
        assert!(wanted(id).user.is_some());
        assert!(wanted(&format!("user {}", id.to_uppercase())).user.is_some());
        assert_eq!(wanted("3-17").place, Some(TokenId { room_id: RoomId::new(3), position: Position(17) }));
        assert_eq!(wanted("0-17").place.map(|place| place.room_id), Some(RoomId::HOUSE));
        for text in ["3-0", "a-1", "3-", "-17", "3-17-1"] {
            assert_eq!(wanted(text).place, None, "{text}");
        }
    }

    #[test]
    fn what_the_log_names_is_read_in_both_languages() {
        let user = "0193f3c4-5a6b-7c8d-9e0f-112233445566";
        for (text, object) in [
            ("payment 9", Some("payment 9".to_owned())),
            ("Payment 9", Some("payment 9".to_owned())),
            ("결제 9번", Some("payment 9".to_owned())),
            ("예약 4", Some("reservation 4".to_owned())),
            ("공연 3", Some("concert 3".to_owned())),
            ("대기열 0", Some("room 0".to_owned())),
            ("미정산 2", Some("debt 2".to_owned())),
            ("Event 7", Some("event 7".to_owned())),
            (&format!("User {}", user.to_uppercase()), Some(format!("user {user}"))),
            ("9", None),
            ("기록 9", None),
            ("결제", None),
            ("공연 3 좌석 12", None),
            ("something", None),
        ] {
            assert_eq!(logged_object(text), object, "{text}");
        }
    }

    #[test]
    fn what_is_empty_or_too_long_stands_for_nothing() {
        for text in ["", "  \t", &"a".repeat(SEARCH_LEN_MAX + 1), "a\0b"] {
            assert_eq!(WantedThing::of(text), None, "{text:?}");
        }
        assert_eq!(wanted(" \u{1100}\u{1175}\u{11b7} ").text, "김");
    }
}
