//! The name of a browser and its system, for the list of a user's sessions.

use std::{fmt, str::FromStr};

/// Words in `User-Agent` and the programs that send them. Most browsers also send the names of those that they descend
/// from, which come later here.
const PROGRAMS: [(&str, &str); 15] = [
    ("KAKAOTALK", "KakaoTalk"),
    ("NAVER(", "NAVER"),
    ("Whale/", "Whale"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("EdgA/", "Edge"),
    ("EdgiOS/", "Edge"),
    ("Edg/", "Edge"),
    ("OPR/", "Opera"),
    ("FxiOS/", "Firefox"),
    ("Firefox/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
    ("curl/", "curl"),
    ("frontrow", "Frontrow"),
];

/// Words in `User-Agent` and the systems that they name.
const SYSTEMS: [(&str, &str); 7] = [
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("CrOS", "ChromeOS"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
];

/// Between the program and its system.
const SEPARATOR: &str = " · ";
/// How many bytes of a `User-Agent` are read.
const READ_MAX: usize = 512;

/// A program and its system, such as `Chrome · Android`: known names alone, whatever the client says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClientLabel {
    program: Option<&'static str>,
    system: Option<&'static str>,
}

impl ClientLabel {
    /// The label of a `User-Agent`; none if it names neither a known program nor a known system.
    #[must_use]
    pub fn of_user_agent(text: &str) -> Option<Self> {
        let end = (0..=READ_MAX.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        let text = text.get(..end).unwrap_or_default();
        let find =
            |names: &[(&str, &'static str)]| names.iter().find(|(word, _)| text.contains(word)).map(|(_, name)| *name);
        Self::of(find(&PROGRAMS), find(&SYSTEMS))
    }

    const fn of(program: Option<&'static str>, system: Option<&'static str>) -> Option<Self> {
        if program.is_none() && system.is_none() { None } else { Some(Self { program, system }) }
    }
}

impl fmt::Display for ClientLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.program, self.system) {
            (Some(program), Some(system)) => write!(f, "{program}{SEPARATOR}{system}"),
            (Some(one), None) | (None, Some(one)) => f.write_str(one),
            (None, None) => Ok(()),
        }
    }
}

/// A text that is not a label of this version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownLabel;

/// Reads a label as it was written.
impl FromStr for ClientLabel {
    type Err = UnknownLabel;

    fn from_str(text: &str) -> Result<Self, UnknownLabel> {
        let known = |names: &[(&str, &'static str)], wanted: &str| {
            names.iter().find(|(_, name)| *name == wanted).map(|(_, name)| *name)
        };
        let found = match text.split_once(SEPARATOR) {
            Some((program, system)) => Self::of(known(&PROGRAMS, program), known(&SYSTEMS, system)),
            None => Self::of(known(&PROGRAMS, text), known(&SYSTEMS, text)),
        };
        found.ok_or(UnknownLabel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(text: &str) -> String {
        ClientLabel::of_user_agent(text).map(|label| label.to_string()).unwrap_or_default()
    }

    #[test]
    fn a_label_names_the_browser_and_its_system_and_nothing_that_a_client_makes_up() {
        let webkit = "AppleWebKit/537.36 (KHTML, like Gecko)";
        for (text, expected) in [
            (
                format!("Mozilla/5.0 (Linux; Android 15; K) {webkit} Chrome/140.0.0.0 Mobile Safari/537.36"),
                "Chrome · Android",
            ),
            (
                format!(
                    "Mozilla/5.0 (Linux; Android 15; K) {webkit} SamsungBrowser/28.0 Chrome/130.0.0.0 Safari/537.36"
                ),
                "Samsung Internet · Android",
            ),
            (
                format!(
                    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) {webkit} Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0"
                ),
                "Edge · Windows",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 Version/18.6 Safari/604.1"
                    .to_owned(),
                "Safari · iPhone",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 Mobile KAKAOTALK 11.0"
                    .to_owned(),
                "KakaoTalk · iPhone",
            ),
            ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0".to_owned(), "Firefox · Linux"),
            ("curl/8.14.1".to_owned(), "curl"),
            ("Mozilla/5.0 (Android 15; Mobile)".to_owned(), "Android"),
            ("<script>alert(1)</script>".to_owned(), ""),
            (String::new(), ""),
            (format!("{}Chrome/140", "한".repeat(READ_MAX)), ""),
        ] {
            assert_eq!(label(&text), expected, "{text}");
        }
    }

    #[test]
    fn every_label_is_short_and_read_as_it_was_written() {
        let programs = PROGRAMS.iter().map(|(_, name)| Some(*name)).chain([None]);
        for program in programs {
            for system in SYSTEMS.iter().map(|(_, name)| Some(*name)).chain([None]) {
                let Some(label) = ClientLabel::of(program, system) else { continue };
                assert!(label.to_string().chars().count() <= 60);
                assert_eq!(label.to_string().parse(), Ok(label));
            }
        }
        assert_eq!("Netscape · BeOS".parse::<ClientLabel>(), Err(UnknownLabel));
    }
}
