//! Which settings are valid, and together.

use super::{Config, SERVICE_KEY_LEN_MIN, parts::seconds};
use frontrow_domain::{money::Money, policy::OFFER_LEAD_MAX};
use std::fmt;

/// The least silence after which a client counts as gone: clients are told to ask at most 36 seconds apart.
const SILENCE_MIN_SECONDS: u32 = 40;
/// The least time in which a person sees something and does it.
const HUMAN_MIN_SECONDS: u32 = 10;
/// A client that reads a stream is heard of every 15 seconds, and its claim is kept from half of the window on.
const CLAIM_WINDOW_MIN_SECONDS: u32 = 20;
/// The least time in which a missed turn can be recalled.
const RECALL_MIN_SECONDS: u32 = 60;
/// The longest time to claim a turn.
const CLAIM_WINDOW_MAX_SECONDS: u32 = 3_600;
/// The longest time that a seat may be refused to the user who released it.
const SEAT_COOLDOWN_MAX_SECONDS: u32 = 3_600;
/// The largest number of days: a hundred years, which is for ever but does not overflow.
const DAYS_MAX: u32 = 36_500;

impl Config {
    /// Checks the settings as a whole.
    ///
    /// # Errors
    /// All mistakes at once.
    pub fn validate(&self) -> Result<(), Invalid> {
        let mut wrong = Vec::new();
        for (name, value) in [
            ("hold_seconds", self.hold_seconds),
            ("max_seats_per_user", self.max_seats_per_user),
            ("max_active", self.max_active),
            ("holds_per_turn", self.holds_per_turn),
            ("missed_turns_max", self.missed_turns_max),
            ("claim_window_seconds", self.claim_window_seconds),
            ("dormant_after_seconds", self.dormant_after_seconds),
            ("idle_seconds", self.idle_seconds),
            ("active_limit_seconds", self.active_limit_seconds),
            ("session_hours", self.session_hours),
            ("login_per_minute_per_account", self.rates.login_per_minute_per_account),
            ("login_per_minute_per_address", self.rates.login_per_minute_per_address),
            ("requests_per_second_per_user", self.rates.requests_per_second_per_user),
            ("request_burst_per_user", self.rates.request_burst_per_user),
            ("changes_per_hour_per_user", self.rates.changes_per_hour_per_user),
            ("holds_per_hour_per_user", self.rates.holds_per_hour_per_user),
            ("reads_per_second_per_user", self.rates.reads_per_second_per_user),
            ("reads_per_second_per_address", self.rates.reads_per_second_per_address),
            ("polls_per_second_per_token", self.rates.polls_per_second_per_token),
            ("max_connections", self.max_connections),
            ("header_timeout_seconds", self.header_timeout_seconds),
            ("body_timeout_seconds", self.body_timeout_seconds),
            ("request_timeout_seconds", self.request_timeout_seconds),
            ("idle_connection_seconds", self.idle_connection_seconds),
            ("queue_len", self.queue_len),
            ("batch_max", self.batch_max),
            ("keep_answers_days", self.keep_answers_days),
            ("otlp_one_in", self.otlp_one_in),
        ] {
            if value == 0 {
                wrong.push(format!("{name} must be at least 1"));
            }
        }
        let mut must = |holds: bool, what: &str| {
            if !holds {
                wrong.push(what.to_owned());
            }
        };
        must(self.batch_max <= 500, "batch_max must be at most 500: a transaction holds its locks for the whole batch");
        must(
            (17..=65_536).contains(&self.bodies_in_flight_mib),
            "bodies_in_flight_mib must be from 17, which one list of seats takes, to 65536",
        );
        must(
            [self.keep_answers_days, self.keep_tokens_days, self.keep_reservations_days, self.keep_idle_accounts_days]
                .iter()
                .all(|kept| *kept <= DAYS_MAX),
            "keep_answers_days, keep_tokens_days, keep_reservations_days and keep_idle_accounts_days must be at most \
             36500",
        );
        must(
            self.keep_idle_accounts_days == 0 || self.keep_idle_accounts_days.saturating_mul(24) > self.session_hours,
            "keep_idle_accounts_days must be longer than session_hours: who is signed in uses the account",
        );
        must(
            self.seat_cooldown_seconds <= SEAT_COOLDOWN_MAX_SECONDS,
            "seat_cooldown_seconds must be at most 3600: the seat waits for others that long",
        );
        must(
            self.outage_grace_seconds <= 3_600,
            "outage_grace_seconds must be at most 3600: turns that are never claimed keep others waiting",
        );
        must(self.metrics_listen != Some(self.listen), "metrics_listen must be another address or port than listen");
        must(self.top_up_min >= 1, "top_up_min must be at least 1");
        must(self.top_up_min <= self.top_up_max, "top_up_min must not be more than top_up_max");
        must(self.top_up_max <= self.balance_max, "top_up_max must not be more than balance_max");
        must(self.balance_max <= Money::MAX.get(), "balance_max must be at most 1000000000000");
        must(
            self.body_timeout_seconds <= self.request_timeout_seconds,
            "body_timeout_seconds must not be more than request_timeout_seconds",
        );
        must(
            self.service_key.as_ref().is_none_or(|key| key.expose().chars().count() >= SERVICE_KEY_LEN_MIN),
            "service_key must have at least 32 characters",
        );
        must(
            self.service_key.is_none() || self.service_key_file.is_none(),
            "service_key and service_key_file are both set: keep one",
        );
        wrong.extend(self.mistakes_of_times().into_iter().map(str::to_owned));
        wrong.extend(self.servers.mistakes());
        wrong.extend(self.join_mistakes());
        if let Err(error) = tracing_subscriber::EnvFilter::try_new(&self.log) {
            wrong.push(format!("log is not a filter: {error}"));
        }
        if wrong.is_empty() { Ok(()) } else { Err(Invalid(wrong)) }
    }

    /// Times of holds, turns and tokens that clients could not keep, or that contradict each other.
    fn mistakes_of_times(&self) -> Vec<&'static str> {
        let mut wrong = Vec::new();
        let mut must = |holds: bool, what: &'static str| {
            if !holds {
                wrong.push(what);
            }
        };
        must(
            self.dormant_limit_seconds >= self.dormant_after_seconds,
            "dormant_limit_seconds must not be less than dormant_after_seconds",
        );
        must(
            self.hold_seconds >= HUMAN_MIN_SECONDS,
            "hold_seconds must be at least 10: a person could not pay for a seat before its hold ends",
        );
        must(
            (CLAIM_WINDOW_MIN_SECONDS..=CLAIM_WINDOW_MAX_SECONDS).contains(&self.claim_window_seconds),
            "claim_window_seconds must be from 20, in which a person can see a turn and take it, and a stream shows that its \
             client is there, to 3600: unclaimed turns keep others waiting that long",
        );
        must(
            self.recall_window_seconds >= RECALL_MIN_SECONDS,
            "recall_window_seconds must be at least 60: a buyer who missed a turn by a moment could not recall it",
        );
        must(
            self.dormant_after_seconds >= SILENCE_MIN_SECONDS,
            "dormant_after_seconds must be at least 40: clients in line are told to ask up to 36 seconds apart, and \
             would be passed over between two polls",
        );
        must(
            self.idle_seconds >= SILENCE_MIN_SECONDS,
            "idle_seconds must be at least 40: active clients are told to ask up to 36 seconds apart, and their turns \
             would end between two polls",
        );
        must(
            self.active_limit_seconds >= self.hold_seconds,
            "active_limit_seconds must not be less than hold_seconds: a turn must last as long as one hold",
        );
        must(self.idle_seconds <= self.active_limit_seconds, "idle_seconds must not be more than active_limit_seconds");
        must(
            seconds(self.offer_lead_seconds) <= OFFER_LEAD_MAX,
            "offer_lead_seconds must be at most 60: a turn must not run out before the sale opens",
        );
        must(
            self.offer_lead_seconds < self.claim_window_seconds.min(self.idle_seconds),
            "offer_lead_seconds must be less than claim_window_seconds and idle_seconds",
        );
        wrong
    }
}

/// Invalid settings, a sentence for each mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid(pub Vec<String>);

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the settings cannot be used:")?;
        self.0.iter().try_for_each(|wrong| write!(f, "\n  {wrong}"))
    }
}

impl std::error::Error for Invalid {}

#[cfg(test)]
mod tests {
    use super::SILENCE_MIN_SECONDS;
    use frontrow_line::view::POLL_GIVEN_MS;

    #[test]
    fn no_client_that_asks_when_it_is_told_to_counts_as_gone() {
        assert!(i64::from(SILENCE_MIN_SECONDS) * 1_000 > *POLL_GIVEN_MS.end());
    }
}
