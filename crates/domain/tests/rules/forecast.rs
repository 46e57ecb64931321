//! What is forecast of a sale, and when nothing is.

use crate::support::{HOUSE, S, SaleModel, at};
use frontrow_domain::{
    id::ConcertId,
    line::{Forecast, ForecastUnknown, Gate, Room, SalePace, VISITS_MIN},
    sale::{Concert, ConcertStatus},
    time::{Span, Time},
};
use proptest::prelude::*;

/// A minute in which 100 tokens were active throughout, 200 visits ended, 300 joined and 100 seats were sold: a visit
/// takes 30 s and sells half a seat.
const STEADY: SalePace = SalePace {
    window: Span::from_secs(60),
    active_before: 100,
    active: 100,
    admitted: 200,
    joined: 300,
    sold: 100,
    waiting: 5_000,
    unsold: 1_000,
};

fn room(max_active: i64, admit_per_minute: Option<i64>) -> Room {
    Room { admit_per_minute, ..Room::new(HOUSE, max_active, at(0)) }
}

fn concert() -> Concert {
    SaleModel::new().model.concerts[&ConcertId::new(1)].clone()
}

fn with(room: &Room, pace: &SalePace) -> Result<Forecast, ForecastUnknown> {
    Forecast::of(room, &concert(), pace, at(S))
}

#[expect(clippy::unnecessary_wraps, reason = "the figures are options")]
const fn secs(secs: i64) -> Option<Span> {
    Some(Span::from_secs(secs))
}

#[test]
fn the_seats_go_at_the_pace_at_which_visits_end() {
    // 200 visits a minute sell 100 seats; 1,000 are left.
    let now = with(&room(100, None), &STEADY).unwrap();
    assert_eq!((now.sold_out_in, now.line_empty_in), (secs(600), None), "300 join while 200 go");
    // 1,000 seats are 2,000 visits: 100 are active, so 1,900 of 5,000 who wait will find one.
    assert_eq!(now.reach_ppm, Some(380_000));
    let wide = with(&room(300, None), &STEADY).unwrap();
    assert_eq!((wide.sold_out_in, wide.reach_ppm), (secs(200), now.reach_ppm));
    assert_eq!(wide.line_empty_in, secs(1_000), "600 a minute get a turn and 300 join");
    let narrow = with(&room(50, None), &STEADY).unwrap();
    assert_eq!(narrow.sold_out_in, secs(1_200));
}

#[test]
fn a_rate_binds_if_it_lets_fewer_through_than_the_cap() {
    let by_cap = with(&room(100, None), &STEADY).unwrap();
    assert_eq!(with(&room(100, Some(200)), &STEADY).unwrap(), by_cap);
    assert_eq!(with(&room(100, Some(100)), &STEADY).unwrap().sold_out_in, secs(1_200));
    assert_eq!(with(&room(1_000, Some(100)), &STEADY).unwrap().sold_out_in, secs(1_200), "a cap does not help");
    // Of 200 turns a minute, half are not claimed.
    let absent = Room { no_show_ppm: 500_000, ..room(100, Some(200)) };
    assert_eq!(with(&absent, &STEADY).unwrap().sold_out_in, secs(1_200));
}

#[test]
fn seats_are_not_sold_sooner_than_buyers_come() {
    // 100 active and 500 waiting buy 300 of 1,000 seats; for the rest, 1,400 must join, 300 a minute.
    let short = SalePace { waiting: 500, ..STEADY };
    let wide = with(&room(100_000, None), &short).unwrap();
    assert_eq!((wide.sold_out_in, wide.reach_ppm), (secs(280), Some(1_000_000)));
    let last = SalePace { joined: 0, ..short };
    let stays = with(&room(100, None), &last).unwrap();
    assert_eq!((stays.sold_out_in, stays.line_empty_in), (None, secs(150)), "seats are left");
    let gone = SalePace { unsold: 0, ..STEADY };
    assert_eq!(with(&room(100, None), &gone).unwrap().sold_out_in, secs(0));
    assert_eq!(with(&room(100, None), &gone).unwrap().reach_ppm, Some(0));
    let none_bought = SalePace { sold: 0, ..STEADY };
    let none_bought = with(&room(300, None), &none_bought).unwrap();
    assert_eq!((none_bought.sold_out_in, none_bought.reach_ppm), (None, None));
    assert_eq!(none_bought.line_empty_in, secs(1_000));
    let no_line = SalePace { waiting: 0, ..STEADY };
    let no_line = with(&room(300, None), &no_line).unwrap();
    assert_eq!((no_line.line_empty_in, no_line.reach_ppm), (secs(0), None));
}

#[test]
fn nothing_is_forecast_before_enough_visits_have_ended() {
    // The room has filled, and no visit has ended yet.
    let filling = SalePace { active_before: 0, admitted: 100, ..STEADY };
    assert_eq!(with(&room(100, None), &filling), Err(ForecastUnknown::Measuring));
    let just_short = SalePace { admitted: VISITS_MIN - 1, ..STEADY };
    assert_eq!(with(&room(100, None), &just_short), Err(ForecastUnknown::Measuring));
    assert!(with(&room(100, None), &SalePace { admitted: VISITS_MIN, ..STEADY }).is_ok());
    assert_eq!(with(&room(100, None), &SalePace::default()), Err(ForecastUnknown::Measuring));
    assert_eq!(with(&room(100, None), &SalePace { window: Span::ZERO, ..STEADY }), Err(ForecastUnknown::Measuring));
}

#[test]
fn nothing_is_forecast_of_a_sale_that_does_not_go_on() {
    let of = |room: &Room, concert: &Concert, now: Time| Forecast::of(room, concert, &STEADY, now);
    let (open, concert) = (room(100, None), concert());
    let paused = Room { gate: Gate::Paused, ..open.clone() };
    assert_eq!(of(&paused, &concert, at(S)), Err(ForecastUnknown::Paused));
    assert_eq!(of(&room(0, None), &concert, at(S)), Err(ForecastUnknown::Paused));
    assert_eq!(of(&open, &concert, concert.opens_at.minus(Span::from_micros(1))), Err(ForecastUnknown::NotOpen));
    assert_eq!(of(&open, &concert, concert.closes_at), Err(ForecastUnknown::Closed));
    for status in [ConcertStatus::Closed, ConcertStatus::Postponed, ConcertStatus::Cancelled] {
        assert_eq!(of(&open, &Concert { status, ..concert.clone() }, at(S)), Err(ForecastUnknown::Closed));
    }
}

#[test]
fn of_a_line_by_itself_it_is_said_when_it_is_empty_and_nothing_of_seats() {
    let (room, paused) = (room(100, None), Room { gate: Gate::Paused, ..room(100, None) });
    let pace = SalePace { joined: 0, ..STEADY };
    let (of_sale, of_line) = (with(&room, &pace).unwrap(), Forecast::of_line(&room, &pace).unwrap());
    assert_eq!(of_line, Forecast { sold_out_in: None, reach_ppm: None, ..of_sale });
    assert!(of_line.line_empty_in.is_some() && of_sale.sold_out_in.is_some());
    assert_eq!(Forecast::of_line(&paused, &STEADY), Err(ForecastUnknown::Paused));
    assert_eq!(Forecast::of_line(&room, &SalePace::default()), Err(ForecastUnknown::Measuring));
}

fn pace() -> impl Strategy<Value = SalePace> {
    let tokens = 0_i64..100_000;
    (1_i64..900, tokens.clone(), tokens.clone(), tokens.clone(), tokens.clone(), tokens.clone(), tokens.clone(), tokens)
        .prop_map(|(seconds, active_before, active, admitted, joined, sold, waiting, unsold)| SalePace {
            window: Span::from_secs(seconds),
            active_before,
            active,
            admitted,
            joined,
            sold,
            waiting,
            unsold,
        })
}

/// A time that may never come, for comparison.
fn or_never(span: Option<Span>) -> i64 {
    span.map_or(i64::MAX, Span::micros)
}

proptest! {
    #[test]
    fn more_cap_or_more_rate_is_never_later(
        pace in pace(),
        cap in 1_i64..1_000_000,
        more in 0_i64..1_000_000,
        rate in proptest::option::of(1_i64..1_000_000),
        no_show_ppm in 0_i64..=1_000_000,
    ) {
        let set = |max_active, admit_per_minute| Room { no_show_ppm, ..room(max_active, admit_per_minute) };
        let base = with(&set(cap, rate), &pace);
        let higher = [set(cap + more, rate), set(cap, rate.map(|rate| rate + more)), set(cap, None)];
        for higher in higher.map(|room| with(&room, &pace)) {
            match (base, higher) {
                (Ok(base), Ok(higher)) => {
                    prop_assert!(or_never(higher.sold_out_in) <= or_never(base.sold_out_in));
                    prop_assert!(or_never(higher.line_empty_in) <= or_never(base.line_empty_in));
                    prop_assert_eq!(higher.reach_ppm, base.reach_ppm, "a faster line has no more seats");
                }
                (base, higher) => prop_assert_eq!(base.err(), higher.err()),
            }
        }
    }

    #[test]
    fn a_rate_sells_no_seat_sooner_than_its_turns_allow(pace in pace(), cap in 1_i64..1_000_000, rate in 1_i64..10_000) {
        if let Ok(Forecast { sold_out_in: Some(span), .. }) = with(&room(cap, Some(rate)), &pace) {
            // Visits that are needed: unsold ÷ (sold ÷ visits), at `rate` a minute.
            let needed = i128::from(pace.unsold) * i128::from(pace.visits()) / i128::from(pace.sold.max(1));
            let least = if pace.unsold == 0 { 0 } else { needed * 60_000_000 / i128::from(rate) };
            prop_assert!(i128::from(span.micros()) >= least - 1);
        }
    }

    #[test]
    fn every_figure_is_in_its_bounds(pace in pace(), cap in 0_i64..=1_000_000, rate in proptest::option::of(1_i64..1_000_000)) {
        if let Ok(Forecast { sold_out_in, line_empty_in, reach_ppm }) = with(&room(cap, rate), &pace) {
            prop_assert!(pace.visits() >= VISITS_MIN && cap > 0);
            prop_assert!(sold_out_in.is_none_or(|span| span >= Span::ZERO));
            prop_assert!(line_empty_in.is_none_or(|span| span >= Span::ZERO));
            prop_assert!(reach_ppm.is_none_or(|reach| (0..=1_000_000).contains(&reach)));
        }
    }

    #[test]
    fn no_number_is_too_large_to_be_forecast_from(
        numbers in proptest::array::uniform7(proptest::num::i64::ANY), window in proptest::num::i64::ANY, cap in proptest::num::i64::ANY,
    ) {
        let [active_before, active, admitted, joined, sold, waiting, unsold] = numbers;
        let window = Span::from_micros(window);
        let pace = SalePace { window, active_before, active, admitted, joined, sold, waiting, unsold };
        let _ = with(&room(cap, Some(cap)), &pace);
    }
}
