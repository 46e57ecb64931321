//! A check of new places by a program of the shop's own: it is asked by HTTP, within bounds of time, size and number.

use super::breaker::Breaker;
use crate::edge::{
    limit::wide_network_of,
    observe,
    outbound::{Outbound, OutboundError, OutboundUrl},
    secret::Secret,
};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use bytes::Bytes;
use frontrow_domain::{
    id::{RoomId, UserId},
    time::Time,
};
use frontrow_service::metrics::{CheckOutcome, Metrics};
use frontrow_storage::trouble::Trouble;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::{
    fmt::Write as _,
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::Semaphore;

/// How many joins wait for the checker at once. Each further one is decided without it.
const ASKING_MAX: usize = 64;
/// The largest answer, in bytes.
const ANSWER_LEN_MAX: usize = 4_096;
/// How much of a client's name for itself is passed on, in characters.
const AGENT_LEN_MAX: usize = 256;
/// How much of a reason is logged, in characters.
const REASON_LEN_MAX: usize = 200;
/// Carries the HMAC-SHA-256 of the body, in hexadecimal behind `sha256=`.
const SIGNATURE: HeaderName = HeaderName::from_static("frontrow-signature");

/// What becomes of a join that the checker does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckFails {
    /// It goes on.
    Open,
    /// It is refused for now.
    Closed,
}

/// The settings of the check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckSettings {
    /// The program that is asked.
    pub url: OutboundUrl,
    /// How long it may take.
    pub timeout: Duration,
    /// What becomes of a join without its answer.
    pub fails: CheckFails,
    /// The key of the signature; none for no signature.
    pub secret: Option<Secret>,
}

/// Asks the checker.
#[derive(Debug)]
pub(super) struct OutsideCheck {
    settings: CheckSettings,
    client: Outbound,
    asking: Semaphore,
    breaker: Breaker,
    trouble: Trouble,
    metrics: Arc<Metrics>,
}

/// What the checker is told about a join.
#[derive(Debug, Serialize)]
pub(super) struct CheckQuestion<'a> {
    room: RoomId,
    /// Stands for the account, and does not reveal it.
    account: String,
    /// An IPv4 /24 or an IPv6 /48.
    network: String,
    user_agent: Option<&'a str>,
    time: Time,
    request_id: Option<String>,
    /// What the client sent for the checker.
    proof: Option<&'a str>,
}

impl<'a> CheckQuestion<'a> {
    pub(super) fn new(
        (room, user, client): (RoomId, UserId, IpAddr),
        user_agent: Option<&'a str>,
        proof: Option<&'a str>,
        time: Time,
    ) -> Self {
        let user_agent = user_agent.map(|agent| match agent.char_indices().nth(AGENT_LEN_MAX) {
            Some((end, _)) => agent.get(..end).unwrap_or_default(),
            None => agent,
        });
        let account = hex(&Sha256::digest(format!("frontrow account {}", user.0)));
        let request_id = observe::request_id().map(|id| id.as_str().to_owned());
        Self { room, account, network: wide_network_of(client), user_agent, time, request_id, proof }
    }
}

#[derive(Debug, Deserialize)]
struct CheckAnswer {
    decision: CheckDecision,
    #[serde(default)]
    reason: Option<String>,
}

/// What the checker decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum CheckDecision {
    /// The place is given.
    Allow,
    /// It is not.
    Deny,
    /// It asks for work.
    Challenge,
}

/// Why there is no answer of the checker.
#[derive(Debug, thiserror::Error)]
enum CheckFault {
    #[error("{ASKING_MAX} joins wait for it already")]
    Crowded,
    #[error("it did not answer before, and is tried again within seconds")]
    Rests,
    #[error(transparent)]
    NoAnswer(#[from] OutboundError),
    #[error("it answered {0}")]
    Status(StatusCode),
    #[error("its answer cannot be read: {0}")]
    Malformed(serde_json::Error),
}

impl CheckFault {
    const fn outcome(&self) -> CheckOutcome {
        match self {
            Self::Crowded => CheckOutcome::Crowded,
            Self::Rests => CheckOutcome::Resting,
            Self::NoAnswer(OutboundError::TimedOut(_)) => CheckOutcome::TimedOut,
            Self::NoAnswer(OutboundError::Failed(_)) => CheckOutcome::Failed,
            Self::NoAnswer(OutboundError::TooLarge(_)) | Self::Status(_) | Self::Malformed(_) => {
                CheckOutcome::Malformed
            }
        }
    }
}

impl OutsideCheck {
    pub(super) fn new(settings: CheckSettings, metrics: Arc<Metrics>) -> anyhow::Result<Self> {
        let trouble = Trouble::new(match settings.fails {
            CheckFails::Open => "the checker of joins (join_check_url) gives no answer: joins go on without it",
            CheckFails::Closed => "the checker of joins (join_check_url) gives no answer: new places are refused",
        });
        Ok(Self {
            settings,
            client: Outbound::new()?,
            asking: Semaphore::new(ASKING_MAX),
            breaker: Breaker::default(),
            trouble,
            metrics,
        })
    }

    /// Whether the checker is left alone, since it does not answer.
    pub(super) fn rests(&self) -> bool {
        self.breaker.rests()
    }

    /// The address, and what becomes of joins without an answer.
    pub(super) const fn settings(&self) -> &CheckSettings {
        &self.settings
    }

    /// What the checker decides; none if there is no answer and joins are refused then.
    pub(super) async fn ask(&self, question: &CheckQuestion<'_>) -> Option<CheckDecision> {
        match self.answer(question).await {
            Ok(CheckAnswer { decision, reason }) => {
                self.trouble.is_over();
                let outcome = match decision {
                    CheckDecision::Allow => CheckOutcome::Allowed,
                    CheckDecision::Deny => CheckOutcome::Denied,
                    CheckDecision::Challenge => CheckOutcome::Challenged,
                };
                self.metrics.join_check(outcome);
                if let Some(reason) = reason.filter(|_| decision != CheckDecision::Allow) {
                    let reason: String =
                        reason.chars().filter(|char| !char.is_control()).take(REASON_LEN_MAX).collect();
                    tracing::info!(
                        request.id = question.request_id,
                        ?decision,
                        reason,
                        "the checker of joins says why"
                    );
                }
                Some(decision)
            }
            Err(fault) => {
                self.metrics.join_check(fault.outcome());
                self.trouble.came(&fault);
                match self.settings.fails {
                    CheckFails::Open => Some(CheckDecision::Allow),
                    CheckFails::Closed => None,
                }
            }
        }
    }

    async fn answer(&self, question: &CheckQuestion<'_>) -> Result<CheckAnswer, CheckFault> {
        let _place = self.asking.try_acquire().map_err(|_| CheckFault::Crowded)?;
        let asked = self.breaker.begin(Instant::now()).ok_or(CheckFault::Rests)?;
        let answer = self.post(question).await;
        match answer {
            Ok(_) => asked.answered(),
            Err(_) => asked.failed(Instant::now()),
        }
        answer
    }

    async fn post(&self, question: &CheckQuestion<'_>) -> Result<CheckAnswer, CheckFault> {
        let CheckSettings { url, timeout, secret, .. } = &self.settings;
        let body = serde_json::to_vec(question).map_err(CheckFault::Malformed)?;
        let signature = secret.as_ref().and_then(|secret| signature_of(secret, &body));
        let headers = signature.map(|signature| (SIGNATURE, signature)).into_iter().collect();
        let (status, answer) = self.client.post(url, headers, Bytes::from(body), *timeout, ANSWER_LEN_MAX).await?;
        if status != StatusCode::OK {
            return Err(CheckFault::Status(status));
        }
        serde_json::from_slice(&answer).map_err(CheckFault::Malformed)
    }
}

fn signature_of(secret: &Secret, body: &[u8]) -> Option<HeaderValue> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()).ok()?;
    mac.update(body);
    HeaderValue::try_from(format!("sha256={}", hex(&mac.finalize().into_bytes()))).ok()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a text never fails.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
