//! What buyers read of a concert beside its time and place, and its poster. No other rule looks at it, so it stands in
//! tables of its own: a hold loads the concert's row, and no text.

use crate::{id::ConcertId, refusal::Refusal};
use serde::{Deserialize, Serialize};
use std::{fmt, ops::RangeInclusive, str::FromStr, sync::Arc};

/// How many characters a description may have.
pub const DESCRIPTION_LEN_MAX: usize = 5_000;
/// How many characters an address, an organiser's name or a contact line may have.
pub const DETAIL_LEN_MAX: usize = 200;
/// How many minutes a concert may last, with its interval.
pub const RUNNING_MINUTES: RangeInclusive<i32> = 1..=1_440;
/// How many minutes before the start the doors may open.
pub const DOORS_MINUTES: RangeInclusive<i32> = 0..=1_440;
/// How many bytes a poster may have.
pub const POSTER_LEN_MAX: usize = 2 * 1_024 * 1_024;
/// The longer side of a poster, in pixels.
pub const POSTER_SIDE_MAX: i32 = 1_200;

/// From which age on a concert may be attended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum AgeRating {
    /// Every age.
    #[serde(rename = "all")]
    All,
    /// 7 years and older.
    #[serde(rename = "7")]
    From7,
    /// 12 years and older.
    #[serde(rename = "12")]
    From12,
    /// 15 years and older.
    #[serde(rename = "15")]
    From15,
    /// 19 years and older.
    #[serde(rename = "19")]
    From19,
}

/// The details of a concert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConcertDetails {
    /// Which concert.
    pub concert_id: ConcertId,
    /// The description: plain text, its paragraphs apart by a blank line.
    pub description: Option<String>,
    /// From which age on it may be attended.
    pub age_rating: Option<AgeRating>,
    /// How long it lasts with its interval, in minutes.
    pub running_minutes: Option<i32>,
    /// How many minutes before the start the doors open. Not a moment: it moves with the start, and a clock that is set
    /// back or forward that night does not make it ambiguous.
    pub doors_minutes: Option<i32>,
    /// The venue's address.
    pub address: Option<String>,
    /// The organiser's name.
    pub organiser: Option<String>,
    /// How buyers reach the organiser, in one line.
    pub organiser_contact: Option<String>,
}

impl ConcertDetails {
    /// A concert without details.
    #[must_use]
    pub const fn none(concert_id: ConcertId) -> Self {
        Self {
            concert_id,
            description: None,
            age_rating: None,
            running_minutes: None,
            doors_minutes: None,
            address: None,
            organiser: None,
            organiser_contact: None,
        }
    }
}

/// An operator's changes of a concert's details: none leaves one, `Some(None)` removes it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DetailsChange {
    /// The description.
    pub description: Option<Option<String>>,
    /// The age rating.
    pub age_rating: Option<Option<AgeRating>>,
    /// The running time in minutes.
    pub running_minutes: Option<Option<i32>>,
    /// The opening of the doors, in minutes before the start.
    pub doors_minutes: Option<Option<i32>>,
    /// The venue's address.
    pub address: Option<Option<String>>,
    /// The organiser's name.
    pub organiser: Option<Option<String>>,
    /// The organiser's contact line.
    pub organiser_contact: Option<Option<String>>,
}

impl DetailsChange {
    /// Whether nothing is changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Its texts.
    pub fn texts(&self) -> impl Iterator<Item = &String> {
        let Self { address, organiser, organiser_contact, .. } = self;
        [address, organiser, organiser_contact].into_iter().flatten().flatten()
    }

    /// Refuses numbers out of their bounds.
    ///
    /// # Errors
    /// [`Refusal::Malformed`].
    pub fn check(&self) -> Result<(), Refusal> {
        let within = |name: &str, value: Option<Option<i32>>, bounds: RangeInclusive<i32>| match value.flatten() {
            Some(minutes) if !bounds.contains(&minutes) => {
                Err(Refusal::Malformed { reason: format!("{name} is from {} to {}.", bounds.start(), bounds.end()) })
            }
            _ => Ok(()),
        };
        within("running_minutes", self.running_minutes, RUNNING_MINUTES)?;
        within("doors_minutes", self.doors_minutes, DOORS_MINUTES)
    }

    /// The details after the change.
    #[must_use]
    pub fn apply(&self, before: ConcertDetails) -> ConcertDetails {
        let change = self.clone();
        ConcertDetails {
            concert_id: before.concert_id,
            description: change.description.unwrap_or(before.description),
            age_rating: change.age_rating.unwrap_or(before.age_rating),
            running_minutes: change.running_minutes.unwrap_or(before.running_minutes),
            doors_minutes: change.doors_minutes.unwrap_or(before.doors_minutes),
            address: change.address.unwrap_or(before.address),
            organiser: change.organiser.unwrap_or(before.organiser),
            organiser_contact: change.organiser_contact.unwrap_or(before.organiser_contact),
        }
    }
}

/// What names a picture: 32 hexadecimal digits of the SHA-256 of its bytes. Other bytes have another tag, so an address
/// with the tag may be cached for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PosterTag([u8; 16]);

impl PosterTag {
    /// The tag of the picture with this SHA-256.
    #[must_use]
    pub fn of(sha256: [u8; 32]) -> Self {
        let mut tag = [0; 16];
        for (to, from) in tag.iter_mut().zip(sha256) {
            *to = from;
        }
        Self(tag)
    }
}

impl fmt::Display for PosterTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A text that is no tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a poster's tag has 32 hexadecimal digits")]
pub struct NoPosterTag;

impl FromStr for PosterTag {
    type Err = NoPosterTag;

    fn from_str(text: &str) -> Result<Self, NoPosterTag> {
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Ok(byte.wrapping_sub(b'0')),
            b'a'..=b'f' => Ok(byte.wrapping_sub(b'a').wrapping_add(10)),
            _ => Err(NoPosterTag),
        };
        let mut tag = [0; 16];
        if text.len() != 32 {
            return Err(NoPosterTag);
        }
        for (to, pair) in tag.iter_mut().zip(text.as_bytes().chunks(2)) {
            let [high, low] = pair else { return Err(NoPosterTag) };
            *to = digit(*high)?.wrapping_mul(16) | digit(*low)?;
        }
        Ok(Self(tag))
    }
}

/// What pages say of a poster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PosterMark {
    /// Its tag.
    pub tag: PosterTag,
    /// Its width in pixels.
    pub width: i32,
    /// Its height in pixels.
    pub height: i32,
}

/// The poster of a concert, as JPEG.
#[derive(Clone, PartialEq, Eq)]
pub struct Poster {
    /// Which concert.
    pub concert_id: ConcertId,
    /// Its tag and size.
    pub mark: PosterMark,
    /// The picture.
    pub jpeg: Arc<[u8]>,
}

impl fmt::Debug for Poster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { concert_id, mark, jpeg } = self;
        write!(f, "Poster({concert_id}, {mark:?}, {} bytes)", jpeg.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_read_back_from_its_text_and_from_no_other() {
        let tag = PosterTag::of([0xab; 32]);
        assert_eq!(tag.to_string().parse(), Ok(tag));
        let text = tag.to_string();
        for bad in ["", "ab", &text[1..], &text.to_uppercase(), &format!("{text}0"), &format!("+{}", &text[1..])] {
            assert_eq!(bad.parse::<PosterTag>(), Err(NoPosterTag), "{bad}");
        }
    }

    #[test]
    fn a_change_leaves_sets_and_removes() {
        let concert_id = ConcertId::new(1);
        let set = DetailsChange {
            description: Some(Some("Two sets.".to_owned())),
            doors_minutes: Some(Some(60)),
            ..DetailsChange::default()
        };
        let before = set.apply(ConcertDetails::none(concert_id));
        let removed = DetailsChange { doors_minutes: Some(None), ..DetailsChange::default() };
        let after = removed.apply(before.clone());
        assert_eq!((before.doors_minutes, after.doors_minutes), (Some(60), None));
        assert_eq!(after.description.as_deref(), Some("Two sets."));
        assert!(DetailsChange::default().is_empty() && !removed.is_empty());
    }
}
