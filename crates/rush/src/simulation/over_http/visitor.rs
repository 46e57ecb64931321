//! One person before real instances: asks when told to, claims, visits and goes, as `people.rs` says, and notes what it
//! saw and when.

use super::{
    super::{
        CLAIM_AGAIN,
        people::{CrowdMember, PersonStep, VisitEnd},
    },
    InstanceChoice, LinePlan, RowMoments, duration,
    instances::{InstancePools, TimedAnswer, now},
    request,
};
use frontrow_domain::{
    id::Position,
    line::TokenStatus,
    time::{Span, Time},
};
use rand::{RngExt, rngs::StdRng};
use serde::Deserialize;
use serde_json::json;
use std::{cmp::Reverse, collections::BinaryHeap, sync::Arc, time::Duration};
use tokio::time::{Instant, sleep_until};

/// What a person saw or did.
#[derive(Debug, Clone, Copy)]
pub(super) enum Sight {
    /// Got this place.
    Joined(Position),
    /// Was told of the place.
    Heard(HeardPlace),
    /// Stopped asking.
    FellSilent,
    /// Asks again.
    Woke,
    /// Sent a claim.
    Claimed,
    /// The claim found the room full.
    FoundFull,
    /// The claim was refused.
    Refused,
}

/// What an answer said of a place.
#[derive(Debug, Clone, Copy)]
pub(super) struct HeardPlace {
    pub(super) status: TokenStatus,
    pub(super) ahead: i64,
    /// The median and the p90 of the wait, if they are known.
    pub(super) wait: Option<(Span, Span)>,
    /// The end of its state.
    pub(super) deadline: Option<Time>,
    pub(super) poll_after_ms: i64,
}

/// What a person saw, in order.
#[derive(Debug)]
pub(super) struct PersonStory {
    pub(super) person: usize,
    pub(super) sights: Vec<(Time, Sight)>,
    token: Option<String>,
    session: String,
    has_claimed: bool,
    /// What the row says in the end, of a token that was claimed.
    pub(super) row: Option<RowMoments>,
}

impl PersonStory {
    #[cfg(test)]
    pub(super) fn told(person: usize, sights: Vec<(Time, Sight)>, row: Option<RowMoments>) -> Self {
        Self { person, sights, token: None, session: String::new(), has_claimed: row.is_some(), row }
    }

    /// The place in line; 0 of one who never got there.
    pub(super) fn place(&self) -> Position {
        match self.sights.first() {
            Some((_, Sight::Joined(position))) => *position,
            _ => Position(0),
        }
    }

    /// The token and the session of one who claimed a turn.
    pub(super) fn claimed(&self) -> Option<(String, String)> {
        Some((self.token.clone().filter(|_| self.has_claimed)?, self.session.clone()))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum PersonEvent {
    Poll,
    Wake,
    Claim,
    Finish,
}

/// A person with its requests.
pub(super) struct LinePerson {
    member: CrowdMember,
    story: PersonStory,
    instances: Arc<InstancePools>,
    room_id: i64,
    choice: InstanceChoice,
    rng: StdRng,
    comes: Instant,
    end: Instant,
    agenda: BinaryHeap<Reverse<(Instant, u64, PersonEvent)>>,
    planned: u64,
    is_visiting: bool,
}

#[derive(Deserialize)]
struct JoinedToken {
    token: String,
    position: Position,
    issued_at: Time,
    queue: PlaceAnswer,
}

#[derive(Deserialize)]
struct PlaceAnswer {
    status: TokenStatus,
    ahead: i64,
    estimated_wait: WaitAnswer,
    deadline: Option<Time>,
    poll_after_ms: i64,
}

#[derive(Deserialize)]
struct WaitAnswer {
    p50_seconds: Option<i64>,
    p90_seconds: Option<i64>,
}

#[derive(Deserialize)]
struct ClaimedToken {
    status: TokenStatus,
}

impl From<PlaceAnswer> for HeardPlace {
    fn from(answer: PlaceAnswer) -> Self {
        let wait = answer.estimated_wait.p50_seconds.zip(answer.estimated_wait.p90_seconds);
        Self {
            status: answer.status,
            ahead: answer.ahead,
            wait: wait.map(|(p50, p90)| (Span::from_secs(p50), Span::from_secs(p90))),
            deadline: answer.deadline,
            poll_after_ms: answer.poll_after_ms,
        }
    }
}

impl LinePerson {
    pub(super) fn new(
        person: usize,
        member: CrowdMember,
        session: String,
        instances: Arc<InstancePools>,
        plan: &LinePlan,
        rng: StdRng,
        (comes, end): (Instant, Instant),
    ) -> Self {
        let story = PersonStory { person, sights: Vec::new(), token: None, session, has_claimed: false, row: None };
        let (room_id, choice) = (plan.room_id, plan.choice);
        let agenda = BinaryHeap::new();
        Self { member, story, instances, room_id, choice, rng, comes, end, agenda, planned: 0, is_visiting: false }
    }

    fn plan(&mut self, after: Duration, event: PersonEvent) {
        self.planned += 1;
        self.agenda.push(Reverse((Instant::now() + after, self.planned, event)));
    }

    fn note(&mut self, at: Time, sight: Sight) {
        self.story.sights.push((at, sight));
    }

    /// Comes, and does what it does until it is gone or the time is up.
    pub(super) async fn come(mut self) -> PersonStory {
        if self.comes >= self.end {
            return self.story;
        }
        sleep_until(self.comes).await;
        if self.join().await.is_some() {
            while let Some(Reverse((at, _, event))) = self.agenda.pop()
                && at < self.end
            {
                sleep_until(at).await;
                let is_gone = match event {
                    PersonEvent::Poll => self.poll().await,
                    PersonEvent::Wake => {
                        self.member.is_present = true;
                        self.note(now(), Sight::Woke);
                        self.poll().await
                    }
                    PersonEvent::Claim => self.claim().await,
                    PersonEvent::Finish => {
                        self.finish().await;
                        None
                    }
                };
                if is_gone.is_none() {
                    break;
                }
            }
        }
        self.story
    }

    async fn ask(
        &mut self,
        method: &str,
        path: &str,
        has_key: bool,
        body: Option<serde_json::Value>,
    ) -> Option<TimedAnswer> {
        let key = has_key.then(|| format!("line-{:016x}{:016x}", self.rng.random::<u64>(), self.rng.random::<u64>()));
        let text = request(&self.instances, method, path, &self.story.session, key.as_deref(), body.as_ref());
        let (count, own) = (self.instances.len(), self.story.person);
        let (choice, rng, mut sent) = (self.choice, &mut self.rng, 0_usize);
        let at = || {
            sent += 1;
            match choice {
                InstanceChoice::Any => rng.random_range(0..count),
                // One that does not answer is left for the next.
                InstanceChoice::Sticky => (own + sent - 1) % count,
            }
        };
        self.instances.ask(at, &text).await
    }

    async fn join(&mut self) -> Option<()> {
        let body = json!({ "room_id": self.room_id });
        let TimedAnswer { answer, there, .. } = self.ask("POST", "/queue/tokens", true, Some(body)).await?;
        let joined: JoinedToken = serde_json::from_slice(&answer.body).ok()?;
        self.story.token = Some(joined.token);
        self.member.is_present = true;
        self.note(joined.issued_at, Sight::Joined(joined.position));
        self.hear(joined.queue.into(), there).await
    }

    async fn poll(&mut self) -> Option<()> {
        if !self.member.is_present {
            return Some(());
        }
        let path = format!("/queue/tokens/{}/position", self.story.token.as_ref()?);
        let TimedAnswer { answer, there, .. } = self.ask("GET", &path, false, None).await?;
        let heard: PlaceAnswer = serde_json::from_slice(&answer.body).ok()?;
        self.hear(heard.into(), there).await
    }

    /// Does what it does after an answer; none once it is gone.
    async fn hear(&mut self, heard: HeardPlace, at: Time) -> Option<()> {
        self.note(at, Sight::Heard(heard));
        if heard.status == TokenStatus::Active {
            self.begin_visit();
        }
        let next = Duration::from_millis(u64::try_from(heard.poll_after_ms).unwrap_or(1_000));
        match self.member.next_step(heard.status, heard.ahead) {
            PersonStep::Ask => self.plan(next, PersonEvent::Poll),
            PersonStep::Claim { after } => {
                self.plan(duration(after), PersonEvent::Claim);
                self.plan(next, PersonEvent::Poll);
            }
            PersonStep::FallSilent => {
                self.note(at, Sight::FellSilent);
                return None;
            }
            PersonStep::Sleep { rest } => {
                self.member.is_present = false;
                self.note(at, Sight::FellSilent);
                self.plan(duration(rest), PersonEvent::Wake);
            }
            PersonStep::Leave => {
                self.finish().await;
                return None;
            }
        }
        Some(())
    }

    fn begin_visit(&mut self) {
        if !self.is_visiting {
            self.is_visiting = true;
            self.plan(duration(self.member.visit), PersonEvent::Finish);
        }
    }

    async fn claim(&mut self) -> Option<()> {
        if self.is_visiting {
            return Some(());
        }
        let path = format!("/queue/tokens/{}/activate", self.story.token.as_ref()?);
        self.story.has_claimed = true;
        let TimedAnswer { answer, sent, there } = self.ask("PATCH", &path, true, None).await?;
        self.note(sent, Sight::Claimed);
        let status = serde_json::from_slice::<ClaimedToken>(&answer.body).ok().filter(|_| answer.status < 300);
        match status.map(|token| token.status) {
            Some(TokenStatus::Offered) => {
                self.note(there, Sight::FoundFull);
                self.plan(duration(CLAIM_AGAIN), PersonEvent::Claim);
            }
            Some(TokenStatus::Active) => {
                self.member.is_claiming = false;
                self.begin_visit();
            }
            _ => {
                self.member.is_claiming = false;
                self.note(there, Sight::Refused);
            }
        }
        Some(())
    }

    async fn finish(&mut self) {
        self.note(now(), Sight::FellSilent);
        if self.is_visiting && self.member.visit_end == VisitEnd::Silent {
            return;
        }
        if let Some(token) = self.story.token.clone() {
            self.ask("DELETE", &format!("/queue/tokens/{token}"), true, None).await;
        }
    }
}
