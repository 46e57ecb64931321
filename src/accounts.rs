//! What an account may have as its e-mail address and its password, wherever it is made.

use crate::catalog::BadField;

/// An e-mail address in lower case.
///
/// # Errors
/// It is not one.
pub fn checked_email(email: &str) -> Result<String, BadField> {
    let email = email.trim().to_lowercase();
    let well_formed = email.split_once('@').is_some_and(|(local, domain)| {
        !local.is_empty() && domain.contains('.') && !domain.starts_with('.') && !domain.ends_with('.')
    });
    let plain = email.len() <= 254 && !email.chars().any(|c| c.is_whitespace() || c.is_control());
    if well_formed && plain && email.matches('@').count() == 1 {
        Ok(email)
    } else {
        Err(BadField::new("email", "must be an e-mail address"))
    }
}

/// A password that may be set.
///
/// # Errors
/// It is too short or too long.
pub fn checked_password(password: String) -> Result<String, BadField> {
    if (10..=200).contains(&password.chars().count()) {
        Ok(password)
    } else {
        Err(BadField::new("password", "must have 10 to 200 characters"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_folded_to_lower_case_or_refused() {
        assert_eq!(checked_email(" Minji@Example.COM "), Ok("minji@example.com".to_owned()));
        let long = format!("{}@example.com", "a".repeat(250));
        for bad in ["", "minji", "@example.com", "a@b", "a@.com", "a@b.", "a@b@c.com", "a b@c.com", &long] {
            assert_eq!(checked_email(bad).unwrap_err().field, "email", "{bad}");
        }
    }

    #[test]
    fn a_password_has_10_to_200_characters() {
        for (len, good) in [(9, false), (10, true), (200, true), (201, false)] {
            assert_eq!(checked_password("ü".repeat(len)).is_ok(), good, "{len}");
        }
    }
}
