//! Errors as clients see them: `application/problem+json` (RFC 9457) with a stable code.

pub mod codes;

use crate::edge::observe;
use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use codes::{Definition, RetryAfter};
use frontrow_domain::{command::Replay, refusal::Refusal, text::InvalidField, time::Time};
use frontrow_service::{EngineError, office::ServiceError};
use frontrow_storage::StoreError;
use serde::Serialize;
use std::{
    borrow::Cow,
    future::{Ready, ready},
};

pub use codes::ALL;

/// The result of a handler.
pub type HttpResult<T> = Result<T, Problem>;

/// The media type of every error.
pub const MEDIA_TYPE: &str = "application/problem+json";
/// The longest `Retry-After`, in seconds: what the client waits for may come sooner.
pub const RETRY_AFTER_MAX_SECONDS: u64 = 3_600;

/// An error on its way to the client.
///
/// Its request id and its `Retry-After` are filled in when it becomes a response.
#[derive(Debug)]
pub struct Problem(Box<Inner>);

#[derive(Debug)]
struct Inner {
    definition: &'static Definition,
    status: StatusCode,
    detail: Option<Cow<'static, str>>,
    field: Option<Cow<'static, str>>,
    refusal: Option<Refusal>,
    retry: Retry,
    replay: Replay,
    /// For the log only.
    cause: Option<String>,
}

#[derive(Debug, Clone, Copy)]
enum Retry {
    Never,
    AfterSeconds(u64),
    At(Time),
}

impl Problem {
    /// A problem of this kind; its detail is the kind's explanation unless [`Problem::detail`] sets one.
    #[must_use]
    pub fn new(definition: &'static Definition) -> Self {
        let retry = match definition.retry {
            RetryAfter::Never | RetryAfter::Moment => Retry::Never,
            RetryAfter::Seconds(seconds) => Retry::AfterSeconds(seconds),
        };
        Self(Box::new(Inner {
            definition,
            status: StatusCode::from_u16(definition.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            detail: None,
            field: None,
            refusal: None,
            retry,
            replay: Replay::Fresh,
            cause: None,
        }))
    }

    /// Sets what is wrong in this case. Clients read it: no secrets, no internals.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.0.detail = Some(detail.into());
        self
    }

    /// Names the field, parameter or header at fault.
    #[must_use]
    pub fn field(mut self, field: impl Into<Cow<'static, str>>) -> Self {
        self.0.field = Some(field.into());
        self
    }

    /// Sets the seconds after which the client may retry.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.0.retry = Retry::AfterSeconds(seconds);
        self
    }

    /// Answers with another status than the kind's own.
    #[must_use]
    pub fn status(mut self, status: StatusCode) -> Self {
        self.0.status = status;
        self
    }

    /// Stores the cause for the log.
    #[must_use]
    pub fn cause(mut self, cause: impl std::fmt::Display) -> Self {
        self.0.cause = Some(cause.to_string());
        self
    }

    /// 500. The cause goes to the log with the request id, never to the client.
    #[must_use]
    pub fn internal(cause: impl std::fmt::Display) -> Self {
        Self::new(&codes::INTERNAL).cause(cause)
    }

    /// 400: a path or query parameter or a header has an invalid value.
    #[must_use]
    pub fn invalid_parameter(field: impl Into<Cow<'static, str>>, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(&codes::INVALID_FIELD).status(StatusCode::BAD_REQUEST).field(field).detail(detail)
    }

    /// 422: a field of the body has an invalid value.
    #[must_use]
    pub fn invalid_field(field: impl Into<Cow<'static, str>>, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(&codes::INVALID_FIELD).field(field).detail(detail)
    }

    /// 401 with `WWW-Authenticate: Bearer`.
    #[must_use]
    pub fn unauthorized() -> Self {
        Self::new(&codes::UNAUTHORIZED)
    }

    /// 503: a queue inside the server is full; nothing was done.
    #[must_use]
    pub fn overloaded() -> Self {
        Self::new(&codes::OVERLOADED)
    }

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.0.definition.code
    }

    /// What a rule refused, if it is that.
    #[must_use]
    pub fn refusal(&self) -> Option<&Refusal> {
        self.0.refusal.as_ref()
    }

    /// The problem as JSON, for the request with this id.
    pub(crate) fn to_json(&self, request_id: Option<&str>) -> Vec<u8> {
        let inner = &*self.0;
        let detail = match (&inner.detail, &inner.refusal) {
            (Some(detail), _) => Cow::Borrowed(&**detail),
            (None, Some(refusal)) => Cow::Owned(refusal.to_string()),
            (None, None) => Cow::Borrowed(inner.definition.explanation),
        };
        let wire = Wire {
            kind: ProblemType(inner.definition.code),
            title: inner.definition.title,
            status: inner.status.as_u16(),
            detail: &detail,
            request_id,
            field: inner.field.as_deref(),
            members: match &inner.refusal {
                Some(refusal) => Members::Refusal(refusal),
                None => Members::Code { code: inner.definition.code },
            },
        };
        serde_json::to_vec(&wire).unwrap_or_default()
    }
}

/// The serialized form. A refusal brings its own `code` and data.
#[derive(Serialize)]
struct Wire<'a> {
    #[serde(rename = "type")]
    kind: ProblemType,
    title: &'static str,
    status: u16,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
    #[serde(flatten)]
    members: Members<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Members<'a> {
    Refusal(&'a Refusal),
    Code { code: &'static str },
}

struct ProblemType(&'static str);

impl Serialize for ProblemType {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("/problems/{}", self.0))
    }
}

/// Marks a response with the code of its problem, for the metrics.
#[derive(Debug, Clone, Copy)]
pub struct ProblemCode(pub &'static str);

/// Marks a response with its cause, for the log.
#[derive(Debug, Clone)]
pub(crate) struct ProblemCause(pub(crate) String);

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let id = observe::request_id();
        let id = id.as_ref().map(observe::RequestId::as_str);
        if let Some(cause) = &self.0.cause {
            if self.0.status == StatusCode::INTERNAL_SERVER_ERROR {
                tracing::error!(request.id = id, code = self.code(), cause, "request failed");
            } else {
                tracing::debug!(request.id = id, code = self.code(), cause, "request failed");
            }
        }
        let mut response = Response::new(Body::from(self.to_json(id)));
        *response.status_mut() = self.0.status;
        response.extensions_mut().insert(ProblemCode(self.code()));
        if let Some(cause) = self.0.cause {
            response.extensions_mut().insert(ProblemCause(cause));
        }
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        if self.0.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if self.0.replay == Replay::Replayed {
            headers.insert("idempotent-replayed", HeaderValue::from_static("true"));
        }
        let seconds = match self.0.retry {
            Retry::Never => None,
            Retry::AfterSeconds(seconds) => Some(seconds),
            // Rounded up: a client that comes a moment early would be refused again.
            Retry::At(at) => observe::now().map(|now| seconds_until(at, now)),
        };
        if let Some(seconds) = seconds {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds.clamp(1, RETRY_AFTER_MAX_SECONDS)));
        }
        response
    }
}

fn seconds_until(at: Time, now: Time) -> u64 {
    u64::try_from(at.since(now).micros()).unwrap_or(0).div_ceil(1_000_000)
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let (definition, moment) = codes::of(&refusal);
        let mut problem = Self::new(definition);
        if let Some(at) = moment {
            problem.0.retry = Retry::At(at);
        }
        problem.0.refusal = Some(refusal);
        problem
    }
}

impl From<ServiceError> for Problem {
    fn from(stop: ServiceError) -> Self {
        match stop {
            ServiceError::Refused(refusal) => refusal.into(),
            ServiceError::RefusedBefore(refusal) => {
                let mut problem = Self::from(refusal);
                problem.0.replay = Replay::Replayed;
                // The same key gets the same answer, however long its client waits.
                problem.0.retry = Retry::Never;
                problem
            }
            ServiceError::EngineError(EngineError::Overloaded) => Self::overloaded(),
            ServiceError::EngineError(EngineError::Unavailable) => Self::new(&codes::UNAVAILABLE),
            ServiceError::EngineError(EngineError::OutcomeUnknown) => Self::new(&codes::OUTCOME_UNKNOWN),
            ServiceError::EngineError(EngineError::Internal) => Self::internal("the command could not be saved"),
            ServiceError::Store(error) => error.into(),
            ServiceError::Queue(error) => StoreError::Unavailable(error.to_string()).into(),
            ServiceError::Unauthorized => Self::unauthorized(),
            ServiceError::WrongCredentials => {
                Self::unauthorized().detail("The e-mail address or the password is wrong.")
            }
            ServiceError::WrongPassword => Self::new(&codes::WRONG_PASSWORD),
            ServiceError::DemoAccount => Self::new(&codes::DEMO_ACCOUNT),
            ServiceError::TooManySignIns => Self::overloaded().retry_after(5),
            ServiceError::Internal(cause) => Self::internal(cause),
        }
    }
}

impl From<InvalidField> for Problem {
    fn from(bad: InvalidField) -> Self {
        let detail = bad.to_string();
        Self::invalid_field(bad.field, detail)
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let definition = match &error {
            // A damaged database is unavailable until an operator repairs it, and nothing was done.
            StoreError::Unavailable(_) | StoreError::Corrupt(_) | StoreError::Misfit(_) => &codes::UNAVAILABLE,
            StoreError::Contended(_) => &codes::OVERLOADED,
            StoreError::Unknown(_) => &codes::OUTCOME_UNKNOWN,
            StoreError::Conflict(_) => &codes::INTERNAL,
        };
        Self::new(definition).cause(error)
    }
}

/// Answers paths without a route.
pub fn not_found() -> Ready<Problem> {
    ready(Problem::new(&codes::NOT_FOUND).detail("There is nothing at this path."))
}

/// Answers methods that a path does not have.
pub fn method_not_allowed() -> Ready<Problem> {
    ready(Problem::new(&codes::METHOD_NOT_ALLOWED))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::{Problem, codes, seconds_until};
    use frontrow_domain::{id::SeatId, money::Money, refusal::Refusal, time::Time};
    use serde_json::{Value, json};

    pub(crate) fn refusals() -> Vec<(u16, Refusal)> {
        let (seat_id, at, max) = (SeatId::new(7), Time::from_micros(1_700_000_000_000_000), Money::new(9));
        vec![
            (404, Refusal::NotFound { what: frontrow_domain::refusal::EntityKind::Seat }),
            (403, Refusal::Forbidden),
            (409, Refusal::EmailTaken),
            (403, Refusal::AccountLocked),
            (409, Refusal::AccountChanged),
            (403, Refusal::OperatorAccount),
            (403, Refusal::ResetLinkInvalid),
            (403, Refusal::ConfirmationLinkInvalid),
            (409, Refusal::BalanceLeft { balance: Money::new(1) }),
            (409, Refusal::TicketsLeft { reservation_id: frontrow_domain::id::ReservationId::new(3) }),
            (409, Refusal::DebtLeft { debt_id: frontrow_domain::id::DebtId::new(3), amount: Money::new(1) }),
            (403, Refusal::TokenInvalid),
            (403, Refusal::TokenOfAnotherRoom),
            (403, Refusal::TokenWaiting),
            (409, Refusal::TurnNotYet),
            (403, Refusal::TokenNotActivated),
            (403, Refusal::TokenMissed),
            (403, Refusal::TokenEnded),
            (403, Refusal::TurnTimeOver { until: at }),
            (403, Refusal::TooManyHolds { limit: 20 }),
            (409, Refusal::SeatCoolingDown { seat_id, until: at }),
            (409, Refusal::SaleNotOpen { opens_at: at }),
            (409, Refusal::SaleOpened { opened_at: at }),
            (409, Refusal::SaleClosed),
            (409, Refusal::ConcertPostponed),
            (409, Refusal::ConcertCancelled),
            (409, Refusal::ConcertNotCancelled),
            (409, Refusal::NoSeats),
            (409, Refusal::NoOpening),
            (409, Refusal::SeatHeld { seat_id, held_until: at, holder: None }),
            (
                409,
                Refusal::SeatHeldByYou {
                    seat_id,
                    reservation_id: frontrow_domain::id::ReservationId::new(3),
                    held_until: at,
                },
            ),
            (409, Refusal::SeatSold { seat_id }),
            (409, Refusal::SeatBlocked { seat_id }),
            (409, Refusal::TooManySeats { limit: 4 }),
            (422, Refusal::SeveralConcerts),
            (409, Refusal::HoldExpired { expired_at: at }),
            (409, Refusal::ReservationNotPending),
            (402, Refusal::InsufficientPoints { balance: Money::new(1), price: Money::new(2) }),
            (409, Refusal::AlreadyRefunded),
            (409, Refusal::RefundTooLate { until: at }),
            (403, Refusal::TopUpNotAllowed),
            (422, Refusal::AmountOutOfBounds { min: Money::new(1), max }),
            (409, Refusal::BalanceTooLarge { max }),
            (409, Refusal::BalanceTooLow { balance: Money::new(1), amount: Money::new(2) }),
            (409, Refusal::DebtSettled),
            (409, Refusal::ReferenceUsed),
            (422, Refusal::IdempotencyKeyReused),
            (
                409,
                Refusal::SeatNumberTaken { section: "Floor".to_owned(), row: "A".to_owned(), number: "3".to_owned() },
            ),
            (409, Refusal::SeatHasHistory { seat_id }),
            (409, Refusal::SeatInUse { seat_id }),
            (422, Refusal::Malformed { reason: "no".to_owned() }),
        ]
    }

    #[test]
    fn every_refusal_keeps_its_code_and_has_its_status() {
        for (status, refusal) in refusals() {
            let problem = Problem::from(refusal.clone());
            assert_eq!(problem.code(), refusal.code());
            let body: Value = serde_json::from_slice(&problem.to_json(Some("r-1"))).unwrap();
            assert_eq!(body["status"], status, "{body}");
            assert_eq!(body["code"], refusal.code());
            assert_eq!(body["detail"], refusal.to_string());
            assert_eq!(body["request_id"], "r-1");
        }
    }

    #[test]
    fn a_refusal_lifts_its_data_into_the_problem() {
        let refusal = Refusal::InsufficientPoints { balance: Money::new(1_000), price: Money::new(120_000) };
        let body: Value = serde_json::from_slice(&Problem::from(refusal).to_json(None)).unwrap();
        assert_eq!(
            body,
            json!({
                "type": "/problems/insufficient_points",
                "title": "The balance is too low",
                "status": 402,
                "code": "insufficient_points",
                "detail": "The price is 120000 and the balance is 1000.",
                "balance": 1_000,
                "price": 120_000,
            })
        );
    }

    #[test]
    fn codes_are_unique_and_found() {
        for definition in codes::ALL {
            assert_eq!(codes::find(definition.code), Some(*definition), "{}", definition.code);
        }
        assert_eq!(codes::find("no_such_code"), None);
    }

    #[test]
    fn a_part_of_a_second_counts_as_a_whole_one() {
        let at = |micros| Time::from_micros(micros);
        assert_eq!(seconds_until(at(2_000_001), at(1_000_000)), 2);
        assert_eq!(seconds_until(at(2_000_000), at(1_000_000)), 1);
        assert_eq!(seconds_until(at(1), at(1_000_000)), 0);
    }
}
