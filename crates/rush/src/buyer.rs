//! One buyer, from the line to the seat: a person who waits, looks, is too late, tries again, pays, or thinks better.

use crate::{
    api::{Payment, QueuePosition, QueueToken, Reservation, SeatMap, Session, micros_between, one_or_many},
    client::{ConnectionChoice, HttpResponse},
    clock::At,
    ending::VisitEnding,
    history::{Asked, Effect, Ended, PlaceSeen, Stood},
    options::SaleOptions,
    retry::{Ask, Copies, Desk, RequestReply, code},
};
use rand::{RngExt, rngs::StdRng};
use serde_json::json;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::time::{Instant, sleep_until};

/// How long a buyer with a turn is silent at most: less than half of the time after which a turn ends for silence.
const SIGN_OF_LIFE: Duration = Duration::from_secs(30);
/// How often a buyer whose token ended in line joins again.
const ENDS_MAX: u32 = 2;

/// An account that a buyer uses.
#[derive(Debug, Clone)]
pub(crate) struct Login {
    pub(crate) email: String,
    pub(crate) password: String,
    pub(crate) user_id: String,
    /// The session's secret, once signed in.
    pub(crate) session: Option<String>,
    /// The version of the point history and the balance before the run.
    pub(crate) before: (i64, i64),
}

/// The context shared by all buyers of a sale.
#[derive(Debug)]
pub(crate) struct SaleContext {
    /// The client for requests.
    pub(crate) desk: Desk,
    pub(crate) options: SaleOptions,
    pub(crate) concert_id: i64,
    /// Whether no seat is left, as last seen.
    pub(crate) sold_out: AtomicBool,
    /// How many buyers have come.
    pub(crate) arrived: AtomicU64,
    /// How many are done.
    pub(crate) done: AtomicU64,
    /// Seats left to lapse.
    pub(crate) lapses_begun: AtomicU64,
}

#[derive(Debug)]
pub(crate) struct Buyer {
    /// Their number in the crowd.
    pub(crate) index: usize,
    pub(crate) login: Login,
    /// The token they had last.
    pub(crate) token: Option<String>,
    sale: Arc<SaleContext>,
    rng: StdRng,
    due: Instant,
    visits: u32,
}

/// A step that may end the visit.
type VisitStep<T> = Result<T, VisitEnding>;

impl Buyer {
    /// A buyer whose choices come from `rng`.
    pub(crate) fn new(index: usize, login: Login, sale: Arc<SaleContext>, rng: StdRng) -> Self {
        Self { index, login, token: None, sale, rng, due: Instant::now(), visits: 0 }
    }

    /// Comes at `arrival`, and again as long as there is reason to.
    pub(crate) async fn run(mut self, arrival: Instant) -> (Self, VisitEnding) {
        self.due = arrival;
        if self.until_due().await.is_err() {
            return (self, VisitEnding::TimeUp);
        }
        self.sale.arrived.fetch_add(1, Ordering::Relaxed);
        let ending = loop {
            let ending = self.visit().await.unwrap_or_else(|ending| ending);
            self.visits += 1;
            if !self.comes_back(ending) || self.rest(Duration::from_secs(1)).await.is_err() {
                break ending;
            }
        };
        self.sale.done.fetch_add(1, Ordering::Relaxed);
        (self, ending)
    }

    fn comes_back(&self, ending: VisitEnding) -> bool {
        let wants_more = matches!(
            ending,
            VisitEnding::Refunded
                | VisitEnding::Lapsed
                | VisitEnding::NoSeat
                | VisitEnding::TokenLost
                | VisitEnding::NoAnswer
        );
        let sold_out = self.sale.sold_out.load(Ordering::Relaxed);
        // A refund frees a seat in a sale that looked sold out: its buyer knows of it.
        self.sale.options.sold_out && wants_more && (!sold_out || ending == VisitEnding::Refunded)
    }

    /// Draws what the buyer does on a first visit; later visits are in earnest, so that a sale can sell out.
    fn fancies(&mut self, share: f64) -> bool {
        Desk::chance(&mut self.rng, share) && self.visits == 0
    }

    async fn visit(&mut self) -> VisitStep<VisitEnding> {
        self.sign_in().await?;
        let began = self.due;
        let (abandon, lapse, cancel, refund) = {
            let shares = &self.sale.options;
            (shares.abandon, shares.lapse, shares.cancel, shares.refund)
        };
        let gives_up = self.fancies(abandon);
        let lapses = self.fancies(lapse);
        let mut cancels = self.fancies(cancel);
        let refunds = self.fancies(refund);
        let mut token = self.join().await?;
        if Desk::chance(&mut self.rng, self.sale.options.duplicate) {
            token = self.join().await?;
        }
        let token = self.wait_for_turn(token, gives_up).await?;
        let waited = Instant::now().saturating_duration_since(began);
        self.sale.desk.meter.waited(self.sale.desk.mono.now(), waited);
        loop {
            let held = match self.take_seats(&token.token).await {
                Ok(held) => held,
                Err(ending @ (VisitEnding::NoSeat | VisitEnding::TooManySeats)) => {
                    self.leave(&token.token).await?;
                    return Ok(ending);
                }
                Err(ending) => return Err(ending),
            };
            if lapses {
                return self.let_lapse(&token.token, &held).await;
            }
            self.think(&token.token).await?;
            if cancels {
                cancels = false;
                for reservation in &held {
                    self.cancel(reservation.reservation_id).await?;
                }
                continue;
            }
            let paid = match self.pay(&token.token, &held).await {
                Ok(paid) => paid,
                Err(VisitEnding::NoPoints) => {
                    self.leave(&token.token).await?;
                    return Ok(VisitEnding::NoPoints);
                }
                Err(ending) => return Err(ending),
            };
            if !refunds {
                return Ok(VisitEnding::Bought);
            }
            self.think(&token.token).await?;
            for payment in &paid {
                self.refund(payment.payment_id).await?;
            }
            return Ok(VisitEnding::Refunded);
        }
    }

    async fn until_due(&self) -> VisitStep<()> {
        if self.due >= self.sale.desk.end {
            sleep_until(self.sale.desk.end).await;
            return Err(VisitEnding::TimeUp);
        }
        sleep_until(self.due).await;
        Ok(())
    }

    /// The next request is meant to be sent `time` after the last answer.
    async fn rest(&mut self, time: Duration) -> VisitStep<()> {
        self.due += time;
        self.until_due().await
    }

    /// A pause of a person: exponential around the mean, cut at five times of it. In a long one the buyer's page asks
    /// for the place now and then, or the turn would end for its silence.
    async fn think(&mut self, token: &str) -> VisitStep<()> {
        let mean = f64::from(self.sale.options.think) / 1_000.0;
        let drawn = -(1.0 - self.rng.random::<f64>()).ln() * mean;
        let mut left = Duration::try_from_secs_f64(drawn.min(mean * 5.0)).unwrap_or_default();
        while left > SIGN_OF_LIFE {
            left -= SIGN_OF_LIFE;
            self.rest(SIGN_OF_LIFE).await?;
            let path = format!("/queue/tokens/{token}/position");
            // With the session: the token alone renews no turn.
            let reply = self.sale.desk.read(&self.ask("position", "GET", &path)).await;
            self.answered(reply)?;
        }
        self.rest(left).await
    }

    fn ask<'a>(&'a self, call: &'static str, method: &'static str, path: &'a str) -> Ask<'a> {
        let session = self.login.session.as_deref();
        Ask { call, method, path, session, token: None, body: None, due: self.due, origin: ConnectionChoice::Shared }
    }

    fn answered(&mut self, reply: RequestReply) -> VisitStep<HttpResponse> {
        let now = Instant::now();
        self.due = now;
        match reply {
            RequestReply::Definite(answer) => Ok(answer),
            RequestReply::None if now + Duration::from_millis(600) >= self.sale.desk.end => Err(VisitEnding::TimeUp),
            RequestReply::None => Err(VisitEnding::NoAnswer),
        }
    }

    fn copies(&mut self) -> Copies {
        if !Desk::chance(&mut self.rng, self.sale.options.duplicate) {
            Copies::One
        } else if self.rng.random() {
            Copies::Again
        } else {
            Copies::Together
        }
    }

    async fn change(
        &mut self,
        mut ask: ChangeRequest<'_>,
        asked: Asked,
        read: impl Fn(&HttpResponse) -> Option<Effect>,
    ) -> VisitStep<HttpResponse> {
        let copies = if ask.call == "activate" { Copies::One } else { self.copies() };
        let sale = Arc::clone(&self.sale);
        let session = self.login.session.clone();
        let ask = Ask {
            call: ask.call,
            method: ask.method,
            path: ask.path,
            session: session.as_deref(),
            token: ask.token,
            body: ask.body.take(),
            due: self.due,
            origin: ConnectionChoice::Shared,
        };
        let reply = sale.desk.change(self.index, &ask, asked, copies, &mut self.rng, read).await;
        self.answered(reply)
    }

    async fn sign_in(&mut self) -> VisitStep<()> {
        if self.login.session.is_some() {
            return Ok(());
        }
        let body = json!({ "email": self.login.email, "password": self.login.password });
        let origin = self.sale.options.origin(self.index);
        let ask = Ask { body: Some(body), origin, ..self.ask("sign in", "POST", "/sessions") };
        let reply = self.sale.desk.read(&ask).await;
        let answer = self.answered(reply)?;
        let session: Session = serde_json::from_slice(&answer.body).map_err(|_| VisitEnding::Refused)?;
        self.login.session = Some(session.session_token);
        Ok(())
    }

    async fn join(&mut self) -> VisitStep<QueueToken> {
        let sent = self.sale.desk.mono.now();
        let body = Some(json!({ "concert_id": self.sale.concert_id }));
        let change = ChangeRequest { call: "join", method: "POST", path: "/queue/tokens", token: None, body };
        let answer = self
            .change(change, Asked::Join, |answer| {
                let token: QueueToken = serde_json::from_slice(&answer.body).ok()?;
                let fresh = answer.status == 201;
                Some(Effect::Joined { token: token.token, position: token.position, fresh })
            })
            .await?;
        match code(&answer).as_str() {
            "sale_not_open" | "sale_closed" | "concert_postponed" | "concert_cancelled" => {
                return Err(VisitEnding::NotOnSale);
            }
            _ => {}
        }
        let token: QueueToken = serde_json::from_slice(&answer.body).map_err(|_| VisitEnding::Refused)?;
        self.token = Some(token.token.clone());
        if let Some(place) = &token.queue {
            self.saw(&token.token, place, sent);
        }
        Ok(token)
    }

    fn saw(&self, token: &str, place: &QueuePosition, sent: At) {
        let received = self.sale.desk.mono.now();
        let stood = match place.status.as_str() {
            "waiting" | "offered" => Stood::InLine,
            "dormant" => Stood::Aside,
            "active" => Stood::Inside,
            "ended" => {
                self.sale.desk.recorder.token_ended(Ended { token: token.to_owned(), buyer: self.index, received });
                return;
            }
            _ => return,
        };
        self.sale.desk.recorder.saw(PlaceSeen {
            token: token.to_owned(),
            buyer: self.index,
            stood,
            sent,
            received,
            position: place.position,
            ahead: place.ahead,
            as_of: place.as_of.map_or(0, jiff::Timestamp::as_microsecond),
        });
    }

    /// Waits until a token is active: the one given, or the one that a buyer gets who joins again because that ended.
    async fn wait_for_turn(&mut self, mut token: QueueToken, gives_up: bool) -> VisitStep<QueueToken> {
        let mut status = token.status.clone();
        let mut poll_after = token.queue.as_ref().map_or(1_000, |place| place.poll_after_ms);
        let mut patience = self.rng.random_range(1..=3);
        let mut ends = 0;
        loop {
            if gives_up {
                if patience == 0 {
                    if self.rng.random() {
                        self.leave(&token.token).await?;
                        return Err(VisitEnding::LeftTheLine);
                    }
                    return Err(VisitEnding::WentSilent);
                }
                patience -= 1;
            }
            match status.as_str() {
                "active" => return Ok(token),
                "ended" if ends == ENDS_MAX => return Err(VisitEnding::TokenLost),
                // As the server advises. If the same place comes again, the answer was wrong, which the audit finds.
                "ended" => {
                    ends += 1;
                    token = self.join().await?;
                    status = token.status.clone();
                    poll_after = token.queue.as_ref().map_or(1_000, |place| place.poll_after_ms);
                    continue;
                }
                "offered" | "missed" if !gives_up => match self.activate(&token.token).await? {
                    Activation::Active => return Ok(token),
                    Activation::Kept(again) => self.rest(again).await?,
                    Activation::Waiting => {}
                },
                _ => {
                    if self.sale.options.sold_out && self.sale.sold_out.load(Ordering::Relaxed) {
                        self.leave(&token.token).await?;
                        return Err(VisitEnding::NoSeat);
                    }
                }
            }
            self.rest(Duration::from_millis(poll_after.clamp(50, 60_000))).await?;
            // The place in line may be asked for without a session: the token is enough.
            let path = format!("/queue/tokens/{}/position", token.token);
            let sent = self.sale.desk.mono.now();
            let ask = Ask { session: None, ..self.ask("position", "GET", &path) };
            let reply = self.sale.desk.read(&ask).await;
            let answer = self.answered(reply)?;
            let place: QueuePosition = serde_json::from_slice(&answer.body).map_err(|_| VisitEnding::TokenLost)?;
            self.saw(&token.token, &place, sent);
            poll_after = place.poll_after_ms;
            status = place.status;
        }
    }

    async fn activate(&mut self, token: &str) -> VisitStep<Activation> {
        let path = format!("/queue/tokens/{token}/activate");
        let change = ChangeRequest { call: "activate", method: "PATCH", path: &path, token: None, body: None };
        let answer = self
            .change(change, Asked::Activate { token: token.to_owned() }, |answer| {
                let token: QueueToken = serde_json::from_slice(&answer.body).ok()?;
                match (token.status.as_str(), token.activated_at, token.deadline) {
                    ("active", Some(from), Some(until)) => {
                        Some(Effect::Activated { lasts: micros_between(from, until) })
                    }
                    ("active", ..) => None,
                    _ => Some(Effect::Done),
                }
            })
            .await?;
        match (answer.status, code(&answer).as_str()) {
            (200..=299, _) => {
                let token: QueueToken = serde_json::from_slice(&answer.body).map_err(|_| VisitEnding::Refused)?;
                if token.status == "active" {
                    return Ok(Activation::Active);
                }
                let advised = answer.retry_after.map(Duration::from_secs);
                let poll = token.queue.map(|place| Duration::from_millis(place.poll_after_ms));
                Ok(Activation::Kept(advised.or(poll).unwrap_or(Duration::from_secs(1))))
            }
            (_, "token_waiting") => Ok(Activation::Waiting),
            (_, "token_ended" | "token_invalid" | "not_found") => Err(VisitEnding::TokenLost),
            _ => Err(VisitEnding::Refused),
        }
    }

    async fn leave(&mut self, token: &str) -> VisitStep<()> {
        let path = format!("/queue/tokens/{token}");
        let change = ChangeRequest { call: "leave", method: "DELETE", path: &path, token: None, body: None };
        self.change(change, Asked::Leave { token: token.to_owned() }, |_| Some(Effect::Done)).await.map(|_| ())
    }

    async fn take_seats(&mut self, token: &str) -> VisitStep<Vec<Reservation>> {
        let wanted = self.rng.random_range(self.sale.options.seats_each.clone());
        for _ in 0..self.sale.options.tries.max(1) {
            self.think(token).await?;
            let map = self.seat_map().await?;
            let counts = map.counts();
            let free = usize::try_from(counts.available).unwrap_or(0);
            if free == 0 {
                if counts.held == 0 {
                    return Err(VisitEnding::NoSeat);
                }
                self.rest(Duration::from_secs(1)).await?;
                continue;
            }
            let take = wanted.min(free);
            let best = Desk::chance(&mut self.rng, self.sale.options.best);
            let skip = if best { 0 } else { self.rng.random_range(0..=free - take) };
            let seats = map.available(skip, take);
            let body =
                if let [only] = seats.as_slice() { json!({ "seat_id": only }) } else { json!({ "seat_ids": seats }) };
            let change = ChangeRequest {
                call: "hold",
                method: "POST",
                path: "/reservations",
                token: Some(token),
                body: Some(body),
            };
            let asked = Asked::Hold { token: token.to_owned(), seats };
            let answer = self.change(change, asked, |answer| one_or_many(&answer.body).map(Effect::Held)).await?;
            match (answer.status, code(&answer).as_str()) {
                (200..=299, _) => {
                    let held: Vec<Reservation> = one_or_many(&answer.body).ok_or(VisitEnding::Refused)?;
                    self.sale.desk.meter.held(self.sale.desk.mono.now(), held.len());
                    return Ok(held);
                }
                (_, "seat_held" | "seat_held_by_you" | "seat_sold" | "seat_blocked" | "seat_cooling_down") => {}
                (_, "turn_time_over" | "too_many_holds") => {
                    // This turn holds no more; the next one may.
                    self.leave(token).await?;
                    return Err(VisitEnding::TokenLost);
                }
                (_, "too_many_seats") => return Err(VisitEnding::TooManySeats),
                (_, "sale_not_open" | "sale_closed" | "concert_postponed" | "concert_cancelled") => {
                    return Err(VisitEnding::NotOnSale);
                }
                (403, _) => return Err(VisitEnding::TokenLost),
                _ => return Err(VisitEnding::Refused),
            }
        }
        Err(VisitEnding::NoSeat)
    }

    async fn seat_map(&mut self) -> VisitStep<SeatMap> {
        let path = format!("/concerts/{}/seats?form=compact", self.sale.concert_id);
        let reply = self.sale.desk.read(&self.ask("seats", "GET", &path)).await;
        let answer = self.answered(reply)?;
        serde_json::from_slice(&answer.body).map_err(|_| VisitEnding::Refused)
    }

    /// Does nothing until the hold has run out. Every other one then wants to pay after all, and must be refused.
    async fn let_lapse(&mut self, token: &str, held: &[Reservation]) -> VisitStep<VisitEnding> {
        self.sale.lapses_begun.fetch_add(u64::try_from(held.len()).unwrap_or(0), Ordering::Relaxed);
        let longest = held.iter().map(Reservation::hold_micros).max().unwrap_or(0);
        self.rest(Duration::from_micros(longest) + Duration::from_secs(1)).await?;
        if self.rng.random() && self.pay(token, held).await.is_ok() {
            return Ok(VisitEnding::Bought);
        }
        Ok(VisitEnding::Lapsed)
    }

    async fn cancel(&mut self, reservation: i64) -> VisitStep<()> {
        let path = format!("/reservations/{reservation}");
        let change = ChangeRequest { call: "cancel", method: "DELETE", path: &path, token: None, body: None };
        self.change(change, Asked::Cancel { reservation }, |answer| {
            serde_json::from_slice(&answer.body).ok().map(Effect::Cancelled)
        })
        .await
        .map(|_| ())
    }

    async fn pay(&mut self, token: &str, held: &[Reservation]) -> VisitStep<Vec<Payment>> {
        let reservations: Vec<i64> = held.iter().map(|reservation| reservation.reservation_id).collect();
        let body = if let [only] = reservations.as_slice() {
            json!({ "reservation_id": only })
        } else {
            json!({ "reservation_ids": reservations })
        };
        let change =
            ChangeRequest { call: "pay", method: "POST", path: "/payments", token: Some(token), body: Some(body) };
        let asked = Asked::Pay { token: token.to_owned(), reservations };
        let answer = self.change(change, asked, |answer| one_or_many(&answer.body).map(Effect::Paid)).await?;
        match (answer.status, code(&answer).as_str()) {
            (200..=299, _) => {
                let paid: Vec<Payment> = one_or_many(&answer.body).ok_or(VisitEnding::Refused)?;
                self.sale.desk.meter.sold(self.sale.desk.mono.now(), paid.len());
                Ok(paid)
            }
            (402, _) => Err(VisitEnding::NoPoints),
            (_, "hold_expired") => Err(VisitEnding::Lapsed),
            (_, "sale_closed" | "concert_postponed" | "concert_cancelled") => Err(VisitEnding::NotOnSale),
            (403, _) => Err(VisitEnding::TokenLost),
            _ => Err(VisitEnding::Refused),
        }
    }

    async fn refund(&mut self, payment: i64) -> VisitStep<()> {
        let path = format!("/payments/{payment}/refund");
        let change = ChangeRequest { call: "refund", method: "POST", path: &path, token: None, body: None };
        self.change(change, Asked::Refund { payment }, |answer| {
            serde_json::from_slice(&answer.body).ok().map(Effect::Refunded)
        })
        .await
        .map(|_| ())
    }
}

/// A request that changes something, before the buyer's session and time are added.
struct ChangeRequest<'a> {
    call: &'static str,
    method: &'static str,
    path: &'a str,
    token: Option<&'a str>,
    body: Option<serde_json::Value>,
}

/// How an activation went.
enum Activation {
    Active,
    /// The turn is kept; ask again after this time.
    Kept(Duration),
    /// Not yet.
    Waiting,
}
