//! Validates e-mail addresses, passwords and names of accounts.

use frontrow_domain::text::{InvalidField, nfc, stands_in_an_address};
use unicode_normalization::UnicodeNormalization;

/// How many characters a user's name may have.
pub const USER_NAME_LEN_MAX: usize = 100;
/// How many characters a password may have.
const PASSWORD_LEN: std::ops::RangeInclusive<usize> = 10..=200;
/// How many bytes an address may have (RFC 5321).
pub const EMAIL_LEN_MAX: usize = 254;
/// How many bytes the part before its `@` may have.
const LOCAL_LEN_MAX: usize = 64;

/// An e-mail address in its normal form: the part before the `@` in NFC and lower case, the domain in ASCII (UTS 46).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Email {
    address: String,
    /// The stored forms of the same spelling from before addresses were normalised. Usually there is none.
    older: Vec<String>,
}

impl Email {
    /// Parses the address of a new account.
    ///
    /// # Errors
    /// It is not an address.
    pub fn parse(text: &str) -> Result<Self, InvalidField> {
        let bad = |reason: &str| InvalidField::new("email", reason);
        let text = text.trim();
        let (local, domain) = text.rsplit_once('@').ok_or_else(|| bad("must be an e-mail address"))?;
        let local = nfc(local);
        let shown = |c: char| if c.is_ascii() { is_atom(c) } else { stands_in_an_address(c) };
        if let Some(c) = local.chars().find(|c| *c != '.' && !shown(*c)) {
            return Err(bad(&format!("must not have U+{:04X} before its @", u32::from(c))));
        }
        if local.split('.').any(str::is_empty) {
            return Err(bad("must be an e-mail address"));
        }
        let ascii = domain_in_ascii(domain).ok_or_else(|| bad("must end in the name of a domain"))?;
        let local = lower_case(&local);
        let address = format!("{local}@{ascii}");
        if address.len() > EMAIL_LEN_MAX || local.len() > LOCAL_LEN_MAX {
            return Err(bad("is too long"));
        }
        let older = if text.is_ascii() && ascii.eq_ignore_ascii_case(domain) && !ascii.contains("xn--") {
            Vec::new()
        } else {
            older_forms(text, &address)
        };
        Ok(Self { address, older })
    }

    /// Parses the address of an account that may exist. An older account may have an address that is refused today: it
    /// is looked up as it was stored then, in lower case only.
    ///
    /// # Errors
    /// It was never accepted as an address.
    pub fn parse_known(text: &str) -> Result<Self, InvalidField> {
        Self::parse(text).or_else(|bad| {
            let address = text.trim().to_lowercase();
            let was_taken = address.len() <= EMAIL_LEN_MAX
                && !address.chars().any(|c| c.is_whitespace() || c.is_control())
                && address.split_once('@').is_some_and(|(local, domain)| {
                    let has_inner_dot = domain.contains('.') && !domain.starts_with('.') && !domain.ends_with('.');
                    !local.is_empty() && has_inner_dot && !domain.contains('@')
                });
            if was_taken { Ok(Self { address, older: Vec::new() }) } else { Err(bad) }
        })
    }

    /// The address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.address
    }

    /// The address, and the forms that an account from before the normalisation may have.
    pub fn forms(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.address).chain(&self.older).map(String::as_str)
    }
}

impl std::fmt::Display for Email {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.address)
    }
}

/// Whether an address may have this character without quotes (RFC 5322's `atext`).
fn is_atom(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c)
}

/// In lower case, but for the dotted capital I: its lower case is two characters, and neither reading (`i` with or
/// without a second dot) is certain to be the same mailbox.
fn lower_case(local: &str) -> String {
    local.split('\u{130}').map(str::to_lowercase).collect::<Vec<_>>().join("\u{130}")
}

/// The domain in DNS form: at least two labels, none empty, of letters, digits and inner hyphens.
fn domain_in_ascii(domain: &str) -> Option<String> {
    if !domain.chars().all(stands_in_an_address) {
        return None;
    }
    let ascii = idna::domain_to_ascii_strict(domain).ok()?;
    let (_, top) = ascii.rsplit_once('.')?;
    (!top.bytes().all(|byte| byte.is_ascii_digit())).then_some(ascii)
}

/// The forms of the address in older rows: in lower case as typed, composed or decomposed, with the domain in Unicode.
fn older_forms(text: &str, address: &str) -> Vec<String> {
    let typed = text.to_lowercase();
    let (local, _) = typed.rsplit_once('@').unwrap_or_default();
    let (_, ascii) = address.rsplit_once('@').unwrap_or_default();
    let (domain, _) = idna::domain_to_unicode(ascii);
    let mut forms = Vec::new();
    for local in [local.nfc().collect::<String>(), local.nfd().collect()] {
        for domain in [ascii, &domain, &domain.nfd().collect::<String>()] {
            forms.push(format!("{local}@{domain}"));
        }
    }
    forms.push(typed);
    forms.sort_unstable();
    forms.dedup();
    forms.retain(|form| form != address);
    forms
}

/// A password in the form that is hashed: NFC, every blank a plain one (RFC 8265).
#[derive(Clone, PartialEq, Eq)]
pub struct Password {
    normal: String,
    /// As typed, if that differs: an older hash may be of this form.
    typed: Option<String>,
}

impl Password {
    /// Parses a password to be set.
    ///
    /// # Errors
    /// It is too short or too long.
    pub fn parse(text: String) -> Result<Self, InvalidField> {
        let password = Self::of(text);
        if PASSWORD_LEN.contains(&password.normal.chars().count()) {
            Ok(password)
        } else {
            Err(InvalidField::new("password", "must have 10 to 200 characters"))
        }
    }

    /// Parses a password to be compared. It may be shorter than a new one.
    ///
    /// # Errors
    /// It is too long.
    pub fn parse_given(text: String) -> Result<Self, InvalidField> {
        let password = Self::of(text);
        if password.normal.chars().count() <= *PASSWORD_LEN.end() {
            Ok(password)
        } else {
            Err(InvalidField::new("password", "must have at most 200 characters"))
        }
    }

    fn of(text: String) -> Self {
        let blank = |c: char| if c.is_whitespace() && !c.is_control() { ' ' } else { c };
        let normal: String = text.chars().map(blank).nfc().collect();
        let typed = (text != normal).then_some(text);
        Self { normal, typed }
    }

    /// The form that is hashed.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.normal
    }

    /// The typed form, if it differs.
    #[must_use]
    pub fn expose_typed(&self) -> Option<&str> {
        self.typed.as_deref()
    }
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn email(text: &str) -> String {
        Email::parse(text).unwrap_or_else(|bad| panic!("{text}: {bad}")).as_str().to_owned()
    }

    #[test]
    fn an_address_is_folded_to_lower_case_or_refused() {
        assert_eq!(email(" Minji@Example.COM "), "minji@example.com");
        let long = format!("{}@example.com", "a".repeat(65));
        for bad in [
            "",
            "minji",
            "@example.com",
            "a@b",
            "a@.com",
            "a@b.",
            "a@b@c.com",
            "a b@c.com",
            "a..b@c.com",
            ".a@c.com",
            "a.@c.com",
            "a@c..com",
            "a@x..example",
            "<script>@x.example",
            "<a>@example.com",
            "a@-c.com",
            "a@c_d.com",
            "a\u{202e}@x.example",
            "ab\u{200b}@example.com",
            "a\u{3164}@example.com",
            "a@ex\u{2800}ample.com",
            "\"a\"@example.com",
            "a@127.0.0.1",
            "a@c.com\u{202e}",
            "a\u{0}@c.com",
            &long,
        ] {
            assert_eq!(Email::parse(bad).unwrap_err().field, "email", "{bad:?}");
        }
        for good in ["o'brien+concerts@example.com", "민지@example.com", "jos\u{e9}@example.com", "a_b-c@x-y.example"]
        {
            assert_eq!(email(good), good);
        }
    }

    #[test]
    fn spellings_of_one_address_become_one() {
        assert_eq!(email("Jose\u{301}@Example.com"), "jos\u{e9}@example.com");
        assert_eq!(email("kim@b\u{fc}cher.example"), "kim@xn--bcher-kva.example");
        assert_eq!(email("kim@BU\u{308}CHER.example"), "kim@xn--bcher-kva.example");
        assert_eq!(email("kim@XN--BCHER-KVA.example"), "kim@xn--bcher-kva.example");
        assert_eq!(email("kim@\u{ff45}xample.com"), "kim@example.com");
        assert_eq!(email("\u{130}nci@example.com"), "\u{130}nci@example.com", "its lower case is not certain");
        assert_ne!(email("\u{130}nci@example.com"), email("inci@example.com"));
    }

    #[test]
    fn an_address_names_the_forms_that_it_may_have_in_old_rows() {
        let forms = |text: &str| Email::parse(text).unwrap().forms().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(forms("Kim@Example.com"), ["kim@example.com"]);
        let all = forms("Jos\u{e9}@b\u{fc}cher.example");
        assert_eq!(all[0], "jos\u{e9}@xn--bcher-kva.example");
        for older in ["jos\u{e9}@b\u{fc}cher.example", "jose\u{301}@bu\u{308}cher.example"] {
            assert!(all.iter().any(|form| form == older), "{older}");
        }
    }

    #[test]
    fn an_address_from_before_is_still_known_and_no_new_one_is_made_of_it() {
        let long = format!("{}@example.com", "a".repeat(65));
        for old in ["abc..def@docomo.ne.jp", "kim@my_host.example", ".kim.@x..example", "<a>@127.0.0.1", &long] {
            assert!(Email::parse(old).is_err(), "{old}");
            let known = Email::parse_known(&format!(" {} ", old.to_uppercase())).unwrap();
            assert!(known.forms().eq([old]), "{old}");
        }
        assert_eq!(Email::parse_known(" Minji@Example.COM ").unwrap(), Email::parse("minji@example.com").unwrap());
        let too_long = format!("{}@example.com", "a".repeat(250));
        for never in
            ["", "minji", "@x.example", "a@b", "a@.com", "a@b.", "a@b@c.com", "a b@c.com", "a\0@c.com", &too_long]
        {
            assert_eq!(Email::parse_known(never).unwrap_err().field, "email", "{never:?}");
        }
    }

    #[test]
    fn a_password_has_10_to_200_characters_in_its_normal_form() {
        for (len, good) in [(9, false), (10, true), (200, true), (201, false)] {
            assert_eq!(Password::parse("ü".repeat(len)).is_ok(), good, "{len}");
            assert_eq!(Password::parse("u\u{308}".repeat(len)).is_ok(), good, "{len}, decomposed");
        }
    }

    #[test]
    fn equal_passwords_in_other_bytes_are_hashed_alike() {
        let (composed, decomposed) = ("Mot\u{f6}rhead1980", "Moto\u{308}rhead1980");
        let password = |text: &str| Password::parse(text.to_owned()).unwrap();
        assert_eq!(password(composed).expose(), password(decomposed).expose());
        assert_eq!(password(composed).expose_typed(), None);
        assert_eq!(password(decomposed).expose_typed(), Some(decomposed));
        assert_eq!(password("correct\u{3000}horse").expose(), "correct horse");
    }
}
