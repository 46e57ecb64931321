//! The scenarios: how many people come and when, how they behave, and what the operator does.

use super::{
    cluster::{Balancing, ClusterFailure, ClusterPlan},
    curves::ArrivalCurve,
};
use frontrow_domain::{command::RoomChange, line::Gate, time::Span};

/// How many of a hundred people behave in a way of their own. The others ask as they are told to, and take their turn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Shares {
    /// They stop asking on their way, for good.
    pub(super) ghosts: f64,
    /// They see their turn and do not take it.
    pub(super) no_shows: f64,
    /// They let their turn pass, and claim it later.
    pub(super) returners: f64,
    /// They are silent for some minutes on their way, and ask again.
    pub(super) sleepers: f64,
    /// They leave the line by its button.
    pub(super) leavers: f64,
    /// Of those who come in: they close the page without a word.
    pub(super) closers: f64,
}

impl Shares {
    /// As in a crowd that was measured.
    pub(super) const MEASURED: Self =
        Self { ghosts: 28.0, no_shows: 7.0, returners: 3.0, sleepers: 5.0, leavers: 5.0, closers: 10.0 };
    /// Everybody asks and takes the turn.
    pub(super) const NONE: Self =
        Self { ghosts: 0.0, no_shows: 0.0, returners: 0.0, sleepers: 0.0, leavers: 0.0, closers: 0.0 };
}

/// What happens to the room or to the server at a moment of the sale.
#[derive(Debug, Clone)]
pub(super) enum Turnout {
    /// An operator changes the room.
    Change(RoomChange),
    /// The server starts again: what it had in memory is read from the rows, and from the record that it kept last.
    Restart,
    /// The server is down for so long, and starts again then.
    Down(Span),
    /// Something happens to one of several instances, or between them.
    Instances(ClusterFailure),
}

/// What the leader of the line keeps for a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keeping {
    /// What it has measured and told, every ten seconds.
    Records,
    /// Nothing but the rows.
    Nothing,
}

/// Accounts of somebody who means to keep others out: they come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hoarders {
    None,
    /// So many ask and never claim.
    NeverClaim(u32),
    /// So many claim, and keep their places for as long as they may.
    Sit(u32),
}

/// A sale to simulate.
#[derive(Debug, Clone)]
pub(super) struct Scenario {
    pub(super) name: &'static str,
    pub(super) people: u32,
    pub(super) arrivals: ArrivalCurve,
    /// The instances, if there are several.
    pub(super) cluster: Option<ClusterPlan>,
    /// How long a lobby is open before the sale opens, which begins with a draw then; none if it is open at once.
    pub(super) lobby: Option<Span>,
    pub(super) max_active: i64,
    pub(super) admit_per_minute: Option<i64>,
    /// The median time inside, and the deviation of its logarithm.
    pub(super) visit: (Span, f64),
    pub(super) shares: Shares,
    pub(super) turnouts: Vec<(Span, Turnout)>,
    pub(super) hoarders: Hoarders,
    pub(super) keeping: Keeping,
    /// The end, whatever has happened by then.
    pub(super) lasts: Span,
}

impl Scenario {
    fn cap_change(seconds: i64, max_active: i64) -> (Span, Turnout) {
        let change = RoomChange { max_active: Some(max_active), ..RoomChange::default() };
        (Span::from_secs(seconds), Turnout::Change(change))
    }

    fn gate_change(seconds: i64, gate: Gate) -> (Span, Turnout) {
        let change = RoomChange { gate: Some(gate), ..RoomChange::default() };
        (Span::from_secs(seconds), Turnout::Change(change))
    }

    const fn rush(share: f64, lasts: i64, spread: i64) -> ArrivalCurve {
        ArrivalCurve::Rush { share, lasts: Span::from_secs(lasts), spread: Span::from_secs(spread) }
    }

    /// The sale `life` by another arrival curve.
    fn curve(name: &'static str, people: u32, arrivals: ArrivalCurve) -> Self {
        Self { name, people, arrivals, ..Self::life() }
    }

    /// The arrival curves.
    fn curves() -> [Self; 3] {
        let spike = ArrivalCurve::Spike { share: 40.0, lasts: Span::from_secs(5), mean: Span::from_secs(120) };
        let waves = ArrivalCurve::Waves {
            share: 50.0,
            at: [Span::from_secs(60), Span::from_secs(600)],
            deviation: Span::from_secs(20),
        };
        [
            Self::curve("curve_spike", 600, spike),
            // About as many as the room has places for.
            Self::curve("curve_steady", 1_500, ArrivalCurve::Steady(Span::from_secs(1_600))),
            Self::curve("curve_waves", 800, waves),
        ]
    }

    /// The sale `life` before three instances, to which this happens.
    fn cluster(name: &'static str, balance: Balancing, failures: &[(i64, ClusterFailure)]) -> Self {
        let turnout = |(at, failure): &(i64, ClusterFailure)| (Span::from_secs(*at), Turnout::Instances(*failure));
        Self {
            name,
            cluster: Some(ClusterPlan { instances: 3, balance }),
            turnouts: failures.iter().map(turnout).collect(),
            ..Self::life()
        }
    }

    /// The scenarios of several instances.
    fn clusters() -> [Self; 4] {
        let seconds = Span::from_secs;
        let down = [
            (90, ClusterFailure::LeaderDies(seconds(20))),
            (180, ClusterFailure::LeaderStalls(seconds(15))),
            (240, ClusterFailure::Restart(0, seconds(3))),
            (270, ClusterFailure::Restart(1, seconds(3))),
            (300, ClusterFailure::Restart(2, seconds(3))),
        ];
        [
            Self::cluster("cluster", Balancing::Random, &[]),
            Self::cluster("cluster_sticky", Balancing::Sticky, &[]),
            Self::cluster("cluster_down", Balancing::Random, &down),
            Self::cluster("redis_lost", Balancing::Random, &[(120, ClusterFailure::RedisLost(seconds(60)))]),
        ]
    }

    pub(super) fn life() -> Self {
        Self {
            name: "life",
            people: 600,
            arrivals: Self::rush(50.0, 10, 300),
            cluster: None,
            lobby: None,
            max_active: 60,
            admit_per_minute: Some(120),
            visit: (Span::from_secs(75), 0.6),
            shares: Shares::MEASURED,
            turnouts: Vec::new(),
            hoarders: Hoarders::None,
            keeping: Keeping::Records,
            lasts: Span::from_secs(7_200),
        }
    }

    /// A small room, with and without three times as many accounts as it has places.
    fn small() -> [Self; 4] {
        let small = |name, admit_per_minute, hoarders| Self {
            name,
            people: 150,
            max_active: 10,
            admit_per_minute,
            hoarders,
            ..Self::life()
        };
        [
            small("small", None, Hoarders::None),
            small("small_unclaimed", None, Hoarders::NeverClaim(30)),
            small("small_rate", Some(60), Hoarders::None),
            small("small_rate_unclaimed", Some(60), Hoarders::NeverClaim(30)),
        ]
    }

    /// The sale `life` behind a lobby, into which seven of ten people come.
    fn lobby() -> Self {
        let lasts = Span::from_secs(600);
        let arrivals = ArrivalCurve::Lobby { share: 70.0, lasts, spread: Span::from_secs(300) };
        Self { name: "lobby", arrivals, lobby: Some(lasts), ..Self::life() }
    }

    fn base() -> Self {
        Self {
            name: "base",
            people: 2_000,
            arrivals: Self::rush(50.0, 10, 120),
            max_active: 20,
            admit_per_minute: Some(300),
            visit: (Span::from_secs(5), 0.6),
            ..Self::life()
        }
    }

    fn plain(name: &'static str, admit_per_minute: Option<i64>) -> Self {
        Self {
            name,
            people: 300,
            arrivals: Self::rush(100.0, 2, 300),
            max_active: 40,
            admit_per_minute,
            visit: (Span::from_secs(40), 0.4),
            shares: Shares::NONE,
            ..Self::life()
        }
    }

    /// A line of a million, of which the most come in the first ten minutes.
    pub(super) fn million() -> Self {
        Self {
            name: "million",
            people: 1_000_000,
            arrivals: Self::rush(90.0, 600, 3_600),
            max_active: 20_000,
            admit_per_minute: None,
            visit: (Span::from_secs(120), 0.6),
            lasts: Span::from_secs(14_400),
            ..Self::life()
        }
    }

    pub(super) fn restart() -> Self {
        Self { name: "life_restart", turnouts: vec![(Span::from_secs(300), Turnout::Restart)], ..Self::life() }
    }

    fn down() -> Self {
        let down = (Span::from_secs(240), Turnout::Down(Span::from_secs(120)));
        Self { name: "life_down", turnouts: vec![down], ..Self::life() }
    }

    /// A large room that half of the people fill within ten seconds, without a rate: the sale that comes over HTTP, too.
    fn crowd() -> Self {
        Self {
            name: "crowd",
            people: 5_000,
            arrivals: Self::rush(50.0, 10, 120),
            max_active: 500,
            admit_per_minute: None,
            visit: (Span::from_secs(20), 0.6),
            ..Self::life()
        }
    }

    /// All scenarios but that of a million, which takes minutes.
    pub(super) fn all() -> Vec<Self> {
        let single = vec![
            Self::life(),
            Self::restart(),
            Self { name: "life_forgets", keeping: Keeping::Nothing, ..Self::restart() },
            Self::down(),
            Self { name: "down_forgets", keeping: Keeping::Nothing, ..Self::down() },
            Self { name: "life_unclaimed", hoarders: Hoarders::NeverClaim(30), ..Self::life() },
            Self { name: "life_sitters", hoarders: Hoarders::Sit(30), ..Self::life() },
            Self::lobby(),
            Self::base(),
            Self::plain("plain_rate", Some(60)),
            Self::plain("plain_free", None),
            Self { name: "ghosts_free", people: 500, shares: Shares::MEASURED, ..Self::plain("", None) },
            Self {
                name: "caps",
                people: 1_000,
                turnouts: vec![Self::cap_change(90, 60), Self::cap_change(150, 8), Self::cap_change(240, 20)],
                ..Self::base()
            },
            Self {
                name: "pause",
                people: 1_000,
                turnouts: vec![Self::gate_change(100, Gate::Paused), Self::gate_change(170, Gate::Open)],
                ..Self::base()
            },
            Self {
                name: "real",
                people: 20_000,
                arrivals: Self::rush(60.0, 60, 1_800),
                max_active: 1_000,
                admit_per_minute: None,
                visit: (Span::from_secs(200), 0.6),
                lasts: Span::from_secs(14_400),
                ..Self::life()
            },
            Self::crowd(),
        ];
        single.into_iter().chain(Self::small()).chain(Self::curves()).chain(Self::clusters()).collect()
    }
}
