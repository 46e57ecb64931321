//! How a shop makes the pages its own: the files of a folder, read at the start.

use crate::edge::language::Language;
use anyhow::{Context as _, ensure};
use std::{io::ErrorKind, path::Path};

/// How large a file may be, in bytes: every visitor loads them.
const FILE_LEN_MAX: usize = 256 * 1_024;
/// How long the name may be, in characters.
const NAME_LEN_MAX: usize = 40;
/// How long the footer may be, in characters.
const FOOTER_LEN_MAX: usize = 1_000;

/// The format of a logo, which its file's name says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogoFormat {
    Svg,
    Png,
}

impl LogoFormat {
    /// The name of the file.
    pub(crate) const fn path(self) -> &'static str {
        match self {
            Self::Svg => "logo.svg",
            Self::Png => "logo.png",
        }
    }
}

/// The shop's logo.
#[derive(Debug)]
pub(crate) struct Logo {
    pub(crate) format: LogoFormat,
    pub(crate) body: Vec<u8>,
}

/// The shop's own style, logo, name and footer; without them, the pages have Frontrow's.
#[derive(Debug, Default)]
pub struct Theme {
    pub(crate) style: Option<Vec<u8>>,
    pub(crate) logo: Option<Logo>,
    name: Option<String>,
    korean_footer: Option<String>,
    english_footer: Option<String>,
}

impl Theme {
    /// The theme in a folder: `theme.css`, `logo.svg` or `logo.png`, `name.txt`, `footer.ko.txt` and `footer.en.txt`.
    /// Each may be missing.
    ///
    /// # Errors
    /// There is no such folder, or a file of it is too large or no text.
    pub fn read(folder: &Path) -> anyhow::Result<Self> {
        ensure!(folder.is_dir(), "there is no folder {}", folder.display());
        let logo = |format: LogoFormat| anyhow::Ok(read(folder, format.path())?.map(|body| Logo { format, body }));
        Ok(Self {
            style: read(folder, "theme.css")?,
            logo: logo(LogoFormat::Svg)?.or(logo(LogoFormat::Png)?),
            name: read_text(folder, "name.txt", NAME_LEN_MAX)?,
            korean_footer: read_text(folder, "footer.ko.txt", FOOTER_LEN_MAX)?,
            english_footer: read_text(folder, "footer.en.txt", FOOTER_LEN_MAX)?,
        })
    }

    pub(crate) fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The footer in a language; in the other one if there is none.
    pub(crate) fn footer(&self, language: Language) -> Option<&str> {
        let (own, other) = match language {
            Language::Korean => (&self.korean_footer, &self.english_footer),
            Language::English => (&self.english_footer, &self.korean_footer),
        };
        own.as_deref().or(other.as_deref())
    }
}

fn read(folder: &Path, name: &str) -> anyhow::Result<Option<Vec<u8>>> {
    let path = folder.join(name);
    let body = match std::fs::read(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        body => body.with_context(|| format!("cannot read {}", path.display()))?,
    };
    ensure!(body.len() <= FILE_LEN_MAX, "{} is larger than {FILE_LEN_MAX} bytes", path.display());
    Ok(Some(body))
}

fn read_text(folder: &Path, name: &str, len_max: usize) -> anyhow::Result<Option<String>> {
    let Some(body) = read(folder, name)? else { return Ok(None) };
    let text = String::from_utf8(body).with_context(|| format!("{name} is not UTF-8"))?;
    let text = text.trim_start_matches('\u{feff}').trim();
    ensure!(text.chars().count() <= len_max, "{name} is longer than {len_max} characters");
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_gives_what_it_has_and_a_fault_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, body: &[u8]| std::fs::write(folder.path().join(name), body).unwrap();
        let theme = Theme::read(folder.path()).unwrap();
        assert!(theme.style.is_none() && theme.logo.is_none() && theme.name().is_none());
        write("theme.css", b":root { --light: #00f; }");
        write("logo.png", b"png");
        write("name.txt", "\u{feff}  달빛 예매\n".as_bytes());
        write("footer.en.txt", b"Moonlight Tickets");
        let theme = Theme::read(folder.path()).unwrap();
        assert_eq!(
            (theme.name(), theme.logo.as_ref().map(|logo| logo.format)),
            (Some("달빛 예매"), Some(LogoFormat::Png))
        );
        assert_eq!(theme.footer(Language::Korean), Some("Moonlight Tickets"));
        write("name.txt", b"\xff");
        assert!(Theme::read(folder.path()).unwrap_err().to_string().contains("name.txt"));
        write("name.txt", "가".repeat(NAME_LEN_MAX + 1).as_bytes());
        assert!(Theme::read(folder.path()).unwrap_err().to_string().contains("name.txt"));
        write("name.txt", b"");
        write("theme.css", &vec![b'a'; FILE_LEN_MAX + 1]);
        assert!(Theme::read(folder.path()).unwrap_err().to_string().contains("theme.css"));
        assert!(Theme::read(&folder.path().join("none")).is_err());
    }
}
