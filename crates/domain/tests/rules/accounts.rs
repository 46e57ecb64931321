//! Accounts over their life: passwords, locks, reset links, and who may do what about them.

mod erasure;
mod second_factor;

use crate::support::{BOSS, CLOCK, DAY, JUNHO, MIN, MINJI, S, SaleModel, VIEWER, at, register, user};
use erasure::erase;
use frontrow_domain::{
    command::{Command, NewPassword, Outcome, PasswordHash, Proof, Replay, Worth},
    id::SessionId,
    outbox::{Consumer, EventPayload},
    user::{Caller, LetterLanguage, LinkKind, Role, Session, User, UserStatus},
};

const SECRET: [u8; 32] = [9; 32];

fn session(caller: Caller, secret: u8) -> Session {
    Session {
        secret_hash: [secret; 32],
        user_id: user(caller),
        role: Role::Buyer,
        expires_at: at(DAY),
        created_at: at(0),
        client: None,
    }
}

fn open(caller: Caller, secret: u8, epoch: i64) -> Command {
    Command::OpenSession { session: session(caller, secret), epoch }
}

fn hash(name: &str) -> PasswordHash {
    PasswordHash(name.to_owned())
}

fn set_password(caller: Caller, proof: Proof, kept: Option<u8>) -> Command {
    Command::SetPassword(NewPassword {
        user_id: user(caller),
        password_hash: hash("new"),
        proof,
        kept_session: kept.map(|secret| [secret; 32]),
    })
}

fn lock(caller: Caller) -> Command {
    Command::LockUser { user_id: user(caller), reason: crate::support::reason() }
}

fn unlock(caller: Caller) -> Command {
    Command::UnlockUser { user_id: user(caller) }
}

fn issue_link(caller: Caller) -> Command {
    Command::IssueResetLink { user_id: user(caller), secret_hash: SECRET }
}

fn redeem(caller: Caller, secret_hash: [u8; 32]) -> Command {
    Command::RedeemResetLink { user_id: user(caller), secret_hash, password_hash: hash("reset") }
}

fn ask_for(letter: LinkKind, to: Caller) -> Command {
    Command::RequestLetter { user_id: user(to), letter, language: LetterLanguage::Korean }
}

fn letter_link(letter: LinkKind, to: Caller) -> Command {
    Command::IssueLetterLink { user_id: user(to), letter, secret_hash: SECRET }
}

fn confirm(caller: Caller, secret_hash: [u8; 32]) -> Command {
    Command::ConfirmEmail { user_id: user(caller), secret_hash }
}

fn end_session(secret: u8) -> Command {
    Command::EndSession { secret_hash: [secret; 32] }
}

/// The letters that are to be sent.
fn letters(office: &SaleModel) -> Vec<(LinkKind, LetterLanguage)> {
    let events = office.model.outbox.values().filter(|event| event.consumer == Consumer::Letters);
    let letter = |payload: &EventPayload| match payload {
        EventPayload::LetterRequested { user_id, letter, language } => {
            assert_eq!(*user_id, user(MINJI));
            (*letter, *language)
        }
        other => panic!("{other}"),
    };
    events.map(|event| letter(&event.payload)).collect()
}

fn sessions(office: &SaleModel, caller: Caller) -> Vec<u8> {
    let mut secrets: Vec<u8> = office
        .model
        .sessions
        .values()
        .filter(|session| session.user_id == user(caller))
        .map(|session| session.secret_hash[0])
        .collect();
    secrets.sort_unstable();
    secrets
}

fn account(office: &SaleModel, caller: Caller) -> &User {
    &office.model.users[&user(caller)]
}

#[test]
fn a_new_password_ends_every_other_session_of_its_user_and_no_other_users() {
    let mut office = SaleModel::new();
    office.run([
        (0, Caller::Anonymous, open(MINJI, 1, 0), "signed_in"),
        (0, Caller::Anonymous, open(MINJI, 2, 0), "signed_in"),
        (0, Caller::Anonymous, open(JUNHO, 3, 0), "signed_in"),
        (S, MINJI, set_password(MINJI, Proof::Password(0), Some(2)), "user"),
    ]);
    assert_eq!((sessions(&office, MINJI), sessions(&office, JUNHO)), (vec![2], vec![3]));
    assert_eq!(office.model.passwords[&user(MINJI)], "new");
}

#[test]
fn what_buyers_do_about_their_own_accounts_leaves_no_line_in_the_audit_log_but_for_an_erasure() {
    let mut office = SaleModel::new();
    let actions = |office: &SaleModel| {
        office
            .model
            .audit
            .iter()
            .map(|line| line.action.clone())
            .filter(|action| action.starts_with("user."))
            .collect::<Vec<_>>()
    };
    let sign_out = |caller| Command::CloseSessions { user_id: user(caller) };
    office.expect(MINJI, set_password(MINJI, Proof::Password(0), None), "user");
    for _ in 0..10 {
        office.expect(MINJI, sign_out(MINJI), "done");
    }
    office.expect(BOSS, issue_link(MINJI), "link_issued");
    office.expect(Caller::Anonymous, redeem(MINJI, SECRET), "done");
    assert_eq!(actions(&office), ["user.reset_link"]);
    let epoch = account(&office, MINJI).sign_in_epoch;
    office.expect(MINJI, erase(MINJI, Proof::Password(epoch), Worth::Kept, &[], &[]), "user");
    office.expect(BOSS, set_password(BOSS, Proof::Password(0), None), "user");
    office.expect(BOSS, sign_out(BOSS), "done");
    office.expect(CLOCK, issue_link(BOSS), "link_issued");
    office.expect(Caller::Anonymous, redeem(BOSS, SECRET), "done");
    let expected = ["user.reset_link", "user.erase", "user.password", "user.sign_out", "user.reset_link", "user.reset"];
    assert_eq!(actions(&office), expected);
}

#[test]
fn a_password_is_set_by_its_user_and_by_the_box_office_alone() {
    let mut office = SaleModel::new();
    for caller in [JUNHO, BOSS, Caller::Service, Caller::Anonymous] {
        office.expect(caller, set_password(MINJI, Proof::Password(0), None), "not_found");
    }
    office.expect(MINJI, set_password(MINJI, Proof::Unneeded, None), "forbidden");
    office.expect(CLOCK, set_password(MINJI, Proof::Unneeded, None), "user");
}

#[test]
fn a_password_that_was_checked_before_all_sessions_ended_opens_and_changes_nothing() {
    for end in [
        set_password(MINJI, Proof::Unneeded, None),
        Command::CloseSessions { user_id: user(MINJI) },
        Command::SetRole { user_id: user(MINJI), role: Role::Operator },
    ] {
        let mut office = SaleModel::new();
        office.ask(CLOCK, end).unwrap();
        office.expect(Caller::Anonymous, open(MINJI, 1, 0), "account_changed");
        office.expect(MINJI, set_password(MINJI, Proof::Password(0), None), "account_changed");
        office.expect(MINJI, erase(MINJI, Proof::Password(0), Worth::Kept, &[], &[]), "account_changed");
        office.expect(Caller::Anonymous, open(MINJI, 1, 1), "signed_in");
    }
}

#[test]
fn a_session_that_is_opened_and_ended_in_one_batch_is_gone() {
    let mut office = SaleModel::new();
    let answers = office.batch(&[(Caller::Anonymous, open(MINJI, 1, 0)), (BOSS, lock(MINJI))]);
    assert_eq!(answers, ["signed_in", "done"]);
    assert!(office.model.sessions.is_empty());
    let answers = office.batch(&[
        (Caller::Anonymous, open(JUNHO, 2, 0)),
        (CLOCK, Command::CloseSessions { user_id: user(JUNHO) }),
        (Caller::Anonymous, open(JUNHO, 3, 1)),
    ]);
    assert_eq!(answers, ["signed_in", "done", "signed_in"]);
    assert_eq!(sessions(&office, JUNHO), [3]);
}

#[test]
fn a_locked_account_is_signed_out_and_cannot_sign_in_until_it_is_unlocked() {
    let mut office = SaleModel::new();
    office.run([
        (0, Caller::Anonymous, open(MINJI, 1, 0), "signed_in"),
        (0, BOSS, lock(MINJI), "done"),
        (0, BOSS, lock(MINJI), "done"),
        (0, Caller::Anonymous, open(MINJI, 1, 1), "account_locked"),
        (0, MINJI, set_password(MINJI, Proof::Password(1), None), "account_locked"),
        (0, BOSS, issue_link(MINJI), "account_locked"),
        (0, BOSS, unlock(MINJI), "done"),
        (0, Caller::Anonymous, open(MINJI, 1, 0), "account_changed"),
        (0, Caller::Anonymous, open(MINJI, 1, 1), "signed_in"),
    ]);
    assert_eq!(sessions(&office, MINJI), [1]);
}

#[test]
fn operators_touch_no_account_of_operators_and_viewers_and_buyers_touch_none() {
    let other = Caller::Operator(frontrow_domain::id::UserId(uuid::Uuid::from_u128(10)));
    let commands: [fn(Caller) -> Command; 3] = [lock, unlock, issue_link];
    for command in commands {
        let mut office = SaleModel::new();
        office.expect(CLOCK, register(other), "registered");
        office.expect(CLOCK, register(VIEWER), "registered");
        for target in [other, BOSS, VIEWER] {
            office.expect(BOSS, command(target), "operator_account");
            office.clone().ask(CLOCK, command(target)).unwrap();
        }
        for caller in [MINJI, JUNHO, VIEWER, Caller::Service, Caller::Anonymous] {
            office.expect(caller, command(MINJI), "forbidden");
        }
        let before = office.model.audit.len();
        office.ask(BOSS, command(MINJI)).unwrap();
        assert!(office.model.audit[before..].iter().all(|line| line.actor == BOSS.user_id()));
    }
}

#[test]
fn a_reset_link_sets_a_password_once_within_half_an_hour() {
    let mut office = SaleModel::new();
    office.run([
        (0, Caller::Anonymous, open(MINJI, 1, 0), "signed_in"),
        (0, BOSS, issue_link(MINJI), "link_issued"),
        (0, Caller::Anonymous, redeem(MINJI, [8; 32]), "reset_link_invalid"),
        (0, Caller::Anonymous, redeem(JUNHO, SECRET), "reset_link_invalid"),
        (30 * MIN - 1, Caller::Anonymous, redeem(MINJI, SECRET), "done"),
        (30 * MIN - 1, Caller::Anonymous, redeem(MINJI, SECRET), "reset_link_invalid"),
    ]);
    assert_eq!(office.model.passwords[&user(MINJI)], "reset");
    assert!(sessions(&office, MINJI).is_empty());
    office.run([
        (DAY, BOSS, issue_link(MINJI), "link_issued"),
        (DAY + 30 * MIN, Caller::Anonymous, redeem(MINJI, SECRET), "reset_link_invalid"),
    ]);
}

#[test]
fn a_user_ends_a_session_of_their_own_and_no_other() {
    let mut office = SaleModel::new();
    office.run([
        (0, Caller::Anonymous, open(MINJI, 1, 0), "signed_in"),
        (0, Caller::Anonymous, open(MINJI, 2, 0), "signed_in"),
        (0, Caller::Anonymous, open(JUNHO, 3, 0), "signed_in"),
        (S, MINJI, end_session(3), "not_found"),
        (S, Caller::Anonymous, end_session(3), "not_found"),
        (S, BOSS, end_session(3), "not_found"),
        (S, CLOCK, end_session(3), "not_found"),
        (S, MINJI, end_session(9), "not_found"),
        (S, MINJI, end_session(2), "done"),
        (S, MINJI, end_session(2), "not_found"),
        (DAY - 1, MINJI, Command::CloseSession { secret_hash: [9; 32] }, "done"),
        (DAY, MINJI, end_session(1), "not_found"),
    ]);
    assert_eq!((sessions(&office, MINJI), sessions(&office, JUNHO)), (vec![1], vec![3]));
    let ends = office.batch(&[(JUNHO, end_session(3)), (JUNHO, end_session(3))]);
    assert_eq!(ends, ["not_found", "not_found"], "it has ended by itself");
    assert_eq!(session(MINJI, 7).id(), SessionId::of([7; 32]));
}

#[test]
fn a_letter_is_asked_for_by_anybody_who_lost_a_password_and_goes_to_the_owner_of_the_account() {
    const RESET: LinkKind = LinkKind::PasswordReset;
    let mut office = SaleModel::new();
    office.run([
        (0, Caller::Anonymous, ask_for(RESET, MINJI), "done"),
        (0, JUNHO, ask_for(RESET, MINJI), "done"),
        (0, Caller::Anonymous, ask_for(RESET, BOSS), "operator_account"),
        (
            0,
            Caller::Anonymous,
            Command::RequestLetter {
                user_id: frontrow_domain::id::UserId(uuid::Uuid::nil()),
                letter: RESET,
                language: LetterLanguage::English,
            },
            "not_found",
        ),
        (0, CLOCK, lock(JUNHO), "done"),
        (0, Caller::Anonymous, ask_for(RESET, JUNHO), "account_locked"),
    ]);
    assert_eq!(letters(&office), [(RESET, LetterLanguage::Korean); 2]);
    let noted = office.model.audit.len();
    // The link is made when the letter is written, by the box office alone; a second letter replaces the first link.
    for other in [MINJI, BOSS, VIEWER, Caller::Anonymous, Caller::Service] {
        office.expect(other, letter_link(RESET, MINJI), "forbidden");
    }
    office.run([
        (MIN, CLOCK, letter_link(RESET, BOSS), "operator_account"),
        (MIN, CLOCK, letter_link(RESET, JUNHO), "account_locked"),
        (MIN, CLOCK, letter_link(RESET, MINJI), "link_issued"),
        (MIN, Caller::Anonymous, confirm(MINJI, SECRET), "confirmation_link_invalid"),
        (31 * MIN - 1, Caller::Anonymous, redeem(MINJI, SECRET), "done"),
        (31 * MIN - 1, Caller::Anonymous, redeem(MINJI, SECRET), "reset_link_invalid"),
    ]);
    assert_eq!(office.model.audit.len(), noted, "the log is kept for ever, and anybody may ask for letters");
}

#[test]
fn an_address_is_confirmed_by_the_link_of_a_letter_within_a_day() {
    const CONFIRM: LinkKind = LinkKind::EmailConfirmation;
    let mut office = SaleModel::new();
    office.run([
        (0, JUNHO, ask_for(CONFIRM, MINJI), "not_found"),
        (0, Caller::Anonymous, ask_for(CONFIRM, MINJI), "not_found"),
        (0, MINJI, ask_for(CONFIRM, MINJI), "done"),
        (0, CLOCK, letter_link(CONFIRM, MINJI), "link_issued"),
        (DAY, Caller::Anonymous, confirm(MINJI, SECRET), "confirmation_link_invalid"),
        (DAY, CLOCK, letter_link(CONFIRM, MINJI), "link_issued"),
        (DAY, Caller::Anonymous, redeem(MINJI, SECRET), "reset_link_invalid"),
        (DAY, Caller::Anonymous, confirm(MINJI, [8; 32]), "confirmation_link_invalid"),
        (DAY, Caller::Anonymous, confirm(JUNHO, SECRET), "confirmation_link_invalid"),
        // Sessions that end do not take the letter back.
        (DAY, MINJI, Command::CloseSessions { user_id: user(MINJI) }, "done"),
        (2 * DAY - 2, Caller::Anonymous, confirm(MINJI, SECRET), "done"),
        (2 * DAY - 1, Caller::Anonymous, confirm(MINJI, SECRET), "done"),
    ]);
    assert_eq!(account(&office, MINJI).email_confirmed_at, Some(at(2 * DAY - 2)), "the second time changes nothing");
    office.expect(MINJI, ask_for(CONFIRM, MINJI), "done");
    assert_eq!(letters(&office), [(CONFIRM, LetterLanguage::Korean)], "a confirmed address gets no other letter");
    assert!(office.model.links.contains_key(&(user(MINJI), CONFIRM)));
    office.model.forget(frontrow_domain::retention::Leftover::Link, at(2 * DAY + 1), 10);
    assert!(office.model.links.is_empty());
    office.expect(MINJI, erase(MINJI, Proof::Password(1), Worth::Kept, &[], &[]), "user");
    assert_eq!(account(&office, MINJI).email_confirmed_at, None);
}

#[test]
fn a_reset_link_is_void_once_the_account_is_locked_or_has_another_password() {
    let ends =
        [lock(MINJI), set_password(MINJI, Proof::Unneeded, None), Command::CloseSessions { user_id: user(MINJI) }];
    for end in ends {
        let mut office = SaleModel::new();
        office.run([(0, BOSS, issue_link(MINJI), "link_issued")]);
        office.ask(CLOCK, end).unwrap();
        office.expect(Caller::Anonymous, redeem(MINJI, SECRET), "reset_link_invalid");
        office.ask(CLOCK, unlock(MINJI)).unwrap();
        office.expect(Caller::Anonymous, redeem(MINJI, SECRET), "reset_link_invalid");
    }
}

#[test]
fn the_record_of_a_lock_names_no_person_and_repeating_it_changes_nothing() {
    let mut office = SaleModel::new();
    office.expect(BOSS, lock(MINJI), "done");
    office.expect(BOSS, unlock(MINJI), "done");
    let locked = office.ask_with_key(1, 1, BOSS, lock(MINJI));
    assert_eq!(locked.decision, Ok(Outcome::Done));
    office.expect(BOSS, unlock(MINJI), "done");
    let again = office.ask_with_key(1, 1, BOSS, lock(MINJI));
    assert_eq!((again.decision, again.replay), (Ok(Outcome::Done), Replay::Replayed));
    assert_eq!(account(&office, MINJI).status, UserStatus::Active);

    let rename = Command::RenameUser { user_id: user(MINJI), name: "Minji Kim".to_owned() };
    office.ask_with_key(2, 2, Caller::System, rename).decision.unwrap();
    let user = account(&office, MINJI);
    for kept in office.model.kept.values() {
        assert!(!kept.answer.contains(&user.email) && !kept.answer.contains(&user.name), "{}", kept.answer);
    }
}
