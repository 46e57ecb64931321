//! Texts from people: texts that read the same get one form, and no text has invisible characters without a purpose.
//!
//! Every text from outside is checked here once, from HTTP, from a file to import and from the command line. The result
//! is in Unicode's normalisation form C, so that canonically equal texts have equal bytes.
//!
//! Control characters, characters that change the direction of the following text, and invisible characters are
//! refused. Four kinds of invisible characters are allowed if the script needs them:
//! - a zero-width joiner between two emoji (families, professions, flags);
//! - a variation selector after an emoji or a symbol (`\u{fe0e}`, `\u{fe0f}`), or after a Chinese character (names in
//!   Japan);
//! - a zero-width joiner or non-joiner between two letters or marks of the scripts from Arabic to Mongolian.
//!
//! Why: docs/decisions/0017-accounts-over-their-life.md.

use crate::sale::NoMoment;
use std::borrow::Cow;
use unicode_normalization::{IsNormalized, UnicodeNormalization, char::is_combining_mark, is_nfc_quick};

/// The inside of a character class: characters below U+10000 that are refused next to any neighbour.
macro_rules! refused_everywhere {
    () => {
        concat!(
            "\\u0000-\\u001f\\u007f-\\u009f\\u00ad\\u034f\\u061c\\u115f\\u1160\\u17b4\\u17b5\\u180b-\\u180f\\u200b\\u200e",
            "\\u200f\\u2028-\\u202e\\u2060-\\u206f\\u2800\\u3164\\ufeff\\uffa0\\ufff0-\\ufffc"
        )
    };
}

/// The inside of a character class: blanks that are refused within a text and trimmed around it.
macro_rules! taken_away {
    () => {
        "\\u0009-\\u000d\\u0085\\u2028\\u2029"
    };
}

/// The inside of a character class: all blanks.
macro_rules! blank {
    () => {
        concat!(taken_away!(), "\\u0020\\u00a0\\u1680\\u2000-\\u200a\\u202f\\u205f\\u3000")
    };
}

/// Adds the trimmed blanks before and after `kept`. The boundaries are unambiguous, so a long text does not make a
/// regular expression engine backtrack.
macro_rules! with_blanks_around {
    ($kept:expr) => {
        concat!("^([", blank!(), "]*[", taken_away!(), "])?", $kept, "([", taken_away!(), "][", blank!(), "]*)?$")
    };
}

/// The pattern of [`checked_label`], as a regular expression of ECMA-262 for the documents that describe the API.
///
/// It lists the characters that are always refused and that one `\u` can name. Characters that are allowed only between
/// some neighbours are allowed everywhere in it.
pub const LABEL_PATTERN: &str = with_blanks_around!(concat!("[^", refused_everywhere!(), "]*"));
/// The pattern of [`checked_text`]: the same, with at least one visible character.
pub const TEXT_PATTERN: &str = with_blanks_around!(concat!(
    "[^",
    refused_everywhere!(),
    "]*[^",
    blank!(),
    "\\u0300-\\u036f\\u200c\\u200d\\ufe00-\\ufe0f",
    refused_everywhere!(),
    "][^",
    refused_everywhere!(),
    "]*"
));

/// The pattern of [`checked_paragraphs`]: lines of a label, with tabs.
pub const PARAGRAPHS_PATTERN: &str = concat!("^([\\u0009\\u000a\\u000d]|[^", refused_everywhere!(), "])*$");

/// A field with an invalid value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct InvalidField {
    /// The field's name.
    pub field: String,
    /// The fault.
    pub reason: String,
}

impl InvalidField {
    /// The fault of a field.
    #[must_use]
    pub fn new(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { field: field.into(), reason: reason.into() }
    }
}

/// The field for which a concert's hours are no moments.
impl From<NoMoment> for InvalidField {
    fn from(reason: NoMoment) -> Self {
        Self::new(reason.field(), reason.to_string())
    }
}

/// The text in normalisation form C.
#[must_use]
pub fn nfc(text: &str) -> Cow<'_, str> {
    if text.is_ascii() || is_nfc_quick(text.chars()) == IsNormalized::Yes {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.nfc().collect())
}

/// The text in the form that a search compares: normalised and in lower case.
#[must_use]
pub fn folded(text: &str) -> String {
    nfc(text).to_lowercase()
}

/// A text without surrounding blanks, of 1 to `len_max` characters, at least one of them visible.
///
/// # Errors
/// The text is empty, too long, invisible, or has characters that are refused.
pub fn checked_text(field: &str, text: &str, len_max: usize) -> Result<String, InvalidField> {
    let text = checked_label(field, text, len_max)?;
    if text.chars().any(is_visible) {
        Ok(text)
    } else {
        Err(InvalidField::new(field, format!("must have 1 to {len_max} characters, at least one of them visible")))
    }
}

/// As [`checked_text`], for a text that may be empty.
///
/// # Errors
/// The text is too long, or has characters that are refused.
pub fn checked_label(field: &str, text: &str, len_max: usize) -> Result<String, InvalidField> {
    let text = nfc(text);
    let text = text.trim();
    if text.chars().count() > len_max {
        return Err(InvalidField::new(field, format!("must have at most {len_max} characters")));
    }
    match first_refused(text) {
        None => Ok(text.to_owned()),
        Some(c) => Err(InvalidField::new(field, format!("must not contain U+{:04X}: {}", u32::from(c), reason(c)))),
    }
}

/// A text of paragraphs, of 1 to `len_max` characters: lines are ended by a line feed and have no blanks around them,
/// paragraphs are apart by one blank line, and a tab is a blank.
///
/// # Errors
/// As [`checked_text`].
pub fn checked_paragraphs(field: &str, text: &str, len_max: usize) -> Result<String, InvalidField> {
    let text = text.replace("\r\n", "\n").replace(['\r', '\u{85}'], "\n").replace('\t', " ");
    let mut kept = String::with_capacity(text.len());
    let text = text.trim();
    for line in text.lines() {
        let line = checked_label(field, line, len_max)?;
        if !(line.is_empty() && kept.ends_with("\n\n")) {
            kept.push_str(&line);
            kept.push('\n');
        }
    }
    kept.truncate(kept.trim_end().len());
    if kept.chars().count() > len_max || !kept.chars().any(is_visible) {
        return Err(InvalidField::new(
            field,
            format!("must have 1 to {len_max} characters, at least one of them visible"),
        ));
    }
    Ok(kept)
}

fn reason(c: char) -> &'static str {
    if is_line_break_or_control(c) {
        "it is a control character"
    } else if is_direction_control(c) {
        "it changes the direction of the text"
    } else {
        "it cannot be seen here"
    }
}

/// The first character that is not allowed at its place.
fn first_refused(text: &str) -> Option<char> {
    let mut before = None;
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let allowed = !(is_line_break_or_control(c) || is_direction_control(c) || is_blank(c))
            || belongs_here(before, c, rest.peek().copied());
        if !allowed {
            return Some(c);
        }
        before = Some(c);
    }
    None
}

/// Whether an invisible character has an effect between these two.
fn belongs_here(before: Option<char>, c: char, after: Option<char>) -> bool {
    match (before, c) {
        (Some(before), '\u{200d}') if is_emoji(before) || before == '\u{fe0f}' => after.is_some_and(is_emoji),
        (Some(before), '\u{200c}' | '\u{200d}') => joins(before) && after.is_some_and(joins),
        (Some(before), '\u{fe0e}' | '\u{fe0f}') => is_emoji(before) || is_chinese(before),
        (Some(before), '\u{fe00}'..='\u{fe0d}' | '\u{e0100}'..='\u{e01ef}') => is_chinese(before),
        _ => false,
    }
}

/// Whether the character is visible by itself.
fn is_visible(c: char) -> bool {
    !(c.is_whitespace()
        || is_line_break_or_control(c)
        || is_direction_control(c)
        || is_blank(c)
        || is_combining_mark(c))
}

/// Controls, and the separators of lines and paragraphs.
fn is_line_break_or_control(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')
}

/// Marks, embeddings, overrides and isolates of the bidirectional algorithm.
fn is_direction_control(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Invisible characters that are no white space: Unicode's `Default_Ignorable_Code_Point`, the empty Braille pattern,
/// and the object replacement characters.
fn is_blank(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{2065}' | '\u{206a}'..='\u{206f}' | '\u{2800}' | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffc}' | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}'
    )
}

/// The parts of an emoji sequence: pictographs, symbols, skin tones, and the bases of keycaps.
fn is_emoji(c: char) -> bool {
    matches!(
        c,
        '#' | '*' | '0'..='9' | '\u{a9}' | '\u{ae}' | '\u{203c}'..='\u{2049}' | '\u{2122}'..='\u{21aa}'
            | '\u{2300}'..='\u{27ff}' | '\u{2900}'..='\u{2bff}' | '\u{3030}' | '\u{303d}' | '\u{3297}' | '\u{3299}'
            | '\u{1f000}'..='\u{1faff}'
    )
}

fn is_chinese(c: char) -> bool {
    matches!(c, '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

/// Letters and marks of scripts whose spelling uses joiners: Arabic to the scripts of India, Myanmar, Khmer, Mongolian.
fn joins(c: char) -> bool {
    matches!(c, '\u{600}'..='\u{109f}' | '\u{1780}'..='\u{18af}' | '\u{fb50}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}')
        && c != '\u{61c}'
        && !is_blank(c)
}

/// Whether a character is allowed in an address: a visible one, or a mark on one.
#[must_use]
pub fn stands_in_an_address(c: char) -> bool {
    is_visible(c) || is_combining_mark(c) && !is_blank(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonically_equal_texts_become_one() {
        for (composed, decomposed) in
            [("Mot\u{f6}rhead", "Moto\u{308}rhead"), ("김민지", "\u{1100}\u{1175}\u{11b7}민지")]
        {
            assert_eq!(checked_text("name", decomposed, 100).unwrap(), composed);
            assert_eq!(folded(composed), folded(decomposed));
        }
        assert_eq!(checked_text("name", "  Kim Minji ", 100).unwrap(), "Kim Minji");
    }

    #[test]
    fn invisible_and_direction_characters_are_refused() {
        for bad in [
            "",
            "  ",
            "\u{200b}",
            "\u{2060}\u{2060}",
            "\u{202e}evil",
            "a\u{202e}b",
            "\u{3164}",
            "\u{2800}",
            "\u{feff}Kim",
            "a\u{ad}b",
            "\u{115f}\u{1160}",
            "a\u{0}b",
            "a\nb",
            "a\u{2028}b",
            "\u{301}",
            "a\u{200d}b",
            "Kim\u{fe0f}",
            "\u{e0041}",
            "a\u{61c}",
            "\u{2066}a\u{2069}",
            "👩\u{200d}",
            "\u{200d}👩",
            "\u{ffa0}",
        ] {
            let said = checked_text("title", bad, 100).unwrap_err();
            assert_eq!(said.field, "title", "{bad:?}");
        }
        for bad in ["\u{3164}", "A\u{200b}"] {
            assert!(checked_label("row", bad, 40).is_err(), "{bad:?}");
        }
        assert_eq!(checked_label("row", "", 40).unwrap(), "");
    }

    #[test]
    fn joiners_and_selectors_that_scripts_need_are_allowed() {
        for good in [
            "👩\u{200d}👩\u{200d}👧\u{200d}👦 on tour",
            "🏳\u{fe0f}\u{200d}🌈",
            "👍🏽",
            "1\u{fe0f}\u{20e3} Night",
            "I ❤\u{fe0f} NY",
            "葛\u{e0100}城",
            "می\u{200c}خواهم",
            "क\u{94d}\u{200d}ष",
            "O'Brien \u{2013} <script>",
            "🎸",
        ] {
            assert_eq!(checked_text("title", good, 100).unwrap(), good);
        }
    }

    #[test]
    fn the_api_patterns_accept_every_accepted_text() {
        let (text, label) = (regex::Regex::new(TEXT_PATTERN).unwrap(), regex::Regex::new(LABEL_PATTERN).unwrap());
        let depends_on_its_neighbours = |c: char| matches!(c, '\u{200c}' | '\u{200d}' | '\u{fe00}'..='\u{fe0f}');
        for c in ('\0'..='\u{ffff}').filter(|c| !depends_on_its_neighbours(*c)) {
            for written in [format!("a{c}b"), format!("{c}a"), format!("a{c}"), format!(" {c} a {c} ")] {
                assert_eq!(label.is_match(&written), checked_label("row", &written, 40).is_ok(), "{written:?}");
                assert_eq!(text.is_match(&written), checked_text("name", &written, 40).is_ok(), "{written:?}");
            }
        }
        for blank in ["", " ", "\u{3000}", "\u{301}"] {
            assert!(!text.is_match(blank), "{blank:?}");
            assert!(checked_text("name", blank, 40).is_err(), "{blank:?}");
        }
        for good in ["Kim Minji", " Kim ", "김민지", "👩\u{200d}👩\u{200d}👧", "I ❤\u{fe0f} NY", "می\u{200c}خواهم"]
        {
            assert!(text.is_match(good) && label.is_match(good), "{good}");
            assert!(checked_text("name", good, 40).is_ok(), "{good}");
        }
        assert!(label.is_match(""));
    }

    #[test]
    fn paragraphs_are_apart_by_one_blank_line() {
        let text = " One.\r\n Two. \r\n\n \n\nThree\tfour.\n\n";
        let kept = "One.\nTwo.\n\nThree four.";
        assert_eq!(checked_paragraphs("description", text, 100).unwrap(), kept);
        assert!(regex::Regex::new(PARAGRAPHS_PATTERN).unwrap().is_match(text));
        assert_eq!(checked_paragraphs("description", kept, kept.len()).unwrap(), kept);
        assert!(checked_paragraphs("description", kept, kept.len() - 1).is_err());
        for bad in ["", " \n\n ", "a\u{0}b", "one\n\u{202e}two", "\u{3164}"] {
            assert_eq!(checked_paragraphs("description", bad, 100).unwrap_err().field, "description", "{bad:?}");
        }
    }

    #[test]
    fn the_length_counts_the_trimmed_text() {
        let decomposed = "o\u{308}".repeat(100);
        assert!(checked_text("name", &decomposed, 100).is_ok());
        assert!(checked_text("name", &format!("{decomposed}x"), 100).is_err());
    }
}
