//! The settings of the scratch box office.

use crate::config::{Config, Servers, TopUpPolicyName, WorkPolicyName};
use frontrow_domain::money::Money;
use frontrow_service::rehearsal::plan::PlannedRules;
use std::{
    net::{Ipv4Addr, SocketAddr},
    path::Path,
};

/// The settings of the scratch box office: the rules of the plan, a file, this machine's own address, no other server,
/// and none of the limits that one address has, since the whole crowd has the same.
pub(super) fn of_scratch(config: &Config, folder: &Path, rules: &PlannedRules) -> Config {
    let mut scratch = Config {
        config_file: None,
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        metrics_listen: None,
        data: folder.to_owned(),
        key_file: None,
        theme: None,
        demo: false,
        servers: Servers {
            database_url: None,
            database_ca_file: None,
            database_replica_url: None,
            redis_url: None,
            redis_ca_file: None,
            ..config.servers.clone()
        },
        hold_seconds: rules.hold_seconds,
        pay_grace_seconds: rules.pay_grace_seconds,
        max_seats_per_user: rules.max_seats_per_user,
        seat_cooldown_seconds: rules.seat_cooldown_seconds,
        holds_per_turn: rules.holds_per_turn,
        offer_lead_seconds: rules.offer_lead_seconds,
        missed_turns_max: rules.missed_turns_max,
        claim_window_seconds: rules.claim_window_seconds,
        recall_window_seconds: rules.recall_window_seconds,
        dormant_after_seconds: rules.dormant_after_seconds,
        dormant_limit_seconds: rules.dormant_limit_seconds,
        idle_seconds: rules.idle_seconds,
        active_limit_seconds: rules.active_limit_seconds,
        top_up_policy: Some(TopUpPolicyName::Operator),
        top_up_min: 1,
        top_up_max: Money::MAX.get(),
        balance_max: Money::MAX.get(),
        service_key: None,
        service_key_file: None,
        trusted_proxies: Vec::new(),
        allowed_origins: Vec::new(),
        public_url: None,
        turn_url: None,
        max_connections_per_address: 0,
        otlp_endpoint: None,
        settings: Vec::new(),
        ..config.clone()
    };
    scratch.rates.reads_per_second_per_address = 1_000_000;
    scratch.rates.joins_per_address = 0;
    scratch.rates.joins_per_network = 0;
    scratch.joins.proof_of_work = WorkPolicyName::Off;
    scratch.joins.join_check_url = None;
    scratch.joins.join_check_secret = None;
    scratch
}
