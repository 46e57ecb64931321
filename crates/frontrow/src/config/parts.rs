//! The settings of the parts: each gets a struct of its own, made from [`Config`].

use super::{Config, OpeningOrderName, SERVICE_KEY_LEN_MIN, TopUpPolicyName, load};
use frontrow_domain::{
    line::{BeaconWait, OpeningOrder},
    money::Money,
    policy::{Policy, TopUpPolicy},
    time::Span,
};
use frontrow_draw::Chain;
use frontrow_service::workers::Retention;
use frontrow_web::edge::{events, listener, secret::Secret};
use std::{path::PathBuf, time::Duration};

pub(super) fn seconds(seconds: u32) -> Span {
    Span::from_secs(i64::from(seconds))
}

impl Config {
    /// The settings that the rules read.
    #[must_use]
    pub fn policy(&self) -> Policy {
        Policy {
            hold: seconds(self.hold_seconds),
            pay_grace: seconds(self.pay_grace_seconds),
            max_seats_per_user: self.max_seats_per_user,
            holds_per_turn: self.holds_per_turn,
            seat_cooldown: seconds(self.seat_cooldown_seconds),
            offer_lead: seconds(self.offer_lead_seconds),
            opening: match self.opening_order {
                OpeningOrderName::Draw => OpeningOrder::Draw,
                OpeningOrderName::FirstCome => OpeningOrder::FirstCome,
            },
            missed_turns_max: self.missed_turns_max,
            claim_window: seconds(self.claim_window_seconds),
            recall_window: seconds(self.recall_window_seconds),
            dormant_after: seconds(self.dormant_after_seconds),
            dormant_limit: seconds(self.dormant_limit_seconds),
            idle_limit: seconds(self.idle_seconds),
            active_limit: seconds(self.active_limit_seconds),
            outage_grace: seconds(self.outage_grace_seconds),
            refund_cutoff: Span::from_secs(i64::from(self.refund_cutoff_hours).saturating_mul(3_600)),
            top_up_policy: self.effective_top_up_policy(),
            top_up_min: Money::new(self.top_up_min),
            top_up_max: Money::new(self.top_up_max),
            balance_max: Money::new(self.balance_max),
        }
    }

    /// How a draw that begins now waits for its beacon.
    #[must_use]
    pub fn beacon(&self) -> BeaconWait {
        BeaconWait { chain: Chain::quicknet(), patience: seconds(self.draw_waits_seconds) }
    }

    /// The limits of connections.
    #[must_use]
    pub fn listener_limits(&self) -> listener::Limits {
        let seconds = |seconds: u32| Duration::from_secs(u64::from(seconds));
        listener::Limits {
            max_connections: usize::try_from(self.max_connections).unwrap_or(usize::MAX),
            max_per_address: usize::try_from(self.max_connections_per_address).ok().filter(|most| *most > 0),
            trusted_proxies: self.trusted_proxies.clone(),
            header_timeout: seconds(self.header_timeout_seconds),
            body_timeout: self.body_timeout(),
            idle_timeout: seconds(self.idle_connection_seconds),
            event_timeout: events::EVENT_TIMEOUT,
            drain: seconds(self.drain_seconds),
        }
    }

    /// The limits of streams of events.
    #[must_use]
    pub fn stream_limits(&self) -> events::StreamLimits {
        events::StreamLimits {
            max_streams: usize::try_from(self.max_streams).unwrap_or(usize::MAX),
            max_per_address: usize::try_from(self.max_streams_per_address).ok().filter(|most| *most > 0),
            keep_alive: events::KEEP_ALIVE,
        }
    }

    /// How long rows are stored after their end.
    #[must_use]
    pub fn retention(&self) -> Retention {
        let days = |days: u32| Span::from_secs(i64::from(days).saturating_mul(86_400));
        let unless_for_ever = |kept: u32| (kept > 0).then(|| days(kept));
        Retention {
            answers: days(self.keep_answers_days),
            tokens: unless_for_ever(self.keep_tokens_days),
            reservations: unless_for_ever(self.keep_reservations_days),
            idle_accounts: unless_for_ever(self.keep_idle_accounts_days),
        }
    }

    /// The top-up policy: the setting, or the demo's, or operators only.
    #[must_use]
    pub fn effective_top_up_policy(&self) -> TopUpPolicy {
        match self.top_up_policy {
            Some(TopUpPolicyName::Open) => TopUpPolicy::Open,
            None if self.demo => TopUpPolicy::Open,
            Some(TopUpPolicyName::Operator) | None => TopUpPolicy::Operator,
        }
    }

    /// The file of the keys that tokens are signed with.
    #[must_use]
    pub fn key_path(&self) -> PathBuf {
        self.key_file.clone().unwrap_or_else(|| self.data.join("keys.toml"))
    }

    /// How long the body of a request may take.
    #[must_use]
    pub fn body_timeout(&self) -> Duration {
        Duration::from_secs(u64::from(self.body_timeout_seconds))
    }

    /// How long a request may take.
    #[must_use]
    pub fn request_timeout(&self) -> Duration {
        Duration::from_secs(u64::from(self.request_timeout_seconds))
    }

    /// How many bytes the bodies of requests in progress may take.
    #[must_use]
    pub fn bodies_in_flight(&self) -> usize {
        usize::try_from(self.bodies_in_flight_mib).unwrap_or(usize::MAX).saturating_mul(1_024 * 1_024)
    }

    /// The service key, given directly or in a file; none if no program may top up.
    ///
    /// # Errors
    /// The file cannot be read, or the key is too short.
    pub fn load_service_key(&self) -> anyhow::Result<Option<Secret>> {
        let key = match (&self.service_key, &self.service_key_file) {
            (Some(key), _) => key.clone(),
            (None, Some(file)) => {
                let text = std::fs::read_to_string(file)
                    .map_err(|error| anyhow::anyhow!("service_key_file {}: {error}", file.display()))?;
                Secret::from(text.lines().next().unwrap_or_default().trim().to_owned())
            }
            (None, None) => return Ok(None),
        };
        if key.expose().chars().count() < SERVICE_KEY_LEN_MIN {
            anyhow::bail!("the service key is too short: it must have at least {SERVICE_KEY_LEN_MIN} characters");
        }
        Ok(Some(key))
    }

    /// Every setting with its value and origin, as a table; secrets are masked.
    #[must_use]
    pub fn describe(&self) -> String {
        load::table(&self.settings)
    }
}
