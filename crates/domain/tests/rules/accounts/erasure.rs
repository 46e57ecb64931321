//! The erasure of accounts: what it takes away, what it keeps, and what stands against it.

use super::{account, issue_link, lock, open, sessions, set_password, unlock};
use crate::support::{
    self, BOSS, CLOCK, DAY, HOUSE, JUNHO, MINJI, SHOW, SORA, SaleModel, at, pay, refund, top_up, update_concert, user,
};
use frontrow_domain::{
    command::{Command, ConcertChange, Erasure, NewAdjustment, Outcome, Proof, Request, Worth},
    decide::decide,
    footprint::Footprint,
    id::{ConcertId, DebtId, ReservationId, TokenId, UserId},
    line::TokenStatus,
    money::Money,
    points::Settlement,
    refusal::Refusal,
    sale::ConcertStatus,
    user::{Caller, NewUser, Role, User, UserStatus},
};

/// When, by whom and what.
type TimedCommand = (i64, Caller, Command);

pub(super) fn erase(caller: Caller, proof: Proof, worth: Worth, tokens: &[TokenId], reservations: &[i64]) -> Command {
    Command::EraseUser(Erasure {
        user_id: user(caller),
        proof,
        idle_since: None,
        worth,
        tokens: tokens.to_vec(),
        reservations: reservations.iter().copied().map(ReservationId::new).collect(),
    })
}

fn erase_idle(caller: Caller, before: i64) -> Command {
    let Command::EraseUser(erasure) = erase(caller, Proof::Unneeded, Worth::Kept, &[], &[]) else {
        panic!("it is one")
    };
    Command::EraseUser(Erasure { idle_since: Some(at(before)), ..erasure })
}

fn request(command: Command) -> Request {
    Request { caller: CLOCK, command, idempotency: None }
}

#[test]
fn an_erased_account_has_no_owner_and_the_books_keep_its_id() {
    let (mut office, token) = SaleModel::with_hold(MINJI, &[1]);
    office.expect(MINJI, pay(token, &[1]), "paid");
    office.expect(Caller::Anonymous, open(MINJI, 1, 0), "signed_in");
    let (history, payments) = (office.model.history.clone(), office.model.payments.clone());
    let address = account(&office, MINJI).email.clone();
    office.at(SHOW + DAY);
    office.expect(CLOCK, erase(MINJI, Proof::Unneeded, Worth::Abandoned, &[], &[]), "user");
    let erased = account(&office, MINJI);
    assert_eq!((erased.name.as_str(), erased.status, erased.role), ("erased", UserStatus::Erased, Role::Buyer));
    assert_eq!(erased.email, User::erased_email(user(MINJI)));
    assert_eq!(office.model.passwords[&user(MINJI)], "");
    assert!(sessions(&office, MINJI).is_empty());
    assert_eq!((office.model.history.clone(), office.model.payments.clone()), (history, payments));
    let audit = office.model.audit.last().unwrap();
    assert!(audit.action == "user.erase" && !audit.detail.to_string().contains(&address));
    for epoch in 0..3 {
        office.expect(Caller::Anonymous, open(MINJI, 1, epoch), "not_found");
    }
    for command in [unlock(MINJI), lock(MINJI), issue_link(MINJI), set_password(MINJI, Proof::Unneeded, None)] {
        office.expect(CLOCK, command, "not_found");
    }
    let again = NewUser {
        user_id: UserId(uuid::Uuid::from_u128(77)),
        name: "Minji".to_owned(),
        email: address,
        password_hash: String::new(),
        role: Role::Buyer,
    };
    office.expect(Caller::Anonymous, Command::Register(again), "registered");
}

#[test]
fn erasure_ends_live_tokens_and_gives_held_seats_back() {
    let (mut office, token) = SaleModel::with_hold(MINJI, &[1, 2]);
    office.expect(CLOCK, erase(MINJI, Proof::Unneeded, Worth::Abandoned, &[token], &[1, 2]), "user");
    assert_eq!(office.status(token), TokenStatus::Ended);
    assert_eq!((office.letter(1), office.letter(2)), ('A', 'A'));
}

#[test]
fn erasure_touches_nothing_of_another_user() {
    let (mut office, token) = SaleModel::with_hold(MINJI, &[1]);
    office.expect(SORA, erase(SORA, Proof::Password(0), Worth::Kept, &[token], &[1]), "user");
    assert_eq!((office.status(token), office.letter(1)), (TokenStatus::Active, 'H'));
}

#[test]
fn an_account_with_points_or_a_ticket_to_come_is_erased_by_the_box_office_alone_and_on_purpose() {
    let (mut office, token) = SaleModel::with_hold(MINJI, &[1]);
    office.expect(MINJI, erase(MINJI, Proof::Password(0), Worth::Kept, &[token], &[1]), "balance_left");
    office.expect(MINJI, pay(token, &[1]), "paid");
    let kept = erase(MINJI, Proof::Unneeded, Worth::Kept, &[], &[1]);
    office.expect(CLOCK, kept.clone(), "balance_left");
    office.model.points.clear();
    office.model.history.clear();
    let careful = office.model.clone();
    let mut world = careful.load(office.now, office.policy, &Footprint::of(&[request(kept)]));
    let answer = decide(&mut world, &request(erase(MINJI, Proof::Unneeded, Worth::Kept, &[], &[1])));
    assert_eq!(support::name(&answer.decision), "tickets_left");
    let own = erase(MINJI, Proof::Password(0), Worth::Abandoned, &[], &[]);
    let mut world = careful.load(office.now, office.policy, &Footprint::of(&[request(own.clone())]));
    let mine = Request { caller: MINJI, ..request(own) };
    assert_eq!(support::name(&decide(&mut world, &mine).decision), "operator_account");
}

#[test]
fn an_account_with_an_open_debt_is_erased_once_it_is_settled() {
    let adjust = |won| {
        let (reason, reference) = ("A chargeback".to_owned(), format!("c{won}"));
        Command::Adjust(NewAdjustment { user_id: user(MINJI), amount: Money::new(won), reason, reference })
    };
    let settle = |debt_id| {
        let (debt_id, reason) = (DebtId::new(debt_id), "Paid at the desk".to_owned());
        Command::SettleDebt { user_id: user(MINJI), debt_id, how: Settlement::Waive, reason }
    };
    let own = || erase(MINJI, Proof::Password(0), Worth::Kept, &[], &[]);
    let mut office = SaleModel::new();
    office.expect(BOSS, adjust(-5_000), "adjusted");
    office.expect(BOSS, adjust(-3_000), "adjusted");
    office.expect(BOSS, settle(1), "debt");
    let owed = Err(Refusal::DebtLeft { debt_id: DebtId::new(2), amount: Money::new(3_000) });
    assert_eq!(office.ask(MINJI, own()), owed);
    for (worth, idle_since) in [(Worth::Kept, None), (Worth::Abandoned, None), (Worth::Kept, Some(at(DAY)))] {
        let Command::EraseUser(erasure) = erase(MINJI, Proof::Unneeded, worth, &[], &[]) else { panic!() };
        assert_eq!(office.ask(CLOCK, Command::EraseUser(Erasure { idle_since, ..erasure })), owed);
    }
    office.expect(SORA, erase(SORA, Proof::Password(0), Worth::Kept, &[], &[]), "user");
    // The debt of a moment ago counts, and its end too.
    let answers =
        office.batch(&[(BOSS, settle(2)), (BOSS, adjust(-1)), (MINJI, own()), (BOSS, settle(3)), (MINJI, own())]);
    assert_eq!(answers, ["debt", "adjusted", "debt_left", "debt", "user"]);
}

#[test]
fn a_refunded_ticket_and_an_empty_account_let_their_user_go() {
    let (mut office, token) = SaleModel::with_hold(MINJI, &[1]);
    office.expect(MINJI, pay(token, &[1]), "paid");
    office.expect(MINJI, refund(1), "refunded");
    let Ok(Outcome::User(user)) = office.ask(CLOCK, erase(MINJI, Proof::Unneeded, Worth::Abandoned, &[], &[1])) else {
        panic!("it is granted")
    };
    assert_eq!(user.status, UserStatus::Erased);
    office.expect(SORA, erase(SORA, Proof::Password(0), Worth::Kept, &[], &[]), "user");
    assert_eq!(HOUSE, token.room_id);
}

#[test]
fn a_sign_in_is_noted_when_none_was_for_a_day() {
    let mut office = SaleModel::new();
    let registered = account(&office, MINJI).signed_in_at;
    assert_eq!(registered, account(&office, MINJI).created_at);
    for (moment, noted) in [(0, 0), (DAY - 1, 0), (DAY, DAY), (2 * DAY - 1, DAY), (5 * DAY, 5 * DAY)] {
        office.run([(moment, Caller::Anonymous, open(MINJI, 1, 0), "signed_in")]);
        assert_eq!(account(&office, MINJI).signed_in_at, at(noted));
    }
    assert_eq!(account(&office, MINJI).updated_at, registered, "a sign-in changes nothing that others see");
}

#[test]
fn an_account_is_erased_for_idleness_only_if_it_was_neither_signed_in_to_nor_changed() {
    let last = 10 * DAY;
    // The last event of an account, and since when it is idle. The sign-in that was not noted
    // comes just before the end of a day.
    let cases: [(&[TimedCommand], i64); 4] = [
        (&[], DAY),
        (&[(DAY, Caller::Anonymous, open(MINJI, 1, 0)), (2 * DAY - 1, Caller::Anonymous, open(MINJI, 2, 0))], 2 * DAY),
        (&[(3 * DAY, CLOCK, set_password(MINJI, Proof::Unneeded, None))], 3 * DAY + 1),
        (&[(3 * DAY, BOSS, lock(MINJI)), (5 * DAY, BOSS, unlock(MINJI))], 5 * DAY + 1),
    ];
    for (events, idle_since) in cases {
        let mut office = SaleModel::new();
        for (moment, caller, command) in events {
            office.at(*moment);
            office.ask(*caller, command.clone()).unwrap();
        }
        office.at(last);
        office.expect(CLOCK, erase_idle(MINJI, idle_since - 1), "account_changed");
        office.expect(CLOCK, erase_idle(MINJI, idle_since), "user");
        assert_eq!(account(&office, MINJI).status, UserStatus::Erased);
        let audit = office.model.audit.last().unwrap();
        assert_eq!((audit.action.as_str(), &audit.detail["idle"]), ("user.erase", &serde_json::json!(true)));
        office.expect(CLOCK, erase_idle(MINJI, idle_since), "not_found");
    }
}

#[test]
fn a_sign_in_in_the_same_batch_keeps_an_idle_account() {
    let mut office = SaleModel::new();
    office.at(10 * DAY);
    let answers = office.batch(&[(Caller::Anonymous, open(MINJI, 1, 0)), (CLOCK, erase_idle(MINJI, 5 * DAY))]);
    assert_eq!(answers, ["signed_in", "account_changed"]);
}

#[test]
fn idleness_erases_no_operator_no_locked_account_and_nothing_of_worth() {
    let mut office = SaleModel::new();
    office.ask(BOSS, lock(JUNHO)).unwrap();
    office.top_up(MINJI, 1);
    office.at(10 * DAY);
    office.expect(CLOCK, erase_idle(BOSS, 5 * DAY), "account_changed");
    office.expect(CLOCK, erase_idle(JUNHO, 5 * DAY), "account_changed");
    office.expect(CLOCK, erase_idle(MINJI, 5 * DAY), "balance_left");
    office.expect(CLOCK, erase_idle(SORA, 5 * DAY), "user");
}

#[test]
fn a_ticket_that_may_still_be_refunded_keeps_its_account() {
    let change = |status| update_concert(1, ConcertChange { status: Some(status), ..ConcertChange::default() });
    let cancel = Command::CancelConcert { concert_id: ConcertId::new(1), reason: "A storm.".to_owned(), basis: None };
    let kept = erase(MINJI, Proof::Password(0), Worth::Kept, &[], &[1]);
    for (stop, answer) in [
        (change(ConcertStatus::Postponed), "tickets_left"),
        (cancel, "tickets_left"),
        (change(ConcertStatus::Closed), "user"),
    ] {
        let (mut office, token) = SaleModel::with_hold(MINJI, &[1]);
        office.expect(MINJI, pay(token, &[1]), "paid");
        office.expect(BOSS, stop, "concert");
        // The balance is another reason, and comes first.
        office.model.points.clear();
        office.model.history.clear();
        let mut world = office.model.load(at(SHOW + DAY), office.policy, &Footprint::of(&[request(kept.clone())]));
        let mine = Request { caller: MINJI, ..request(kept.clone()) };
        assert_eq!(support::name(&decide(&mut world, &mine).decision), answer);
    }
}

#[test]
fn no_top_up_reaches_an_erased_account() {
    let mut office = SaleModel::new();
    office.expect(SORA, erase(SORA, Proof::Password(0), Worth::Kept, &[], &[]), "user");
    for caller in [Caller::Service, BOSS, CLOCK] {
        office.expect(caller, top_up(SORA, 1_000, Some("pg-1")), "not_found");
    }
    office.expect(SORA, top_up(SORA, 1_000, None), "not_found");
    let answers = office.batch(&[
        (CLOCK, erase(MINJI, Proof::Unneeded, Worth::Kept, &[], &[])),
        (Caller::Service, top_up(MINJI, 1_000, Some("pg-2"))),
    ]);
    assert_eq!(answers, ["user", "not_found"], "nor in one batch with the erasure");
}
