//! Second factors: who sets one up, what signing in then takes, and the first operator.

use super::{open, session, sessions};
use crate::support::{BOSS, CLOCK, DAY, JUNHO, MIN, MINJI, S, SaleModel, VIEWER, at, register, user};
use frontrow_domain::{
    command::{Command, FactorConfirmation, FactorStep, Proof},
    id::UserId,
    policy::WRONG_CODES_MAX,
    user::{
        Caller, FactorProof, FactorSecret, FactorState, NewUser, RECOVERY_CODES, Role, Session, UserStatus, code_step,
    },
};
use uuid::Uuid;

const SECRET: FactorSecret = FactorSecret([3; 20]);
/// One step of codes in microseconds.
const STEP: i64 = 30 * S;

fn code(micros: i64) -> FactorProof {
    FactorProof::Code { step: code_step(at(micros)) }
}

const fn recovery(byte: u8) -> FactorProof {
    FactorProof::Recovery { code_hash: [byte; 32] }
}

fn hashes() -> Vec<[u8; 32]> {
    (1..=u8::try_from(RECOVERY_CODES).unwrap()).map(|byte| [byte; 32]).collect()
}

fn enrol(whose: Caller) -> Command {
    Command::ChangeFactor { user_id: user(whose), step: FactorStep::Enrol { secret: SECRET } }
}

fn confirmation(micros: i64) -> FactorConfirmation {
    FactorConfirmation {
        secret: SECRET,
        step: code_step(at(micros)),
        recovery: hashes(),
        proof: Proof::Password(0),
        kept_session: [1; 32],
    }
}

fn confirm(whose: Caller, micros: i64) -> Command {
    Command::ChangeFactor { user_id: user(whose), step: FactorStep::Confirm(confirmation(micros)) }
}

fn with(whose: Caller, secret: u8, epoch: i64, proof: FactorProof) -> Command {
    let session = Session { role: Role::Operator, ..session(whose, secret) };
    Command::OpenSessionWithFactor { session, epoch, proof }
}

fn remove(whose: Caller, proof: FactorProof) -> Command {
    Command::ChangeFactor { user_id: user(whose), step: FactorStep::Remove { proof } }
}

fn state(office: &SaleModel, whose: Caller) -> Option<&FactorState> {
    office.model.factors.get(&user(whose)).map(|factor| &factor.state)
}

/// A box office whose operator has set up a second factor at its start, and is at epoch 1 since.
fn with_factor() -> SaleModel {
    let mut office = SaleModel::new();
    office.run([
        (0, Caller::Anonymous, open(BOSS, 1, 0), "signed_in"),
        (0, Caller::Anonymous, open(BOSS, 2, 0), "signed_in"),
        (0, BOSS, enrol(BOSS), "done"),
        (0, BOSS, confirm(BOSS, 0), "done"),
    ]);
    office
}

#[test]
fn a_factor_is_in_force_once_a_code_and_the_password_confirm_it_and_other_sessions_end() {
    let mut office = SaleModel::new();
    office.run([
        (0, Caller::Anonymous, open(BOSS, 1, 0), "signed_in"),
        (0, Caller::Anonymous, open(BOSS, 2, 0), "signed_in"),
        (0, BOSS, confirm(BOSS, 0), "account_changed"),
        (0, BOSS, enrol(BOSS), "done"),
        // A secret that no app has proved to know stops no sign-in.
        (0, Caller::Anonymous, open(BOSS, 3, 0), "signed_in"),
        (0, BOSS, confirm(BOSS, 2 * STEP), "second_factor_wrong"),
        (0, BOSS, confirm(BOSS, -2 * STEP), "second_factor_wrong"),
    ]);
    let with = |change: fn(&mut FactorConfirmation)| {
        let mut confirmed = confirmation(0);
        change(&mut confirmed);
        Command::ChangeFactor { user_id: user(BOSS), step: FactorStep::Confirm(confirmed) }
    };
    office.expect(BOSS, with(|to| to.secret = FactorSecret([4; 20])), "account_changed");
    office.expect(BOSS, with(|to| to.proof = Proof::Password(7)), "account_changed");
    office.expect(BOSS, with(|to| to.proof = Proof::Unneeded), "forbidden");
    office.expect(BOSS, with(|to| to.recovery = vec![[0; 32]; RECOVERY_CODES + 1]), "malformed");
    let before = office.model.audit.len();
    office.run([(0, BOSS, confirm(BOSS, STEP), "done")]);
    assert_eq!(sessions(&office, BOSS), [1]);
    assert_eq!(office.model.audit[before..].len(), 1);
    assert_eq!(office.model.audit[before].action, "user.second_factor");
    office.run([
        (0, BOSS, enrol(BOSS), "second_factor_active"),
        (0, BOSS, confirm(BOSS, STEP), "second_factor_active"),
        (0, BOSS, Command::ChangeFactor { user_id: user(BOSS), step: FactorStep::Decline }, "second_factor_active"),
        (0, Caller::Anonymous, open(BOSS, 4, 0), "account_changed"),
        (0, Caller::Anonymous, open(BOSS, 4, 1), "second_factor_needed"),
    ]);
}

#[test]
fn only_operators_and_viewers_set_up_a_factor_and_only_of_their_own_account() {
    let mut office = SaleModel::new();
    office.expect(CLOCK, register(VIEWER), "registered");
    let decline = |whose| Command::ChangeFactor { user_id: user(whose), step: FactorStep::Decline };
    for other in [MINJI, VIEWER, Caller::Anonymous, Caller::Service] {
        office.expect(other, enrol(BOSS), "not_found");
        office.expect(other, decline(BOSS), "not_found");
    }
    office.run([
        (0, MINJI, enrol(MINJI), "forbidden"),
        (0, MINJI, decline(MINJI), "forbidden"),
        (0, VIEWER, enrol(VIEWER), "done"),
        (0, VIEWER, decline(VIEWER), "done"),
    ]);
    assert_eq!(state(&office, VIEWER), Some(&FactorState::Declined));
    office.run([
        (0, VIEWER, confirm(VIEWER, 0), "account_changed"),
        (0, VIEWER, enrol(VIEWER), "done"),
        (0, VIEWER, confirm(VIEWER, 0), "done"),
    ]);
    for other in [BOSS, MINJI, Caller::Anonymous] {
        office.expect(other, remove(VIEWER, recovery(1)), "not_found");
        office.expect(other, Command::ChangeFactor { user_id: user(VIEWER), step: FactorStep::Reset }, "forbidden");
        office.expect(
            other,
            Command::ChangeFactor { user_id: user(VIEWER), step: FactorStep::NoteWrongCode },
            "forbidden",
        );
    }
    office.expect(BOSS, remove(BOSS, recovery(1)), "not_found");
}

#[test]
fn a_code_opens_one_session_and_no_older_one_opens_another() {
    let mut office = with_factor();
    let anonymous = Caller::Anonymous;
    office.run([
        // The code that confirmed the factor was used.
        (0, anonymous, with(BOSS, 3, 1, code(0)), "second_factor_wrong"),
        (0, anonymous, with(BOSS, 3, 1, code(2 * STEP)), "second_factor_wrong"),
        (0, anonymous, with(BOSS, 3, 1, code(STEP)), "signed_in"),
        (0, anonymous, with(BOSS, 4, 1, code(STEP)), "second_factor_wrong"),
        (5 * STEP, anonymous, with(BOSS, 4, 0, code(5 * STEP)), "account_changed"),
        (5 * STEP, anonymous, with(BOSS, 4, 1, code(3 * STEP)), "second_factor_wrong"),
        (5 * STEP, anonymous, with(BOSS, 4, 1, code(5 * STEP)), "signed_in"),
        (5 * STEP, anonymous, with(BOSS, 5, 1, code(4 * STEP)), "second_factor_wrong"),
        (5 * STEP, anonymous, open(BOSS, 5, 1), "second_factor_needed"),
    ]);
    assert_eq!(sessions(&office, BOSS), [1, 3, 4]);
    let answers = office.batch(&[
        (anonymous, with(BOSS, 6, 1, code(6 * STEP))),
        (anonymous, with(BOSS, 7, 1, code(6 * STEP))),
        (anonymous, with(BOSS, 8, 1, recovery(1))),
        (anonymous, with(BOSS, 9, 1, recovery(1))),
    ]);
    assert_eq!(answers, ["signed_in", "second_factor_wrong", "signed_in", "second_factor_wrong"]);
    office.expect(CLOCK, Command::LockUser { user_id: user(BOSS), reason: None }, "done");
    office.expect(anonymous, with(BOSS, 9, 2, recovery(2)), "account_locked");
}

#[test]
fn a_recovery_code_works_once_and_new_ones_replace_all() {
    let mut office = with_factor();
    let anonymous = Caller::Anonymous;
    let renew = |proof| Command::ChangeFactor {
        user_id: user(BOSS),
        step: FactorStep::RenewCodes { proof, recovery: vec![[77; 32]] },
    };
    office.run([
        (DAY, anonymous, with(BOSS, 3, 1, recovery(1)), "signed_in"),
        (DAY, anonymous, with(BOSS, 4, 1, recovery(1)), "second_factor_wrong"),
        (DAY, anonymous, with(BOSS, 4, 1, recovery(99)), "second_factor_wrong"),
        (DAY, JUNHO, renew(recovery(2)), "not_found"),
        (DAY, BOSS, renew(recovery(1)), "second_factor_wrong"),
        (DAY, BOSS, renew(code(DAY)), "done"),
        (DAY, anonymous, with(BOSS, 4, 1, code(DAY)), "second_factor_wrong"),
        (DAY, anonymous, with(BOSS, 4, 1, recovery(2)), "second_factor_wrong"),
        (DAY, anonymous, with(BOSS, 4, 1, recovery(77)), "signed_in"),
    ]);
}

#[test]
fn after_too_many_wrong_codes_codes_rest_and_recovery_codes_do_not() {
    let mut office = with_factor();
    let wrong = || Command::ChangeFactor { user_id: user(BOSS), step: FactorStep::NoteWrongCode };
    for _ in 1..WRONG_CODES_MAX {
        office.expect(CLOCK, wrong(), "done");
    }
    office.run([(STEP, Caller::Anonymous, with(BOSS, 3, 1, code(STEP)), "signed_in")]);
    for _ in 0..WRONG_CODES_MAX {
        office.expect(CLOCK, wrong(), "done");
    }
    let until = STEP + 60 * MIN;
    office.run([
        (STEP, CLOCK, wrong(), "second_factor_resting"),
        (until - 1, Caller::Anonymous, with(BOSS, 4, 1, code(until)), "second_factor_resting"),
        (until - 1, BOSS, remove(BOSS, code(until)), "second_factor_resting"),
        (until, CLOCK, wrong(), "done"),
        (until, Caller::Anonymous, with(BOSS, 4, 1, code(until)), "signed_in"),
    ]);
    for _ in 0..WRONG_CODES_MAX {
        office.expect(CLOCK, wrong(), "done");
    }
    office.expect(Caller::Anonymous, with(BOSS, 5, 1, recovery(1)), "signed_in");
    office.expect(Caller::Anonymous, with(BOSS, 6, 1, code(until + STEP)), "signed_in");
    office.expect(CLOCK, Command::ChangeFactor { user_id: user(MINJI), step: FactorStep::NoteWrongCode }, "done");
    assert_eq!(state(&office, MINJI), None);
}

#[test]
fn a_factor_is_removed_by_its_owner_with_a_code_or_by_the_box_office() {
    let mut office = with_factor();
    let reset = Command::ChangeFactor { user_id: user(BOSS), step: FactorStep::Reset };
    office.run([
        (0, BOSS, remove(BOSS, code(0)), "second_factor_wrong"),
        (0, BOSS, remove(BOSS, code(STEP)), "done"),
        (0, BOSS, remove(BOSS, recovery(1)), "not_found"),
        (0, CLOCK, reset.clone(), "not_found"),
        (0, Caller::Anonymous, open(BOSS, 3, 1), "signed_in"),
    ]);
    assert_eq!(sessions(&office, BOSS), [1, 3], "what the owner does ends no session");
    // Asked for a code before the factor was removed, the caller is let in by the password that was right.
    office.run([(0, Caller::Anonymous, with(BOSS, 4, 1, code(STEP)), "signed_in")]);

    let mut office = with_factor();
    let before = office.model.audit.len();
    office.expect(BOSS, reset.clone(), "forbidden");
    office.expect(CLOCK, reset, "done");
    assert_eq!(office.model.audit[before..].len(), 1);
    assert!(sessions(&office, BOSS).is_empty());
    office.expect(Caller::Anonymous, open(BOSS, 3, 2), "signed_in");
}

#[test]
fn an_account_that_becomes_a_buyers_or_is_erased_has_no_factor_left() {
    for end in [
        Command::SetRole { user_id: user(BOSS), role: Role::Buyer },
        super::erase(BOSS, Proof::Unneeded, frontrow_domain::command::Worth::Kept, &[], &[]),
    ] {
        let mut office = with_factor();
        office.ask(CLOCK, end).unwrap();
        assert_eq!(state(&office, BOSS), None);
    }
    let mut office = with_factor();
    office.ask(CLOCK, Command::SetRole { user_id: user(BOSS), role: Role::Viewer }).unwrap();
    assert!(state(&office, BOSS).is_some());
    assert_eq!(office.model.users[&user(BOSS)].status, UserStatus::Active);
}

/// As if there had never been an operator.
fn without_operators(office: &mut SaleModel) {
    office.model.users.retain(|_, user| user.role != Role::Operator);
    for entry in office.model.audit.iter_mut().filter(|entry| entry.action == "operator.add") {
        "viewer.add".clone_into(&mut entry.action);
    }
}

#[test]
fn a_first_operator_registers_only_while_there_is_none() {
    let first = |number: u128, role| {
        let user_id = UserId(Uuid::from_u128(number));
        let email = format!("{number}@frontrow.example");
        let new = NewUser { user_id, name: "First".to_owned(), email, password_hash: String::new(), role };
        Command::RegisterFirst(new)
    };
    let mut office = SaleModel::new();
    office.expect(CLOCK, first(50, Role::Operator), "operator_exists");
    without_operators(&mut office);
    for other in [MINJI, BOSS, Caller::Anonymous, Caller::Service] {
        office.expect(other, first(50, Role::Operator), "forbidden");
    }
    office.expect(CLOCK, first(50, Role::Buyer), "forbidden");
    office.expect(CLOCK, first(50, Role::Viewer), "forbidden");
    let answers = office.batch(&[(CLOCK, first(50, Role::Operator)), (CLOCK, first(51, Role::Operator))]);
    assert_eq!(answers, ["registered", "operator_exists"]);
    assert_eq!(office.model.audit.last().unwrap().action, "operator.add");
    office.expect(CLOCK, first(52, Role::Operator), "operator_exists");
}

#[test]
fn the_link_for_the_first_operator_is_over_once_there_has_been_one() {
    let first = || {
        let (user_id, email) = (UserId(Uuid::from_u128(50)), "50@frontrow.example".to_owned());
        let name = "First".to_owned();
        Command::RegisterFirst(NewUser { user_id, name, email, password_hash: String::new(), role: Role::Operator })
    };
    let set_role = |role| Command::SetRole { user_id: user(MINJI), role };
    for end in [
        set_role(Role::Buyer),
        set_role(Role::Viewer),
        super::erase(MINJI, Proof::Unneeded, frontrow_domain::command::Worth::Kept, &[], &[]),
    ] {
        // Given a box office whose only operator was made by the command line.
        let mut office = SaleModel::new();
        without_operators(&mut office);
        office.ask(CLOCK, set_role(Role::Operator)).unwrap();
        // When it has none any more.
        office.ask(CLOCK, end).unwrap();
        // Then the link makes no other.
        office.expect(CLOCK, first(), "operator_exists");
    }
}
