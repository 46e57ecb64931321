//! Text that is looked for: what the server can leave out before the program looks itself.
//!
//! The program decides, by [`crate::filter`]: what "in any case" means must not depend on the server's version
//! or locale. The server only spares it most of the rows that cannot match.

/// A part of the text wanted, which is [folded](frontrow_domain::text::folded), that stands as it is in every text that contains
/// the text wanted, once that is normalised, its ASCII letters are in lower case and the two characters of [`FOLDED`]
/// are replaced. Empty where there is no such part: then every row may match.
pub(super) fn certain_part(wanted: &str) -> &str {
    wanted.split(|c| !is_certain(c)).max_by_key(|part| part.len()).unwrap_or_default()
}

/// The only characters beyond ASCII whose lower case has ASCII in it, and that ASCII: the Kelvin sign and the dotted
/// capital I.
#[cfg(test)]
const FOLDED: [(char, char); 2] = [('\u{212a}', 'k'), ('\u{130}', 'i')];

/// The SQL that tells whether a column contains the part in `$1`, or whatever parameter is named.
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

/// Whether the character is the lower case of nothing but itself, ASCII and [`FOLDED`] apart.
fn is_certain(c: char) -> bool {
    // A text of the database has no NUL in it, and the server takes none. The dot is what is left of a dotted capital I.
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
