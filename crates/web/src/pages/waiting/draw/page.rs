//! The page of a draw, ready to be written.

use super::{super::page::PlaceHead, DrawAddress};
use crate::{
    edge::problem::{HttpResult, Problem},
    html::{
        forms::FormNotice,
        shell::{HOME_ZONE, Shell},
    },
};
use askama::Template;
use frontrow_domain::{
    id::{Position, RoomId},
    line::{Draw, DrawPhase, DrawResult, SealedEntries},
    time::{Span, Time},
};
use frontrow_draw::{BeaconRound, EntryProof, RULES, randomness_of};
use frontrow_service::{draws::DrawStanding, sale::ConcertOnSale};

/// The public address of drand. The page names it as a link, and loads nothing from it.
const DRAND: &str = "https://api.drand.sh";
const MICROS_PER_SECOND: i64 = 1_000_000;

/// The entry of a place, as far as the visitor may see it.
#[derive(Debug)]
pub(super) enum OwnEntry {
    /// The page is about no place.
    NotAsked,
    /// The visitor is not signed in as the place's user.
    OfAnother,
    /// The place is no entry, or rows of the draw are not kept any more.
    None,
    /// An entry with this number, before the draw.
    Undrawn(Position),
    /// After the draw.
    Drawn(Box<EntryProof>),
}

/// A signature that was sent and refused.
#[derive(Debug, Default)]
pub(super) struct SentSignature {
    pub(super) text: String,
    /// Why the field is wrong.
    pub(super) fault: Option<String>,
    pub(super) notice: Option<FormNotice>,
}

/// What is published, and its name.
#[derive(Debug)]
struct PublishedFact {
    name: String,
    text: String,
    look: FactLook,
}

/// How a published fact is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FactLook {
    Words,
    /// Hexadecimal digits.
    Digits,
}

/// How far the draw is, in words.
#[derive(Debug)]
struct StageWords {
    title: String,
    texts: Vec<String>,
}

/// The round that the draw waits for.
#[derive(Debug)]
struct AwaitedRound {
    number: String,
    /// Where the beacon publishes it.
    address: String,
}

/// A step that the script computes again, by the name that `draw/check.js` gives it.
#[derive(Debug)]
struct CheckWords {
    name: &'static str,
    text: String,
}

/// The entry of the place in words.
#[derive(Debug, Default)]
struct OwnWords {
    number: Option<String>,
    rank: Option<String>,
    position: Option<String>,
    /// Why there is nothing to see.
    why: Option<String>,
    may_sign_in: bool,
    proof: Option<ProofWords>,
}

/// What proves the entry.
#[derive(Debug)]
struct ProofWords {
    /// As JSON, for the script.
    json: String,
    text: String,
    checks: Vec<CheckWords>,
}

/// The page.
#[derive(Template)]
#[template(path = "waiting/draw.html")]
pub(super) struct DrawPage {
    shell: Shell,
    head: PlaceHead,
    address: DrawAddress,
    room_id: RoomId,
    about: String,
    stage: StageWords,
    waiting: Option<AwaitedRound>,
    sent: SentSignature,
    own: Option<OwnWords>,
    /// The address of the record, once there is one.
    record: Option<String>,
    command: String,
    facts: Vec<PublishedFact>,
    rules: &'static str,
}

impl DrawPage {
    pub(super) fn new(
        shell: Shell,
        address: DrawAddress,
        found: Option<&ConcertOnSale>,
        standing: &DrawStanding,
        own: OwnEntry,
    ) -> HttpResult<Self> {
        let zone = found.map_or(HOME_ZONE, |found| &found.concert.time_zone);
        let writer = DrawWriter { shell: &shell, zone, standing };
        let room_id = standing.draw.room_id;
        let has_beacon = standing.draw.beacon.patience > Span::ZERO;
        Ok(Self {
            head: PlaceHead::of(&shell, found, None),
            about: shell.t(if has_beacon { "draw-about-beacon" } else { "draw-about-alone" }),
            stage: writer.stage(),
            waiting: writer.waiting(),
            sent: SentSignature::default(),
            record: standing.draw.result.is_some().then(|| format!("/api/v1/rooms/{room_id}/draw/record")),
            command: command(room_id, &own),
            facts: writer.facts(),
            own: writer.own(own)?,
            rules: RULES,
            address,
            room_id,
            shell,
        })
    }

    /// The page after a signature that was refused.
    pub(super) fn after(self, sent: SentSignature) -> Self {
        Self { sent, ..self }
    }

    pub(super) const fn shell(&self) -> &Shell {
        &self.shell
    }

    fn has_proof(&self) -> bool {
        self.own.as_ref().is_some_and(|own| own.proof.is_some())
    }

    pub(super) const fn notice(&self) -> Option<&FormNotice> {
        self.sent.notice.as_ref()
    }
}

/// The command that checks the record, and finds the entry in it.
fn command(room_id: RoomId, own: &OwnEntry) -> String {
    let entry = match own {
        OwnEntry::Drawn(proof) => format!(" --entry {}", proof.entry.number),
        _ => String::new(),
    };
    format!("frontrow verify-draw draw-{room_id}.json{entry}")
}

/// Writes a draw in the visitor's language.
struct DrawWriter<'a> {
    shell: &'a Shell,
    zone: &'a str,
    standing: &'a DrawStanding,
}

impl DrawWriter<'_> {
    const fn draw(&self) -> &Draw {
        &self.standing.draw
    }

    fn moment(&self, at: Time) -> String {
        self.shell.exact_moment(&at, self.zone)
    }

    fn deadline(&self) -> String {
        self.draw().deadline().map(|at| self.moment(at)).unwrap_or_default()
    }

    fn time_of(&self, round: BeaconRound) -> String {
        let seconds = self.draw().beacon.chain.time_of(round);
        self.moment(Time::from_micros(seconds.saturating_mul(MICROS_PER_SECOND)))
    }

    fn stage(&self) -> StageWords {
        let (shell, draw) = (self.shell, self.draw());
        match (&draw.sealed, &draw.result) {
            (Some(sealed), Some(result)) => {
                StageWords { title: shell.t("draw-drawn"), texts: vec![self.decided(sealed, result)] }
            }
            (Some(SealedEntries { round, .. }), None) => StageWords {
                title: shell.t1("draw-waiting", "round", round.0.to_string()),
                texts: vec![shell.t2("draw-waiting-text", "when", self.time_of(*round), "deadline", self.deadline())],
            },
            (None, _) if self.standing.room.draw == DrawPhase::Lobby => StageWords {
                title: shell.t1("draw-in-lobby", "n", self.standing.in_lobby),
                texts: vec![match self.standing.room.opens_at {
                    Some(at) => shell.t1("draw-opens", "when", self.moment(at)),
                    None => shell.t("draw-opens-later"),
                }],
            },
            (None, _) => StageWords { title: shell.t("draw-counting"), texts: vec![shell.t("draw-counting-text")] },
        }
    }

    fn decided(&self, sealed: &SealedEntries, result: &DrawResult) -> String {
        let patience = self.draw().beacon.patience;
        self.shell.t(match (&result.signature, patience) {
            (Some(_), _) => "draw-by-beacon",
            (None, _) if sealed.entered.is_empty() => "draw-no-entries",
            (None, Span::ZERO) => "draw-by-secret",
            (None, _) => "draw-by-secret-late",
        })
    }

    fn waiting(&self) -> Option<AwaitedRound> {
        let draw = self.draw();
        let (Some(sealed), None) = (&draw.sealed, &draw.result) else { return None };
        let round = sealed.round.0;
        let address = format!("{DRAND}/{}/public/{round}", draw.beacon.chain.hash);
        Some(AwaitedRound { number: round.to_string(), address })
    }

    fn facts(&self) -> Vec<PublishedFact> {
        let (shell, DrawStanding { room, secret_hash, draw, .. }) = (self.shell, self.standing);
        let mut facts = Vec::new();
        let mut add = |id: &str, text: String, look| facts.push(PublishedFact { name: shell.t(id), text, look });
        add("draw-fact-secret-hash", secret_hash.to_string(), FactLook::Digits);
        add("draw-fact-committed", self.moment(draw.begun_at), FactLook::Words);
        if let Some(at) = room.opens_at {
            add("draw-fact-opens", self.moment(at), FactLook::Words);
        }
        let has_beacon = draw.beacon.patience > Span::ZERO;
        if has_beacon {
            add("draw-fact-beacon", "drand".to_owned(), FactLook::Words);
            add("draw-fact-chain", draw.beacon.chain.hash.to_string(), FactLook::Digits);
        } else {
            add("draw-fact-beacon", shell.t("draw-fact-beacon-none"), FactLook::Words);
        }
        if let Some(sealed) = &draw.sealed {
            add("draw-fact-sealed", self.moment(sealed.sealed_at), FactLook::Words);
            add("draw-fact-entries", shell.number(&sealed.entered.len()), FactLook::Words);
            add("draw-fact-root", sealed.root.to_string(), FactLook::Digits);
            if has_beacon {
                let (round, when) = (sealed.round.0.to_string(), self.time_of(sealed.round));
                add("draw-fact-round", shell.t2("draw-fact-round-at", "round", round, "when", when), FactLook::Words);
                add("draw-fact-deadline", self.deadline(), FactLook::Words);
            }
        }
        if let Some(result) = &draw.result {
            add("draw-fact-drawn", self.moment(result.drawn_at), FactLook::Words);
            add("draw-fact-secret", draw.secret.reveal(), FactLook::Digits);
            if let Some(signature) = &result.signature {
                add("draw-fact-signature", signature.to_string(), FactLook::Digits);
                add("draw-fact-randomness", randomness_of(signature).to_string(), FactLook::Digits);
            }
            add("draw-fact-seed", result.seed.to_string(), FactLook::Digits);
        }
        facts
    }

    fn own(&self, own: OwnEntry) -> HttpResult<Option<OwnWords>> {
        let shell = self.shell;
        let words = OwnWords::default();
        Ok(Some(match own {
            OwnEntry::NotAsked => return Ok(None),
            OwnEntry::OfAnother => {
                OwnWords { why: Some(shell.t("draw-own-sign-in-text")), may_sign_in: !shell.is_signed_in(), ..words }
            }
            OwnEntry::None => OwnWords { why: Some(shell.t("draw-own-behind")), ..words },
            OwnEntry::Undrawn(position) => OwnWords { number: Some(shell.number(&position.0)), ..words },
            OwnEntry::Drawn(proof) => {
                let figure = |number: u64| shell.number(&i64::try_from(number).unwrap_or(i64::MAX));
                let (rank, entries) = (figure(proof.rank), figure(proof.record.entry_count));
                OwnWords {
                    number: Some(shell.number(&proof.entry.number)),
                    rank: Some(shell.t2("draw-own-rank-of", "rank", rank, "n", entries)),
                    position: Some(shell.number(&proof.position)),
                    proof: Some(ProofWords {
                        json: serde_json::to_string(&*proof).map_err(Problem::internal)?,
                        checks: self.checks(&proof),
                        text: proof.entry.text,
                    }),
                    ..words
                }
            }
        }))
    }

    fn checks(&self, proof: &EntryProof) -> Vec<CheckWords> {
        let randomness = match proof.record.randomness {
            Some(_) => "draw-check-randomness",
            None => "draw-check-randomness-none",
        };
        let checks = [
            ("secret_hash", "draw-check-secret-hash"),
            ("leaf", "draw-check-leaf"),
            ("path", "draw-check-path"),
            ("randomness", randomness),
            ("seed", "draw-check-seed"),
            ("key", "draw-check-key"),
        ];
        checks.map(|(name, id)| CheckWords { name, text: self.shell.t(id) }).into()
    }
}
