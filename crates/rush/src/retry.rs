//! One request of one buyer, to its definite answer: a key made before the first sending, repeats with the same key
//! when nothing or nothing certain came back, and on purpose now and then.

use crate::{
    api::Problem,
    client::{ConnectionChoice, ConnectionPool, HttpResponse, Lost, request_text},
    clock::Mono,
    history::{Asked, Effect, KeyReuse, Recorder, RequestOutcome},
    meter::Meter,
};
use rand::{Rng, RngExt};
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// How often a request without a definite answer is repeated.
const REPEATS_MAX: u32 = 12;
/// The first pause before a repeat; each further one is twice as long.
const BACKOFF_FIRST: Duration = Duration::from_millis(100);
/// The longest pause before a repeat.
const BACKOFF_MAX: Duration = Duration::from_secs(5);

/// The parts shared by all senders of requests.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) pool: ConnectionPool,
    pub(crate) mono: Mono,
    pub(crate) recorder: Recorder,
    pub(crate) meter: Meter,
    /// A random number of this run, so that keys of two runs differ even with the same seed.
    pub(crate) run: u64,
    /// How long one sending may take.
    pub(crate) timeout: Duration,
    /// Nothing is sent after this.
    pub(crate) end: Instant,
}

/// A request to be sent.
#[derive(Debug, Clone)]
pub(crate) struct Ask<'a> {
    /// Its name in reports.
    pub(crate) call: &'static str,
    pub(crate) method: &'static str,
    /// The path under /api/v1.
    pub(crate) path: &'a str,
    pub(crate) session: Option<&'a str>,
    pub(crate) token: Option<&'a str>,
    pub(crate) body: Option<serde_json::Value>,
    /// When the buyer means to send it.
    pub(crate) due: Instant,
    pub(crate) origin: ConnectionChoice,
}

/// How often a request is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Copies {
    /// Once.
    One,
    /// Again after its answer.
    Again,
    /// Twice at once.
    Together,
}

#[derive(Debug)]
pub(crate) enum RequestReply {
    /// A definite answer: success or a documented refusal.
    Definite(HttpResponse),
    /// None within the time and the repeats allowed.
    None,
}

struct FinalResponse {
    answer: HttpResponse,
    /// Whether an earlier sending may still take effect.
    is_uncertain: bool,
}

impl Desk {
    /// A number from 0 to 1 that `share` is compared with.
    pub(crate) fn chance(rng: &mut impl Rng, share: f64) -> bool {
        share > 0.0 && rng.random::<f64>() < share
    }

    /// Asks for something that changes nothing.
    pub(crate) async fn read(&self, ask: &Ask<'_>) -> RequestReply {
        let text = self.text(ask, None);
        match self.settle(ask, &text, None).await {
            Some(settled) => {
                self.note(ask, &settled.answer);
                RequestReply::Definite(settled.answer)
            }
            None => RequestReply::None,
        }
    }

    /// Asks for a change that the audit need not know of, under a new key.
    pub(crate) async fn act(&self, ask: &Ask<'_>, rng: &mut impl Rng) -> RequestReply {
        let key = format!("{:016x}-{:016x}", self.run, rng.random::<u64>());
        let text = self.text(ask, Some(&key));
        match self.settle(ask, &text, None).await {
            Some(settled) => {
                self.note(ask, &settled.answer);
                RequestReply::Definite(settled.answer)
            }
            None => RequestReply::None,
        }
    }

    /// Asks for a change under a new key, and writes down what is known of it. `read` finds the effect in a success.
    pub(crate) async fn change(
        &self,
        buyer: usize,
        ask: &Ask<'_>,
        asked: Asked,
        copies: Copies,
        rng: &mut impl Rng,
        read: impl Fn(&HttpResponse) -> Option<Effect>,
    ) -> RequestReply {
        let key = format!("{:016x}-{buyer}-{:016x}", self.run, rng.random::<u64>());
        let text = self.text(ask, Some(&key));
        let name = asked.name();
        let index = self.recorder.begin(buyer, asked, self.mono.now());
        let (first, twin) = if copies == Copies::Together {
            let (first, twin) = tokio::join!(self.once(ask, &text), self.once(ask, &text));
            (Some(first), twin.ok())
        } else {
            (None, None)
        };
        let Some(FinalResponse { answer, is_uncertain }) = self.settle(ask, &text, first).await else {
            return RequestReply::None;
        };
        self.note(ask, &answer);
        let outcome = match read(&answer) {
            Some(effect) if answer.status < 300 => RequestOutcome::Ok(effect),
            _ if answer.status < 300 => {
                self.recorder.fault(format!("{} {} cannot be read", ask.method, ask.path), answer.status, &answer.body);
                RequestOutcome::Unknown
            }
            // A refusal to activate is not kept: an earlier sending may still find the turn open.
            _ if is_uncertain && (!is_final(&answer) || name == "activate") => RequestOutcome::Unknown,
            _ => RequestOutcome::Fail { status: answer.status, code: code(&answer) },
        };
        if outcome != RequestOutcome::Unknown {
            self.recorder.finish(index, self.mono.now(), outcome);
        }
        if copies != Copies::One && (answer.status < 300 || is_final(&answer)) {
            let second = if let Some(twin) = twin.filter(|twin| !is_passing(twin.status)) {
                Some(twin)
            } else {
                let again = Ask { due: Instant::now(), ..ask.clone() };
                self.settle(&again, &text, None).await.map(|settled| settled.answer)
            };
            if let Some(second) = second {
                self.compare(buyer, name, &answer, &second);
            }
        }
        RequestReply::Definite(answer)
    }

    /// Answers about the line carry how it stands at the moment: of these only the token and its number are compared.
    fn compare(&self, buyer: usize, name: &'static str, first: &HttpResponse, second: &HttpResponse) {
        let essence = |answer: &HttpResponse| -> Vec<u8> {
            if name != "join" && name != "activate" || answer.status >= 300 {
                return stable(&answer.body);
            }
            let token: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
            format!("{} {}", token["token"], token["position"]).into_bytes()
        };
        self.recorder.replayed(KeyReuse {
            buyer,
            name,
            first: (first.status, essence(first)),
            second: (second.status, essence(second)),
            marked: first.replayed || second.replayed,
        });
    }

    fn text(&self, ask: &Ask<'_>, key: Option<&str>) -> Vec<u8> {
        let bearer = ask.session.map(|session| format!("Bearer {session}"));
        let mut headers: Vec<(&str, &str)> = Vec::with_capacity(3);
        headers.extend(bearer.as_deref().map(|bearer| ("Authorization", bearer)));
        headers.extend(ask.token.map(|token| ("Queue-Token", token)));
        headers.extend(key.map(|key| ("Idempotency-Key", key)));
        let body = ask.body.as_ref().map(|body| body.to_string().into_bytes());
        let path = format!("/api/v1{}", ask.path);
        request_text(self.pool.host(), ask.method, &path, &headers, body.as_deref())
    }

    /// Sends once and measures it.
    async fn once(&self, ask: &Ask<'_>, text: &[u8]) -> Result<HttpResponse, Lost> {
        let left = self.end.saturating_duration_since(Instant::now());
        let limit = self.timeout.min(left.max(Duration::from_millis(500)));
        let (sent, answer) = self.pool.exchange(text, limit, ask.origin).await;
        let now = Instant::now();
        match &answer {
            Ok(_) => {
                let response = now.saturating_duration_since(ask.due);
                self.meter.answered(ask.call, self.mono.at(now), response, now.saturating_duration_since(sent));
            }
            Err(Lost::TimedOut) => self.meter.lost(self.mono.at(now), "timed out"),
            Err(Lost::Broken) => self.meter.lost(self.mono.at(now), "connection lost"),
        }
        answer
    }

    /// Sends until a definite answer comes, or the repeats or the time are used up. Latencies count from when the buyer
    /// first meant to ask: an outage is charged in full.
    async fn settle(
        &self,
        ask: &Ask<'_>,
        text: &[u8],
        first: Option<Result<HttpResponse, Lost>>,
    ) -> Option<FinalResponse> {
        let mut pause = BACKOFF_FIRST;
        let mut is_uncertain = false;
        let mut ready = first;
        for _ in 0..=REPEATS_MAX {
            let answer = match ready.take() {
                Some(answer) => answer,
                None => self.once(ask, text).await,
            };
            let wait = match answer {
                Ok(answer) if !is_passing(answer.status) => return Some(FinalResponse { answer, is_uncertain }),
                Ok(answer) => {
                    self.note(ask, &answer);
                    is_uncertain |= answer.status != 429;
                    answer.retry_after.map_or(pause, Duration::from_secs)
                }
                Err(_) => {
                    is_uncertain = true;
                    pause
                }
            };
            pause = (pause * 2).min(BACKOFF_MAX);
            let again = Instant::now() + wait;
            if again >= self.end {
                return None;
            }
            sleep_until(again).await;
        }
        self.recorder.gave_up(format!("{} {}", ask.method, ask.path));
        None
    }

    /// Notes refusals, and answers that should never be given.
    fn note(&self, ask: &Ask<'_>, answer: &HttpResponse) {
        if answer.status >= 400 {
            self.meter.refused(self.mono.now(), answer.status, &code(answer));
        }
        if answer.status >= 500 && answer.status != 503 {
            self.recorder.fault(format!("{} {}", ask.method, ask.path), answer.status, &answer.body);
        }
    }
}

/// A problem names the request that it answers; that part of a refusal is another each time.
fn stable(body: &[u8]) -> Vec<u8> {
    if let Ok(serde_json::Value::Object(mut members)) = serde_json::from_slice(body)
        && members.remove("request_id").is_some()
    {
        return serde_json::Value::Object(members).to_string().into_bytes();
    }
    body.to_vec()
}

/// The problem's code, or nothing.
pub(crate) fn code(answer: &HttpResponse) -> String {
    serde_json::from_slice::<Problem>(&answer.body).map(|problem| problem.code).unwrap_or_default()
}

/// Answers that say to come again: nothing was decided.
const fn is_passing(status: u16) -> bool {
    status == 429 || status == 408 || status >= 500
}

/// Refusals after which no earlier sending can still take effect: they are kept under the key, or never turn into a
/// grant.
fn is_final(answer: &HttpResponse) -> bool {
    let turns = [
        "sale_not_open",
        "concert_postponed",
        "account_changed",
        "seat_cooling_down",
        "turn_not_yet",
        "refund_too_late",
    ];
    answer.status == 402 || (answer.status == 409 && !turns.contains(&code(answer).as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        history::History,
        target::{AllowedHosts, Target},
    };
    use rand::{SeedableRng, rngs::StdRng};
    use std::sync::{Arc, Mutex};
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    type Requests = Arc<Mutex<Vec<String>>>;

    /// A server that gives these answers, one after another, whatever is asked; at an empty one it hangs up.
    async fn desk(answers: &[&str]) -> (Desk, Requests) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target =
            Target::parse(&format!("http://{}", listener.local_addr().unwrap()), AllowedHosts::Loopback).unwrap();
        let script: Vec<String> = answers.iter().rev().map(|answer| (*answer).to_owned()).collect();
        let (script, requests) = (Arc::new(Mutex::new(script)), Requests::default());
        let seen = Arc::clone(&requests);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (script, seen) = (Arc::clone(&script), Arc::clone(&seen));
                tokio::spawn(async move {
                    loop {
                        let mut request = Vec::new();
                        while !request.windows(4).any(|end| end == b"\r\n\r\n") {
                            if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
                                return;
                            }
                        }
                        seen.lock().unwrap().push(String::from_utf8_lossy(&request).into_owned());
                        let answer = script.lock().unwrap().pop().unwrap_or_default();
                        if answer.is_empty() {
                            return;
                        }
                        stream.write_all(answer.as_bytes()).await.unwrap();
                    }
                });
            }
        });
        let mono = Mono::start();
        let desk = Desk {
            pool: ConnectionPool::new(target, 4),
            mono,
            recorder: Recorder::default(),
            meter: Meter::since(0),
            run: 1,
            timeout: Duration::from_secs(5),
            end: Instant::now() + Duration::from_mins(1),
        };
        (desk, requests)
    }

    async fn cancel(desk: &Desk, copies: Copies) -> (RequestReply, History) {
        let ask = Ask {
            call: "cancel",
            method: "DELETE",
            path: "/reservations/1",
            session: Some("s"),
            token: None,
            body: None,
            due: Instant::now(),
            origin: ConnectionChoice::Shared,
        };
        let asked = Asked::Cancel { reservation: 1 };
        let mut rng = StdRng::seed_from_u64(1);
        let reply = desk.change(0, &ask, asked, copies, &mut rng, |_| Some(Effect::Done)).await;
        (reply, desk.recorder.take())
    }

    fn keys(requests: &Requests) -> Vec<String> {
        let key = |text: &String| {
            text.lines().find_map(|line| line.strip_prefix("Idempotency-Key: ")).unwrap_or_default().to_owned()
        };
        requests.lock().unwrap().iter().map(key).collect()
    }

    const DONE: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
    const OTHER: &str = "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n{ }";
    const BUSY: &str = "HTTP/1.1 503 Service Unavailable\r\nretry-after: 0\r\ncontent-length: 0\r\n\r\n";
    const SLOW_DOWN: &str = "HTTP/1.1 429 Too Many Requests\r\nretry-after: 0\r\ncontent-length: 0\r\n\r\n";
    const MISSING: &str = "HTTP/1.1 404 Not Found\r\ncontent-length: 20\r\n\r\n{\"code\":\"not_found\"}";
    const KEPT: &str = "HTTP/1.1 409 Conflict\r\ncontent-length: 20\r\n\r\n{\"code\":\"seat_held\"}";

    #[tokio::test]
    async fn a_lost_answer_is_asked_for_again_with_the_same_key() {
        let (desk, requests) = desk(&["", BUSY, DONE]).await;
        let (reply, history) = cancel(&desk, Copies::One).await;
        assert!(matches!(reply, RequestReply::Definite(HttpResponse { status: 200, .. })));
        assert_eq!(history.ops[0].outcome, RequestOutcome::Ok(Effect::Done));
        let keys = keys(&requests);
        assert_eq!(keys.len(), 3);
        assert!(!keys[0].is_empty() && keys.iter().all(|key| *key == keys[0]), "{keys:?}");
    }

    #[tokio::test]
    async fn a_refusal_that_is_not_stored_leaves_a_lost_sending_unknown() {
        let (desk, _) = desk(&["", MISSING]).await;
        let (_, history) = cancel(&desk, Copies::One).await;
        assert_eq!(history.ops[0].outcome, RequestOutcome::Unknown);
    }

    #[tokio::test]
    async fn a_stored_refusal_and_a_refusal_of_the_only_sending_are_definite() {
        for (answers, status) in [(["", KEPT], 409), ([SLOW_DOWN, MISSING], 404)] {
            let (desk, _) = desk(&answers).await;
            let (_, history) = cancel(&desk, Copies::One).await;
            assert!(matches!(history.ops[0].outcome, RequestOutcome::Fail { status: found, .. } if found == status));
        }
    }

    #[tokio::test]
    async fn a_request_sent_twice_has_both_answers_compared() {
        for copies in [Copies::Again, Copies::Together] {
            let (desk, requests) = desk(&[DONE, OTHER]).await;
            let (_, history) = cancel(&desk, copies).await;
            let keys = keys(&requests);
            assert_eq!((keys.len(), &keys[0]), (2, &keys[1]));
            assert_eq!(history.replays.len(), 1);
            assert_ne!(history.replays[0].first, history.replays[0].second, "{copies:?}");
        }
    }

    #[tokio::test]
    async fn an_error_of_the_server_is_written_down_as_a_fault() {
        let broken = "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 4\r\n\r\noops";
        let (desk, _) = desk(&[broken, DONE]).await;
        let (_, history) = cancel(&desk, Copies::One).await;
        assert_eq!(history.faults.len(), 1);
        assert_eq!(history.faults[0].status, 500);
    }

    #[test]
    fn the_number_of_a_request_is_no_part_of_its_answer() {
        assert_eq!(stable(br#"{"code":"a","request_id":"1"}"#), stable(br#"{"code":"a","request_id":"2"}"#));
        assert_eq!(stable(b"{\"a\":1}"), b"{\"a\":1}");
    }
}
