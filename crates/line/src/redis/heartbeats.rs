//! Exchanges heartbeats. A client polls a different instance each time, so the heartbeats at one instance say little
//! about which tokens are unresponsive. Near the head of each line, where that decides, every instance appends the
//! positions that it saw to one stream, and reads those that the others saw together with their events. A heartbeat
//! counts as of the moment when it is read: no two clocks are compared.
//!
//! Every instance reads, not just the leader, so that one that takes over knows which tokens are responsive.
//!
//! With the positions goes the lowest wait that each token was told, so that no instance tells a token a much longer wait
//! than another one did.

use super::{RedisInstance, keys::RedisKeys};
use crate::{
    lines::{CarriedSign, Lines, PUBLISHED_WITHIN, Sighting},
    lock::lock,
    positions::{POSITIONS_MAX, Positions},
    record::KnownHeartbeats,
    view::{LowestToldWaits, RoomView},
};
use frontrow_domain::{
    id::{Position, RoomId},
    time::{Span, Time},
};
use redis::RedisResult;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use uuid::Uuid;

/// How many positions beyond the cursor are exchanged: a token that polls as it was asked to is among them before its
/// turn comes, even if 3,600 turns are offered in a second.
const NEAR_HEAD: i64 = 131_072;
/// How often instances exchange heartbeats.
const EXCHANGE_EVERY: Duration = Duration::from_secs(2);
/// An exchange this long ago does not tell which tokens are unresponsive now.
const EXCHANGE_TTL: Duration = Duration::from_secs(8);
/// About how many publications the stream keeps for readers that are behind.
const STREAM_LEN: usize = 1_024;
/// The format of a publication.
const VERSION: u8 = 3;

/// The key of the stream of heartbeats.
pub(super) fn stream(keys: &RedisKeys) -> String {
    keys.installation_part("heartbeats")
}

/// The heartbeats that an instance publishes at once.
#[derive(Serialize, Deserialize)]
struct Publication {
    version: u8,
    instance: Uuid,
    rooms: Vec<(i64, Positions)>,
    /// Of whose clients went away: the room, how many seconds before the publication, and the positions. A sign of life
    /// that another instance saw meanwhile is later than the parting, so its age counts.
    partings: Vec<(i64, u32, Positions)>,
    /// What tokens of each room were told.
    told: Vec<(i64, LowestToldWaits)>,
}

/// What is known of the clients of these tokens, for [`Lines::carry_over`]: of those whose heartbeats are exchanged, if all
/// of them are known.
pub(super) fn exchanged_signs(
    known: KnownHeartbeats,
    lines: &Lines,
    room: RoomId,
    moves: &[(Position, Position)],
) -> Vec<CarriedSign> {
    let Some(view) = lines.view(room).filter(|_| known == KnownHeartbeats::All) else { return Vec::new() };
    let reach = view.cursor().0.saturating_add(NEAR_HEAD);
    lines.signs_of_life(room, moves.iter().copied().filter(|(from, _)| from.0 <= reach))
}

/// The exchange of heartbeats.
#[derive(Debug)]
pub(super) struct Heartbeats {
    instance: Uuid,
    /// No token is called unresponsive before the other instances had this long to publish their heartbeats.
    warm_up: Duration,
    /// For each room that needs a leader or has a draw to come, since when publishing has worked there without a break.
    published: Mutex<HashMap<RoomId, Instant>>,
    /// When the stream was last read to its end.
    read: Mutex<Option<Instant>>,
}

impl Heartbeats {
    /// No exchange yet.
    pub(super) fn new(instance: Uuid, warm_up: Duration) -> Self {
        Self { instance, warm_up, published: Mutex::default(), read: Mutex::default() }
    }

    /// Whether enough is known of `room` to call a token unresponsive: the exchange has worked for a while, so that the
    /// others had time to publish.
    pub(super) fn can_judge(&self, room: RoomId, now: Instant) -> bool {
        let since = lock(&self.published).get(&room).copied();
        since.zip(*lock(&self.read)).is_some_and(|(since, read)| {
            read >= since + self.warm_up && now.saturating_duration_since(read) <= EXCHANGE_TTL
        })
    }

    /// Begins the exchange anew: heartbeats of others may be missing.
    pub(super) fn forget(&self) {
        lock(&self.published).clear();
    }

    /// Notes at an instant that publishing works, and the rooms in which tokens may be judged at that moment or soon.
    pub(super) fn note_published(&self, lines: &Lines, at: Time, now: Instant) {
        // A lobby needs no leader before its opening, and who is silent then is asked at once when it opens.
        let is_led = |view: &RoomView| view.needs_leader(at) || view.room().draw.is_pending();
        let is_judged = |room: &RoomId| lines.view(*room).is_some_and(|view| is_led(&view));
        let rooms: BTreeSet<_> = lines.busy_rooms().into_iter().filter(is_judged).collect();
        let mut published = lock(&self.published);
        published.retain(|room, _| rooms.contains(room));
        for room in rooms {
            published.entry(room).or_insert(now);
        }
    }

    /// Notes that the stream was read to its end at an instant.
    pub(super) fn note_read(&self, now: Instant) {
        *lock(&self.read) = Some(now);
    }

    /// The heartbeats at `now` that this instance has not published, as many as fit in one publication.
    pub(super) fn unpublished(lines: &Lines, now: Time) -> Vec<(RoomId, Vec<Sighting>)> {
        let since = now.minus(PUBLISHED_WITHIN);
        let (mut found, mut count) = (Vec::new(), 0);
        for room in lines.busy_rooms() {
            let seen = lines.unpublished_heartbeats(room, NEAR_HEAD, since);
            count += seen.len() as u64;
            if !seen.is_empty() && count <= POSITIONS_MAX {
                found.push((room, seen));
            }
        }
        found
    }

    /// The publication at `now` of these heartbeats; none if there are none.
    pub(super) fn publication(&self, lines: &Lines, found: &[(RoomId, Vec<Sighting>)], now: Time) -> Option<Vec<u8>> {
        if found.is_empty() {
            return None;
        }
        let (mut rooms, mut partings, mut told) = (Vec::new(), Vec::new(), Vec::new());
        for (room, seen) in found {
            let (parted, heard): (Vec<Sighting>, Vec<Sighting>) = seen.iter().partition(|seen| seen.is_parting());
            if !heard.is_empty() {
                rooms.push((room.get(), Positions::of(heard.iter().map(|seen| seen.position))));
                let view = lines.view(*room);
                let waits = view.map(|view| view.lowest_told_waits(heard.iter().map(|seen| seen.position)));
                told.extend(waits.filter(|waits| !waits.is_empty()).map(|waits| (room.get(), waits)));
            }
            let mut by_age: BTreeMap<u32, Vec<Position>> = BTreeMap::new();
            for seen in parted {
                by_age.entry(seen.age_seconds(now)).or_default().push(seen.position);
            }
            partings.extend(by_age.into_iter().map(|(age, of)| (room.get(), age, Positions::of(of))));
        }
        let publication = Publication { version: VERSION, instance: self.instance, rooms, partings, told };
        Some(postcard::to_allocvec(&publication).unwrap_or_default())
    }

    /// Records the heartbeats of another instance at `now`, this instance's time.
    pub(super) fn receive(&self, publication: &[u8], lines: &Lines, now: Time) {
        let Ok(Publication { version: VERSION, instance, rooms, partings, told }) = postcard::from_bytes(publication)
        else {
            tracing::debug!("another version of the program publishes heartbeats that this one cannot read");
            return self.forget();
        };
        if instance == self.instance {
            return;
        }
        let mut budget = POSITIONS_MAX;
        for (room, positions) in rooms {
            let positions = positions.read(&mut budget).into_iter().flatten();
            lines.record_remote_heartbeats(RoomId::new(room), positions, now);
        }
        for (room, age, positions) in partings {
            let positions = positions.read(&mut budget).into_iter().flatten();
            let at = now.minus(Span::from_secs(i64::from(age)));
            lines.record_remote_partings(RoomId::new(room), positions, at);
        }
        for (room, told) in told {
            if let Some(view) = lines.view(RoomId::new(room)) {
                view.note_lowest_told(&told, Span::ZERO);
            }
        }
    }
}

/// Publishes the heartbeats in all busy rooms for ever.
pub(super) async fn run(instance: Arc<RedisInstance>) {
    loop {
        tokio::time::sleep(EXCHANGE_EVERY).await;
        if !instance.client.is_up() {
            instance.heartbeats.forget();
            continue;
        }
        match publish(&instance).await {
            Ok(()) => {
                instance.heartbeats.note_published(instance.follower.lines(), instance.clock.now(), Instant::now());
            }
            Err(error) => {
                tracing::debug!(%error, "heartbeats cannot be exchanged");
                instance.heartbeats.forget();
            }
        }
    }
}

/// Publishes this instance's heartbeats since the last time, in one call; in none if there are none. Those of rooms that
/// do not fit in one publication are published with the next one.
async fn publish(instance: &RedisInstance) -> RedisResult<()> {
    let (lines, now) = (instance.follower.lines(), instance.clock.now());
    let found = Heartbeats::unpublished(lines, now);
    let Some(publication) = instance.heartbeats.publication(lines, &found, now) else { return Ok(()) };
    let mut add = redis::cmd("XADD");
    add.arg(stream(&instance.keys)).arg("MAXLEN").arg("~").arg(STREAM_LEN).arg("*").arg("f").arg(publication);
    add.query_async::<()>(&mut instance.client.handle()).await?;
    for (room, seen) in &found {
        lines.mark_published(*room, seen);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        peers::Peers as _,
        redis::driven::DrivenInstance,
        view::tests::{START, line, room_of},
    };
    use frontrow_domain::{
        id::TokenId,
        line::{DrawPhase, ToldWait},
        model::Model,
    };

    fn instance(number: u128, model: &Model, now: Time) -> DrivenInstance {
        let instance = DrivenInstance::new(Uuid::from_u128(number), Duration::from_secs(5), now);
        instance.rebuild_from(&line(model, now));
        instance
    }

    /// Tells a token that has polled an instance how long it will wait.
    fn tell(instance: &DrivenInstance, position: i64, seconds: i64, now: Time) {
        let id = TokenId { room_id: RoomId::HOUSE, position: Position(position) };
        instance.lines().record_heartbeat(id, now);
        let told = ToldWait { p50: Span::from_secs(seconds), p90: Span::from_secs(2 * seconds) };
        instance.lines().view(RoomId::HOUSE).unwrap().note_told(id.position, told, now);
    }

    fn lowest(instance: &DrivenInstance, position: i64) -> Option<Span> {
        instance.lines().view(RoomId::HOUSE).unwrap().lowest_told(Position(position))
    }

    #[test]
    fn what_one_instance_told_binds_the_others_until_the_settings_change() {
        let now = START.plus(Span::from_secs(1));
        let (mut model, _) = room_of(3, 50);
        let (one, other) = (instance(1, &model, now), instance(2, &model, now));
        model.rooms.get_mut(&RoomId::HOUSE).unwrap().max_active = 7;
        let of_another_cap = instance(3, &model, now);
        for (position, seconds) in [(9, 90), (40, 400), (41, 300)] {
            tell(&one, position, seconds, now);
        }
        tell(&other, 41, 250, now);
        let publication = one.publish_heartbeats().unwrap();
        for instance in [&one, &other, &of_another_cap] {
            instance.hear(&publication);
        }
        let told =
            |instance| [9, 40, 41, 42].map(|position| lowest(instance, position).map(|told| told.millis() / 1_000));
        assert_eq!(told(&other), [Some(90), Some(400), Some(250), None], "the lower one stays");
        assert_eq!(told(&one), [Some(90), Some(400), Some(300), None]);
        assert_eq!(told(&of_another_cap), [None; 4]);
        // What was told is published with the next poll, and not before.
        assert_eq!(one.publish_heartbeats(), None);
    }

    #[test]
    fn who_is_silent_in_a_lobby_is_known_when_it_opens() {
        let opens_at = START.plus(Span::from_secs(600));
        let (mut model, _) = room_of(3, 4);
        let room = model.rooms.get_mut(&RoomId::HOUSE).unwrap();
        (room.draw, room.opens_at) = (DrawPhase::Lobby, Some(opens_at));
        let (one, other) = (instance(1, &model, START), instance(2, &model, START));
        let moves = [(Position(1), Position(11)), (Position(2), Position(12))];
        let signs = || one.signs_of_life(RoomId::HOUSE, &moves);
        assert_eq!(signs(), [], "nothing is known of the other instance yet");
        for seconds in 1..=20 {
            let now = START.plus(Span::from_secs(seconds));
            for instance in [&one, &other] {
                instance.set_time(now);
                instance.confirm();
            }
            tell(&other, 2, 500, now);
            if let Some(publication) = other.publish_heartbeats() {
                one.hear(&publication);
            }
            assert_eq!(one.publish_heartbeats(), None);
        }
        assert_eq!(signs().len(), 2, "the lobby needs no leader yet, and who is silent is known");
    }

    #[test]
    fn nothing_is_kept_of_positions_that_are_not_in_the_line() {
        let now = START.plus(Span::from_secs(1));
        let (longer, shorter) = (room_of(3, 60).0, room_of(3, 50).0);
        let (one, other) = (instance(1, &longer, now), instance(2, &shorter, now));
        tell(&one, 50, 500, now);
        tell(&one, 51, 510, now);
        other.hear(&one.publish_heartbeats().unwrap());
        assert_eq!(
            [50, 51].map(|position| lowest(&other, position).map(|told| told.millis() / 1_000)),
            [Some(500), None]
        );
    }
}
