//! Reports of lines that are over: how many came in and what became of the others, signed as receipts are.

use super::{BadPass, Keyring};
use frontrow_domain::line::LaneKind;
use serde::{Deserialize, Serialize};

/// The type in the header of a report: no report is taken for a receipt or a pass.
pub const LINE_REPORT_TYPE: &str = "frontrow-line-report+jwt";

/// What became of a line. Times are in microseconds since 1970, but `iat`, which is in seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineReportClaims {
    /// The address of the box office.
    pub iss: String,
    /// When the report was written, in seconds.
    pub iat: i64,
    /// The room.
    pub room: i64,
    /// When its sale opened; none if that was not set.
    pub opens_at: Option<i64>,
    /// When its sale was over.
    pub closes_at: Option<i64>,
    /// The general line.
    #[serde(flatten)]
    pub counts: LineCounts,
    /// The lanes beside it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lanes: Vec<LaneCounts>,
}

/// What became of the tokens of one line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineCounts {
    /// Tokens that had a place in the line.
    pub entered: i64,
    /// Entries of the lobby that were drawn and got such a place.
    pub drawn: i64,
    /// Tokens that were activated; each is once at most.
    pub admitted: i64,
    /// Turns that were not claimed in time.
    pub missed: i64,
    /// Turns that met a token whose client was not heard of.
    pub passed_over: i64,
    /// Tokens that ended with a payment.
    pub paid: i64,
    /// Tokens whose users left.
    pub left: i64,
    /// Tokens that operators removed.
    pub removed: i64,
    /// Tokens whose time ran out.
    pub expired: i64,
    /// Tokens that ended because they let too many turns pass.
    pub missed_out: i64,
    /// Tokens that still waited when the line was over.
    pub waiting_at_end: i64,
    /// The most tokens that were active at once.
    pub active_most: i64,
    /// The highest cap under which a token was activated.
    pub cap_most: i64,
    /// By how many active tokens an activation exceeded the cap in force, at most.
    pub overshoot: i64,
}

/// What became of the tokens of a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaneCounts {
    /// Whom it was for.
    pub lane: LaneKind,
    /// Its tokens.
    #[serde(flatten)]
    pub counts: LineCounts,
}

impl Keyring {
    /// A report with this content, signed with the signing key.
    ///
    /// # Errors
    /// [`BadPass::UnknownKey`] if no private key could be derived, which is not to be expected of any secret.
    pub fn sign_line_report(&self, claims: &LineReportClaims) -> Result<String, BadPass> {
        self.sign_claims(LINE_REPORT_TYPE, claims)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_signed_by_the_published_key_and_is_no_pass() {
        let ring = Keyring::from_secrets(&[(1, [0x11; 32])], 1).unwrap();
        let claims = LineReportClaims {
            iss: "https://line.example.com".to_owned(),
            iat: 1_900_000_000,
            room: 7,
            opens_at: Some(1_800_000_000_000_000),
            closes_at: Some(1_900_000_000_000_000),
            counts: LineCounts {
                entered: 40,
                drawn: 12,
                admitted: 20,
                missed: 3,
                passed_over: 4,
                paid: 18,
                left: 5,
                removed: 1,
                expired: 6,
                missed_out: 2,
                waiting_at_end: 8,
                active_most: 10,
                cap_most: 10,
                overshoot: 0,
            },
            lanes: Vec::new(),
        };
        let report = ring.sign_line_report(&claims).unwrap();
        assert_eq!(ring.verify_claims::<LineReportClaims>(LINE_REPORT_TYPE, &report), Ok(claims));
        assert_eq!(ring.verify_pass(&report), Err(BadPass::Form));
    }
}
