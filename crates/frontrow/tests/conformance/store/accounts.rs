//! Passwords, locks, reset links and erasure, as every store keeps them.

use frontrow_domain::{
    command::{Command, Erasure, NewAdjustment, NewPassword, Outcome, PasswordHash, Proof, Worth},
    id::UserId,
    line::TokenStatus,
    money::Money,
    outbox::{Consumer, EventPayload},
    points::Settlement,
    refusal::{EntityKind, Refusal},
    retention::Leftover,
    sale::{ReservationStatus, SeatStatus},
    time::Span,
    user::{AccountLink, Caller, ClientLabel, LetterLanguage, LinkKind, ProofKind, Role, Session, User, UserStatus},
};
use frontrow_storage::{DebtFilter, EventFilter};
use frontrow_testkit::{
    START,
    fixture::{Fixture, first},
};

async fn open(office: &Fixture, user_id: UserId, secret: u8, epoch: i64) -> Result<Outcome, Refusal> {
    let expires_at = START.plus(Span::from_secs(3_600));
    let session =
        Session { secret_hash: [secret; 32], user_id, role: Role::Buyer, expires_at, created_at: START, client: None };
    office.ask(Caller::Anonymous, Command::OpenSession { session, epoch }).await
}

async fn live(office: &Fixture, secrets: &[u8]) -> Vec<u8> {
    let mut live = Vec::new();
    for secret in secrets {
        if office.store.session([*secret; 32]).await.unwrap().is_some() {
            live.push(*secret);
        }
    }
    live
}

fn set_password(user_id: UserId, hash: &str, kept: Option<u8>) -> Command {
    Command::SetPassword(NewPassword {
        user_id,
        password_hash: PasswordHash(hash.to_owned()),
        proof: Proof::Unneeded,
        kept_session: kept.map(|secret| [secret; 32]),
    })
}

pub(super) async fn a_new_password_is_read_back_and_ends_all_sessions_but_one(office: &Fixture) {
    let (user, other) = (office.register().await, office.register().await);
    for secret in [1, 2, 3] {
        open(office, user, secret, 0).await.unwrap();
    }
    open(office, other, 4, 0).await.unwrap();
    office.ask(Caller::System, set_password(user, "second", Some(2))).await.unwrap();
    assert_eq!(live(office, &[1, 2, 3, 4]).await, [2, 4]);
    let email = office.store.user(user).await.unwrap().unwrap().email;
    let (read, hash) = office.store.credentials(&email).await.unwrap().unwrap();
    assert_eq!((read.sign_in_epoch, hash.as_str()), (1, "second"));
    assert_eq!(open(office, user, 5, 0).await, Err(Refusal::AccountChanged));
    let (answers, _) = office
        .batch(vec![
            frontrow_testkit::fixture::request(Caller::System, set_password(user, "third", None)),
            frontrow_testkit::fixture::request(Caller::System, set_password(user, "fourth", None)),
        ])
        .await;
    assert!(answers.iter().all(|answer| answer.decision.is_ok()));
    assert_eq!(office.store.credentials(&email).await.unwrap().unwrap().1, "fourth");
    assert_eq!(live(office, &[1, 2, 3, 4]).await, [4]);
}

pub(super) async fn a_locked_user_is_read_back_and_signed_out(office: &Fixture) {
    let user = office.register().await;
    open(office, user, 1, 0).await.unwrap();
    let (answers, _) = office
        .batch(vec![
            frontrow_testkit::fixture::request(Caller::System, Command::LockUser { user_id: user, reason: None }),
            frontrow_testkit::fixture::request(
                Caller::System,
                Command::RenameUser { user_id: user, name: "New Name".to_owned() },
            ),
        ])
        .await;
    assert!(answers.iter().all(|answer| answer.decision.is_ok()));
    let read = office.store.user(user).await.unwrap().unwrap();
    assert_eq!((read.status, read.name.as_str()), (UserStatus::Locked, "New Name"));
    assert!(live(office, &[1]).await.is_empty());
    assert_eq!(open(office, user, 1, 1).await, Err(Refusal::AccountLocked));
    office.ask(Caller::System, Command::UnlockUser { user_id: user }).await.unwrap();
    open(office, user, 1, 1).await.unwrap();
}

pub(super) async fn a_reset_link_is_used_once_and_a_new_one_replaces_it(office: &Fixture) {
    let (user, other) = (office.register().await, office.register().await);
    let issue = |secret: u8| Command::IssueResetLink { user_id: user, secret_hash: [secret; 32] };
    let redeem = |user_id: UserId, secret: u8, hash: &str| Command::RedeemResetLink {
        user_id,
        secret_hash: [secret; 32],
        password_hash: PasswordHash(hash.to_owned()),
    };
    for secret in [1, 2] {
        office.ask(Caller::System, issue(secret)).await.unwrap();
    }
    open(office, user, 9, 0).await.unwrap();
    let invalid = Err(Refusal::ResetLinkInvalid);
    assert_eq!(office.ask(Caller::Anonymous, redeem(user, 1, "no")).await, invalid);
    assert_eq!(office.ask(Caller::Anonymous, redeem(other, 2, "no")).await, invalid);
    assert_eq!(office.ask(Caller::Anonymous, redeem(UserId(uuid::Uuid::nil()), 2, "no")).await, invalid);
    let (answers, _) = office
        .batch(vec![
            frontrow_testkit::fixture::request(Caller::Anonymous, redeem(user, 2, "yes")),
            frontrow_testkit::fixture::request(Caller::Anonymous, redeem(user, 2, "no")),
        ])
        .await;
    assert_eq!((&answers[0].decision, &answers[1].decision), (&Ok(Outcome::Done), &invalid));
    let email = office.store.user(user).await.unwrap().unwrap().email;
    assert_eq!(office.store.credentials(&email).await.unwrap().unwrap().1, "yes");
    assert!(live(office, &[9]).await.is_empty());
    let read = async |user_id, kind| office.store.account_link(user_id, kind).await.unwrap();
    let expected = AccountLink {
        user_id: user,
        kind: LinkKind::PasswordReset,
        secret_hash: [2; 32],
        epoch: 0,
        expires_at: START.plus(Span::from_secs(30 * 60)),
    };
    assert_eq!(read(user, LinkKind::PasswordReset).await, Some(expected), "a used link is still known");
    assert_eq!(read(user, LinkKind::EmailConfirmation).await, None);
    assert_eq!(read(other, LinkKind::PasswordReset).await, None);
    office.ask(Caller::System, issue(3)).await.unwrap();
    assert_eq!(read(user, LinkKind::PasswordReset).await.unwrap().secret_hash, [3; 32]);
    office.advance(30 * 60);
    assert_eq!(office.ask(Caller::Anonymous, redeem(user, 3, "no")).await, invalid);
}

pub(super) async fn an_address_is_confirmed_by_its_link_and_links_that_are_over_are_removed(office: &Fixture) {
    let (user, other) = (office.register().await, office.register().await);
    let issue = |user_id: UserId, letter: LinkKind, secret: u8| Command::IssueLetterLink {
        user_id,
        letter,
        secret_hash: [secret; 32],
    };
    let confirm = |user_id: UserId, secret: u8| Command::ConfirmEmail { user_id, secret_hash: [secret; 32] };
    let (reset, confirmation) = (LinkKind::PasswordReset, LinkKind::EmailConfirmation);
    for (user_id, letter, secret) in [(user, reset, 1), (user, confirmation, 2), (other, confirmation, 3)] {
        office.ask(Caller::System, issue(user_id, letter, secret)).await.unwrap();
    }
    office.ask(Caller::System, issue(user, confirmation, 4)).await.unwrap();
    let invalid = Err(Refusal::ConfirmationLinkInvalid);
    for (user_id, secret) in [(user, 1), (user, 2), (user, 3), (other, 4)] {
        assert_eq!(office.ask(Caller::Anonymous, confirm(user_id, secret)).await, invalid, "{secret}");
    }
    let confirmed_at = async |user_id| office.store.user(user_id).await.unwrap().unwrap().email_confirmed_at;
    assert_eq!(confirmed_at(user).await, None);
    office.ask(Caller::Anonymous, confirm(user, 4)).await.unwrap();
    assert_eq!((confirmed_at(user).await, confirmed_at(other).await), (Some(START), None));
    let email = office.store.user(user).await.unwrap().unwrap().email;
    let (read, _) = office.store.credentials(&email).await.unwrap().unwrap();
    assert_eq!(read.email_confirmed_at, Some(START));
    let request = Command::RequestLetter { user_id: other, letter: confirmation, language: LetterLanguage::English };
    office.ask(Caller::Buyer(other), request).await.unwrap();
    let events = office.store.outbox(EventFilter::Pending, first(1)).await.unwrap();
    let expected =
        EventPayload::LetterRequested { user_id: other, letter: confirmation, language: LetterLanguage::English };
    assert_eq!((events[0].consumer, &events[0].payload), (Consumer::Letters, &expected));
    // The reset link is over first.
    let (before, after) = (START.plus(Span::from_secs(30 * 60)), START.plus(Span::from_secs(86_400 + 1)));
    for (time, limit, removed) in
        [(before, 10, 0), (before.plus(Span::from_secs(1)), 10, 1), (after, 1, 1), (after, 9, 1)]
    {
        assert_eq!(office.store.prune(Leftover::Link, time, limit).await.unwrap(), removed);
    }
    assert_eq!(office.ask(Caller::Anonymous, confirm(other, 3)).await, invalid);
}

pub(super) async fn the_sessions_of_a_user_are_listed_and_end_one_by_one(office: &Fixture) {
    let (user, other) = (office.register().await, office.register().await);
    let client = ClientLabel::of_user_agent("Mozilla/5.0 (Linux; Android 15) Chrome/140.0.0.0");
    for (secret, client) in [(1, client), (2, None), (3, client)] {
        let created_at = START.plus(Span::from_secs(i64::from(secret)));
        let expires_at = START.plus(Span::from_secs(3_600));
        let session =
            Session { secret_hash: [secret; 32], user_id: user, role: Role::Buyer, expires_at, created_at, client };
        office.ask(Caller::Anonymous, Command::OpenSession { session, epoch: 0 }).await.unwrap();
        assert_eq!(office.store.session([secret; 32]).await.unwrap(), Some(session));
    }
    open(office, other, 4, 0).await.unwrap();
    let listed = async |limit| {
        let sessions = office.store.sessions(user, limit).await.unwrap();
        sessions.iter().map(|session| (session.secret_hash[0], session.client)).collect::<Vec<_>>()
    };
    assert_eq!(listed(10).await, [(3, client), (2, None), (1, client)]);
    assert_eq!(listed(2).await, [(3, client), (2, None)]);
    let end = |secret| Command::EndSession { secret_hash: [secret; 32] };
    let unknown = Err(Refusal::NotFound { what: EntityKind::Session });
    for foreign in [4, 9] {
        assert_eq!(office.ask(Caller::Buyer(user), end(foreign)).await, unknown);
    }
    let (answers, changes) = office
        .batch(vec![
            frontrow_testkit::fixture::request(Caller::Buyer(user), end(2)),
            frontrow_testkit::fixture::request(Caller::Buyer(user), end(2)),
        ])
        .await;
    assert_eq!((&answers[0].decision, &answers[1].decision), (&Ok(Outcome::Done), &unknown));
    assert_eq!(changes.closed_sessions, [[2; 32]]);
    assert_eq!(listed(10).await, [(3, client), (1, client)]);
    assert_eq!(live(office, &[1, 2, 3, 4]).await, [1, 3, 4]);
}

pub(super) async fn an_account_with_an_open_debt_is_not_erased(office: &Fixture) {
    let (user, other) = (office.register().await, office.register().await);
    for user_id in [other, user, user] {
        let (reason, reference) = ("A chargeback".to_owned(), office.ids.uuid(START).to_string());
        let taken = Command::Adjust(NewAdjustment { user_id, amount: Money::new(-500), reason, reference });
        office.ask(Caller::System, taken).await.unwrap();
    }
    let erasure = Command::EraseUser(Erasure {
        user_id: user,
        proof: Proof::Unneeded,
        idle_since: None,
        worth: Worth::Abandoned,
        tokens: Vec::new(),
        reservations: Vec::new(),
    });
    let debts = office.store.debts(&DebtFilter { user: Some(user), status: None }, first(10)).await.unwrap();
    for debt in debts.iter().rev() {
        let left = Refusal::DebtLeft { debt_id: debt.debt_id, amount: Money::new(500) };
        assert_eq!(office.ask(Caller::System, erasure.clone()).await, Err(left));
        let (debt_id, reason) = (debt.debt_id, "Paid at the desk".to_owned());
        let settle = Command::SettleDebt { user_id: user, debt_id, how: Settlement::Waive, reason };
        office.ask(Caller::System, settle).await.unwrap();
    }
    office.ask(Caller::System, erasure).await.unwrap();
    assert_eq!(office.store.user(user).await.unwrap().unwrap().status, UserStatus::Erased);
}

pub(super) async fn an_erased_user_leaves_the_books_and_the_address(office: &Fixture) {
    let sale = office.sale().await;
    let user = sale.user;
    let before = office.store.user(user).await.unwrap().unwrap();
    let token = office.activate(user).await;
    let held = office.hold(user, token, sale.seats[1]).await;
    open(office, user, 1, 0).await.unwrap();
    let reservations = vec![held.reservation_id, sale.payment.reservation_id];
    let erasure = |worth| {
        let (tokens, reservations) = (vec![token], reservations.clone());
        Command::EraseUser(Erasure {
            user_id: user,
            proof: Proof::Unneeded,
            idle_since: None,
            worth,
            tokens,
            reservations,
        })
    };
    let balance = office.store.point(user).await.unwrap().unwrap().amount;
    let kept = office.ask(Caller::System, erasure(Worth::Kept)).await;
    assert_eq!(kept, Err(Refusal::BalanceLeft { balance }));
    office.ask(Caller::System, erasure(Worth::Abandoned)).await.unwrap();
    let erased = office.store.user(user).await.unwrap().unwrap();
    assert_eq!((erased.status, erased.email.clone()), (UserStatus::Erased, User::erased_email(user)));
    assert_eq!(office.store.credentials(&before.email).await.unwrap(), None);
    assert_eq!(office.store.credentials(&erased.email).await.unwrap().unwrap().1, "");
    assert!(live(office, &[1]).await.is_empty());
    assert_eq!(office.store.token(token).await.unwrap().unwrap().status(), TokenStatus::Ended);
    let held = office.store.reservation(held.reservation_id).await.unwrap().unwrap();
    assert_eq!(held.status(), ReservationStatus::Cancelled);
    let paid = office.store.reservation(sale.payment.reservation_id).await.unwrap().unwrap();
    assert_eq!((paid.user_id, paid.status()), (user, ReservationStatus::Confirmed));
    let seats = office.store.seats(paid.concert_id).await.unwrap();
    assert_eq!(seats[1].status(), SeatStatus::Available);
    assert_eq!(office.store.point(user).await.unwrap().unwrap().amount, balance);
    assert!(office.store.users(Some(&before.email), frontrow_testkit::fixture::first(10)).await.unwrap().is_empty());
    let again = frontrow_domain::user::NewUser {
        user_id: UserId(uuid::Uuid::from_u128(4_711)),
        name: before.name,
        email: before.email,
        password_hash: String::new(),
        role: Role::Buyer,
    };
    office.ask(Caller::Anonymous, Command::Register(again)).await.unwrap();
}

pub(super) async fn when_a_user_last_signed_in_is_noted_once_a_day_and_read_back(office: &Fixture) {
    const DAY: i64 = 86_400;
    let user = office.register().await;
    let noted = async || office.store.user(user).await.unwrap().unwrap().signed_in_at;
    let session = |secret| {
        let expires_at = START.plus(Span::from_secs(10 * DAY));
        let session = Session {
            secret_hash: [secret; 32],
            user_id: user,
            role: Role::Buyer,
            expires_at,
            created_at: START,
            client: None,
        };
        frontrow_testkit::fixture::request(Caller::Anonymous, Command::OpenSession { session, epoch: 0 })
    };
    let idle_since = |before| {
        let (proof, worth, idle_since) = (Proof::Unneeded, Worth::Kept, Some(before));
        let (tokens, reservations) = (Vec::new(), Vec::new());
        let erasure = Erasure { user_id: user, proof, idle_since, worth, tokens, reservations };
        frontrow_testkit::fixture::request(Caller::System, Command::EraseUser(erasure))
    };
    let day = |days| START.plus(Span::from_secs(days * DAY));
    assert_eq!(noted().await, START);
    office.advance(DAY - 1);
    let (_, changes) = office.batch(vec![session(1)]).await;
    assert!(changes.sign_ins.is_empty() && changes.users.is_empty(), "the user's row is not written");
    assert_eq!(noted().await, START);
    office.advance(1);
    // Two sign-ins, a change of the row and an erasure for idleness meet in one batch.
    let rename = Command::RenameUser { user_id: user, name: "New Name".to_owned() };
    let rename = frontrow_testkit::fixture::request(Caller::System, rename);
    let (answers, changes) = office.batch(vec![session(2), rename, session(3), idle_since(day(1))]).await;
    let refused: Vec<_> = answers.into_iter().filter_map(|answer| answer.decision.err()).collect();
    assert_eq!((refused, changes.sign_ins), (vec![Refusal::AccountChanged], vec![user]));
    assert_eq!(noted().await, day(1));
    assert_eq!(office.store.user(user).await.unwrap().unwrap().name, "New Name");
    let email = office.store.user(user).await.unwrap().unwrap().email;
    assert_eq!(office.store.credentials(&email).await.unwrap().unwrap().0.signed_in_at, day(1));
    office.advance(5 * DAY);
    let (answers, _) = office.batch(vec![idle_since(day(2))]).await;
    assert!(answers[0].decision.is_ok(), "{answers:?}");
    assert_eq!(office.store.user(user).await.unwrap().unwrap().status, UserStatus::Erased);
    assert!(live(office, &[1, 2, 3]).await.is_empty());
}

pub(super) async fn sign_ins_of_operators_and_viewers_and_failed_ones_are_in_the_log(office: &Fixture) {
    let (operator, buyer, viewer) = (office.register().await, office.register().await, office.register().await);
    office.ask(Caller::System, Command::SetRole { user_id: viewer, role: Role::Viewer }).await.unwrap();
    assert_eq!(office.store.user(viewer).await.unwrap().unwrap().role, Role::Viewer);
    office.ask(Caller::System, Command::SetRole { user_id: operator, role: Role::Operator }).await.unwrap();
    for (user_id, role, byte) in [(operator, Role::Operator, 1), (buyer, Role::Buyer, 2), (viewer, Role::Viewer, 3)] {
        let epoch = office.store.user(user_id).await.unwrap().unwrap().sign_in_epoch;
        let session = Session {
            secret_hash: [byte; 32],
            user_id,
            role,
            expires_at: START.plus(Span::from_secs(60)),
            created_at: START,
            client: None,
        };
        office.ask(Caller::Anonymous, Command::OpenSession { session, epoch }).await.unwrap();
        office
            .ask(Caller::System, Command::NoteFailedProofs { user_id, of: ProofKind::SignIn, count: 3 })
            .await
            .unwrap();
        assert_eq!(office.store.session([byte; 32]).await.unwrap().map(|session| session.role), Some(role));
    }
    let log = office.store.audit(first(4)).await.unwrap();
    let seen: Vec<_> = log.iter().map(|line| (line.action.as_str(), line.object.clone())).collect();
    let (of_operator, of_viewer) = (format!("user {operator}"), format!("user {viewer}"));
    let expected = [
        ("viewer.sign_in_failed", of_viewer.clone()),
        ("viewer.sign_in", of_viewer),
        ("operator.sign_in_failed", of_operator.clone()),
        ("operator.sign_in", of_operator),
    ];
    assert_eq!(seen, expected);
    assert_eq!((log[2].actor, log[3].actor, &log[2].detail["count"]), (None, Some(operator), &3.into()));
}
