//! The version of a concert that an operator's act is based on.

use crate::support::{BOSS, S, SaleModel, at, poster, set_poster, update_concert};
use frontrow_domain::{
    command::{Command, ConcertChange, Replay, Request},
    id::ConcertId,
    refusal::Refusal,
    time::Time,
    user::Caller,
};

const CONCERT: ConcertId = ConcertId::new(1);

fn cancel(basis: Option<Time>) -> Command {
    Command::CancelConcert { concert_id: CONCERT, reason: "The singer is ill.".to_owned(), basis }
}

fn refund_all(basis: Option<Time>) -> Command {
    Command::RefundConcert { concert_id: CONCERT, basis }
}

fn version(office: &SaleModel) -> Time {
    office.model.concerts[&CONCERT].updated_at
}

#[test]
fn a_concert_is_cancelled_and_refunded_only_in_the_version_that_was_seen() {
    let mut office = SaleModel::new();
    let seen = Some(version(&office));
    let title = Some("Ebb".to_owned());
    office.run([(S, BOSS, update_concert(1, ConcertChange { title, ..ConcertChange::default() }), "concert")]);
    office.expect(BOSS, cancel(seen), "changed_meanwhile");
    office.expect(BOSS, refund_all(seen), "changed_meanwhile");
    let seen = Some(version(&office));
    office.expect(BOSS, refund_all(seen), "concert_not_cancelled");
    office.run([(2 * S, BOSS, cancel(seen), "concert")]);
    // Of two operators who saw the same, the second learns of the first.
    office.expect(BOSS, cancel(seen), "changed_meanwhile");
    office.expect(BOSS, refund_all(seen), "changed_meanwhile");
    let seen = Some(version(&office));
    office.run([(3 * S, BOSS, refund_all(seen), "concert")]);
    office.expect(BOSS, refund_all(seen), "changed_meanwhile");
    // Of any version, a second time changes nothing.
    let before = office.model.clone();
    office.expect(BOSS, cancel(None), "concert");
    office.expect(BOSS, refund_all(None), "concert");
    assert!(office.model == before);
}

#[test]
fn what_winding_up_writes_is_no_change_that_an_operator_has_to_see_before_refunding_everyone() {
    let mut office = SaleModel::new();
    office.run([(S, BOSS, cancel(None), "concert")]);
    let seen = version(&office);
    office.at(office.micros() + 60 * S);
    office.expect(Caller::System, Command::SettleConcert { concert_id: CONCERT, seen }, "concert");
    assert!(version(&office) > seen);
    office.expect(BOSS, refund_all(Some(seen)), "concert");
}

#[test]
fn an_act_that_is_sent_twice_is_answered_as_the_first_time_although_its_version_is_gone() {
    let mut office = SaleModel::new();
    for act in [cancel, refund_all] {
        let seen = Some(version(&office));
        office.at(office.micros() + S);
        let first = office.ask_with_key(1, 1, BOSS, act(seen));
        let before = office.model.clone();
        let again = office.ask_with_key(1, 1, BOSS, act(seen));
        assert_eq!((first.replay, again.replay), (Replay::Fresh, Replay::Replayed));
        assert!(first.decision.is_ok() && again.decision == first.decision && office.model == before);
        assert_eq!(office.ask_with_key(1, 2, BOSS, act(None)).decision, Err(Refusal::IdempotencyKeyReused));
        office.model.kept.clear();
    }
}

#[test]
fn an_act_on_a_version_is_run_again_only_under_its_key() {
    let request = |command| Request { caller: BOSS, command, idempotency: None };
    for act in [cancel, refund_all] {
        assert!(request(act(None)).is_repeatable());
        assert!(!request(act(Some(at(0)))).is_repeatable());
    }
}

#[test]
fn a_poster_is_set_and_removed_in_the_version_that_was_seen_and_again_in_any() {
    let mut office = SaleModel::new();
    let seen = Some(version(&office));
    let set = |number, basis| Command::SetPoster { poster: poster(1, number), basis };
    let remove = |basis| Command::RemovePoster { concert_id: CONCERT, basis };
    office.run([(S, BOSS, set(1, seen), "concert")]);
    office.expect(BOSS, set(1, seen), "concert");
    office.expect(BOSS, set(2, seen), "changed_meanwhile");
    office.expect(BOSS, remove(seen), "changed_meanwhile");
    let seen = Some(version(&office));
    office.run([(2 * S, BOSS, remove(seen), "concert")]);
    office.expect(BOSS, remove(seen), "concert");
    office.expect(BOSS, set(2, seen), "changed_meanwhile");
    office.expect(BOSS, set_poster(1, 2), "concert");
}
