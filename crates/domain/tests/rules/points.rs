//! Points, rule by rule: who may top up, how much, and what the history says.

use crate::support::{self, BOSS, CLOCK, HOUSE, JUNHO, MINJI, S, SORA, SaleModel, at, hold, pay, refund, top_up, user};
use frontrow_domain::{
    command::{Command, NewAdjustment, Outcome},
    id::{DebtId, UserId},
    money::Money,
    points::{DebtStatus, PointKind, Settlement, deducted, topped_up},
    policy::{Policy, TopUpPolicy},
    refusal::Refusal,
    user::Caller,
};
use uuid::Uuid;

/// Every caller, with and without a reference, topping up Minji's account.
fn top_ups_of_minji(policy: TopUpPolicy) -> Vec<String> {
    let mut names = Vec::new();
    for caller in [MINJI, JUNHO, BOSS, Caller::Service, CLOCK, Caller::Anonymous] {
        for reference in [None, Some("receipt 1")] {
            let mut office = SaleModel::new();
            office.policy.top_up_policy = policy;
            names.push(support::name(&office.ask(caller, top_up(MINJI, 1_000, reference))));
        }
    }
    names
}

#[test]
fn users_top_up_their_own_account_only_with_the_open_policy() {
    let trusted = ["malformed", "topped_up"];
    let others = ["top_up_not_allowed"; 2];
    assert_eq!(
        top_ups_of_minji(TopUpPolicy::Open),
        [["topped_up", "malformed"], others, trusted, trusted, trusted, others].concat()
    );
    assert_eq!(top_ups_of_minji(TopUpPolicy::Operator), [others, others, trusted, trusted, trusted, others].concat());
}

#[test]
fn operators_top_up_their_own_account_like_users_if_the_policy_is_open_and_else_with_a_reference() {
    let mut office = SaleModel::new();
    office.run([(0, BOSS, top_up(BOSS, 1_000, None), "topped_up")]);
    let lines = office.model.audit.len();
    office.policy.top_up_policy = TopUpPolicy::Operator;
    office.run([
        (0, BOSS, top_up(BOSS, 1_000, None), "malformed"),
        (0, BOSS, top_up(BOSS, 1_000, Some("receipt 1")), "topped_up"),
    ]);
    assert_eq!(office.model.audit.len(), lines + 1, "an operator's top-up leaves a trace");
}

#[test]
fn a_top_up_has_bounds_and_so_has_the_balance() {
    let mut office = SaleModel::new();
    office.policy.top_up_min = Money::new(1_000);
    office.policy.top_up_max = Money::new(50_000);
    office.policy.balance_max = Money::new(60_000);
    office.run([
        (0, MINJI, top_up(MINJI, 999, None), "amount_out_of_bounds"),
        (0, MINJI, top_up(MINJI, 0, None), "amount_out_of_bounds"),
        (0, MINJI, top_up(MINJI, -1_000, None), "amount_out_of_bounds"),
        (0, MINJI, top_up(MINJI, i64::MIN, None), "amount_out_of_bounds"),
        (0, MINJI, top_up(MINJI, 50_001, None), "amount_out_of_bounds"),
        (0, MINJI, top_up(MINJI, i64::MAX, None), "amount_out_of_bounds"),
        (0, MINJI, top_up(MINJI, 50_000, None), "topped_up"),
        (0, MINJI, top_up(MINJI, 10_001, None), "balance_too_large"),
        (0, MINJI, top_up(MINJI, 10_000, None), "topped_up"),
        (0, MINJI, top_up(MINJI, 1_000, None), "balance_too_large"),
        (0, JUNHO, top_up(JUNHO, 1_000, None), "topped_up"),
    ]);
    assert_eq!((office.balance(MINJI), office.balance(JUNHO)), (60_000, 1_000));
}

#[test]
fn a_reference_is_used_once_over_all_users() {
    let mut office = SaleModel::new();
    office.run([
        (0, Caller::Service, top_up(MINJI, 1_000, Some("receipt 1")), "topped_up"),
        (0, Caller::Service, top_up(MINJI, 1_000, Some("receipt 1")), "reference_used"),
        (0, BOSS, top_up(JUNHO, 2_000, Some("receipt 1")), "reference_used"),
        (0, MINJI, top_up(MINJI, 1_000, Some("receipt 1")), "malformed"),
        (0, MINJI, top_up(MINJI, 1_000, Some("receipt 2")), "malformed"),
        (0, Caller::Service, top_up(MINJI, 1_000, Some("receipt 2")), "topped_up"),
    ]);
    let answers = office.batch(&[
        (Caller::Service, top_up(MINJI, 1_000, Some("receipt 3"))),
        (Caller::Service, top_up(JUNHO, 1_000, Some("receipt 3"))),
    ]);
    assert_eq!(answers, ["topped_up", "reference_used"]);
    assert_eq!((office.balance(MINJI), office.balance(JUNHO)), (3_000, 0));
}

#[test]
fn only_a_user_has_an_account() {
    let mut office = SaleModel::new();
    let unknown_user = UserId(Uuid::from_u128(77));
    let command =
        Command::TopUp { user_id: unknown_user, amount: Money::new(1_000), reference: Some("receipt 1".to_owned()) };
    office.run([(0, BOSS, command, "not_found"), (0, BOSS, top_up(MINJI, 1_000, Some("receipt 1")), "topped_up")]);
}

#[test]
fn the_history_says_what_moved_the_points_and_what_was_left() {
    let mut office = SaleModel::new();
    let token = office.active(MINJI, HOUSE);
    office.run([
        (0, MINJI, top_up(MINJI, 30_000, None), "topped_up"),
        (0, JUNHO, top_up(JUNHO, 7_000, None), "topped_up"),
        (S, MINJI, hold(token, &[1, 2]), "held"),
        (2 * S, MINJI, pay(token, &[1, 2]), "paid"),
        (3 * S, MINJI, refund(2), "refunded"),
        (4 * S, MINJI, top_up(MINJI, 1_000, None), "topped_up"),
    ]);
    let mine = office.model.history.iter().filter(|entry| entry.user_id == user(MINJI));
    let lines: Vec<_> =
        mine.map(|entry| (entry.version, entry.kind, entry.amount.get(), entry.balance_after.get())).collect();
    assert_eq!(
        lines,
        [
            (1, PointKind::TopUp, 30_000, 30_000),
            (2, PointKind::Use, -10_000, 20_000),
            (3, PointKind::Use, -20_000, 0),
            (4, PointKind::Refund, 20_000, 20_000),
            (5, PointKind::TopUp, 1_000, 21_000),
        ]
    );
    let point = office.model.points[&user(MINJI)];
    assert_eq!((point.created_at, point.last_updated, point.version), (at(0), at(4 * S), 5));
}

#[test]
fn a_top_up_answers_with_its_entry() {
    let mut office = SaleModel::new();
    office.ask(MINJI, top_up(MINJI, 5_000, None)).unwrap();
    let Ok(Outcome::ToppedUp(entry)) = office.ask(MINJI, top_up(MINJI, 3_000, None)) else { panic!() };
    assert_eq!((entry.amount, entry.balance_after), (Money::new(3_000), Money::new(8_000)));
}

#[test]
fn topping_up_and_deducting_never_leave_their_bounds() {
    let policy = Policy { top_up_max: Money::MAX, balance_max: Money::MAX, ..Policy::default() };
    let won = Money::new;
    assert_eq!(topped_up(won(0), Money::MAX, &policy), Ok(Money::MAX));
    assert_eq!(topped_up(won(1), Money::MAX, &policy), Err(Refusal::BalanceTooLarge { max: Money::MAX }));
    assert_eq!(deducted(won(5), won(5)), Ok(won(0)));
    assert_eq!(deducted(won(5), won(6)), Err(Refusal::InsufficientPoints { balance: won(5), price: won(6) }));
    let most = won(i64::MAX);
    assert_eq!(deducted(won(i64::MIN), most), Err(Refusal::InsufficientPoints { balance: won(i64::MIN), price: most }));
}

fn adjust(caller: Caller, won: i64, reference: &str) -> Command {
    Command::Adjust(NewAdjustment {
        user_id: user(caller),
        amount: Money::new(won),
        reason: "chargeback".to_owned(),
        reference: reference.to_owned(),
    })
}

#[test]
fn a_correction_never_takes_more_than_there_is_and_the_rest_is_owed() {
    let mut office = SaleModel::new();
    office.top_up(MINJI, 30_000);
    office.run([
        (0, MINJI, adjust(MINJI, 1, "a"), "forbidden"),
        (0, BOSS, adjust(MINJI, 0, "a"), "amount_out_of_bounds"),
        (0, BOSS, adjust(MINJI, 10_000_001, "a"), "amount_out_of_bounds"),
        (0, BOSS, adjust(MINJI, -10_000_001, "a"), "amount_out_of_bounds"),
        (0, BOSS, adjust(MINJI, 1, ""), "malformed"),
        (0, Caller::Service, adjust(MINJI, -10_000, "a"), "adjusted"),
        (0, BOSS, adjust(MINJI, 5, "a"), "reference_used"),
        (0, BOSS, adjust(JUNHO, 5, "a"), "adjusted"),
        (0, BOSS, adjust(MINJI, -50_000, "b"), "adjusted"),
    ]);
    assert_eq!(office.balance(MINJI), 0);
    let debt = office.model.debts.values().next().unwrap().clone();
    assert_eq!((debt.amount, debt.status, debt.reference.as_str()), (Money::new(30_000), DebtStatus::Open, "b"));
    // Of an empty balance nothing moves, and the reference is used all the same.
    office.run([(0, BOSS, adjust(MINJI, -1, "c"), "adjusted"), (0, BOSS, adjust(MINJI, -1, "c"), "reference_used")]);
    assert_eq!(office.model.history.iter().filter(|entry| entry.kind == PointKind::Adjustment).count(), 3);
    let answers = office.batch(&[(BOSS, adjust(SORA, 7, "x")), (BOSS, adjust(SORA, 7, "x"))]);
    assert_eq!(answers, ["adjusted", "reference_used"]);
}

#[test]
fn a_debt_is_settled_once_and_collected_as_a_whole() {
    let mut office = SaleModel::new();
    let settle = |number, caller, how| Command::SettleDebt {
        user_id: user(caller),
        debt_id: DebtId::new(number),
        how,
        reason: "as agreed".to_owned(),
    };
    office.run([
        (0, BOSS, adjust(MINJI, -100, "a"), "adjusted"),
        (0, BOSS, adjust(MINJI, -40, "b"), "adjusted"),
        (0, MINJI, settle(1, MINJI, Settlement::Waive), "forbidden"),
        (0, BOSS, settle(3, MINJI, Settlement::Waive), "not_found"),
        (0, BOSS, settle(1, JUNHO, Settlement::Waive), "not_found"),
        (0, BOSS, settle(1, MINJI, Settlement::Collect), "balance_too_low"),
        (0, BOSS, settle(2, MINJI, Settlement::Waive), "debt"),
        (0, BOSS, settle(2, MINJI, Settlement::Collect), "debt_settled"),
    ]);
    office.top_up(MINJI, 150);
    office.expect(BOSS, settle(1, MINJI, Settlement::Collect), "debt");
    office.expect(BOSS, settle(1, MINJI, Settlement::Waive), "debt_settled");
    assert_eq!(office.balance(MINJI), 50);
    let last = office.model.audit.last().unwrap();
    assert_eq!(
        (last.action.as_str(), last.object.as_str(), &last.detail["reason"]),
        ("debt.settle", "debt 1", &"as agreed".into())
    );
}
