//! Text search: a prefilter that the server applies before the program matches the rows.
//!
//! [`crate::filter`] decides: the meaning of "in any case" must not depend on the server's version or locale. The
//! server only leaves out most of the rows that cannot match.

/// The longest part of the [folded](frontrow_domain::text::folded) text `wanted` that occurs unchanged in every text
/// that contains `wanted`, once that text is normalised, its ASCII letters are in lower case and the characters of
/// [`FOLDED`] are replaced. Empty if there is none: then every row may match.
pub(super) fn certain_part(wanted: &str) -> &str {
    wanted.split(|c| !is_certain(c)).max_by_key(|part| part.len()).unwrap_or_default()
}

/// The only characters beyond ASCII whose lower case contains ASCII, with that ASCII: the Kelvin sign and the dotted
/// capital I.
#[cfg(test)]
const FOLDED: [(char, char); 2] = [('\u{212a}', 'k'), ('\u{130}', 'i')];

/// SQL for whether a column contains the part in `$1`, or in the parameter that is named.
macro_rules! may_contain {
    ($column:literal, $part:literal) => {
        concat!(
            "strpos(lower(translate(normalize(",
            $column,
            "), '\u{212a}\u{130}', 'ki') COLLATE \"C\"), ",
            $part,
            ") > 0"
        )
    };
}

pub(super) use may_contain;

/// Whether the character is the lower case of itself alone, apart from ASCII and [`FOLDED`].
fn is_certain(c: char) -> bool {
    // The server stores no NUL. A dotted capital I leaves a U+0307 in lower case.
    c != '\0' && (c.is_ascii() || (c != '\u{307}' && c.to_uppercase().eq([c]) && c.to_lowercase().eq([c])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_character_becomes_a_certain_one_in_lower_case() {
        for c in '\0'..=char::MAX {
            let folded = FOLDED.iter().find(|(from, _)| *from == c);
            for lower in c.to_lowercase().filter(|lower| *lower != c) {
                let expected = c.is_ascii() || folded.is_some_and(|(_, to)| *to == lower);
                assert!(expected || !is_certain(lower), "{c:?} becomes {lower:?}");
            }
        }
    }

    #[test]
    fn the_longest_certain_part_is_taken() {
        assert_eq!(certain_part("midnight"), "midnight");
        assert_eq!(certain_part("émi"), "mi");
        assert_eq!(certain_part("김민지"), "김민지");
        assert_eq!(certain_part("aéminjié100%"), "minji");
        assert_eq!(certain_part("éß"), "");
        assert_eq!(certain_part(""), "");
    }
}
