//! Second factors and the first operator, as every store keeps them.

use frontrow_domain::{
    command::{Command, FactorConfirmation, FactorStep, Outcome, Proof},
    id::UserId,
    policy::WRONG_CODES_MAX,
    refusal::Refusal,
    time::Span,
    user::{
        Caller, ConfirmedFactor, FactorProof, FactorSecret, FactorState, NewUser, OperatorPresence, Role, SecondFactor,
        Session, code_step,
    },
};
use frontrow_testkit::{
    START,
    fixture::{Fixture, request},
};
use uuid::Uuid;

const SECRET: FactorSecret = FactorSecret([3; 20]);

/// An operator who has registered and not signed in.
async fn operator(office: &Fixture) -> UserId {
    let user_id = office.register().await;
    office.ask(Caller::System, Command::SetRole { user_id, role: Role::Operator }).await.unwrap();
    user_id
}

fn session(user_id: UserId, secret: u8) -> Session {
    let expires_at = START.plus(Span::from_secs(9_000));
    Session { secret_hash: [secret; 32], user_id, role: Role::Operator, expires_at, created_at: START, client: None }
}

async fn epoch(office: &Fixture, user: UserId) -> i64 {
    office.store.user(user).await.unwrap().unwrap().sign_in_epoch
}

async fn factor(office: &Fixture, user: UserId) -> Option<SecondFactor> {
    office.store.second_factor(user).await.unwrap()
}

async fn set_up(office: &Fixture, user_id: UserId) {
    office
        .ask(Caller::Operator(user_id), Command::ChangeFactor { user_id, step: FactorStep::Enrol { secret: SECRET } })
        .await
        .unwrap();
    let confirmed = FactorConfirmation {
        secret: SECRET,
        step: code_step(office.clock.now()),
        recovery: vec![[1; 32], [2; 32]],
        proof: Proof::Password(epoch(office, user_id).await),
        kept_session: [9; 32],
    };
    office
        .ask(Caller::Operator(user_id), Command::ChangeFactor { user_id, step: FactorStep::Confirm(confirmed) })
        .await
        .unwrap();
}

pub(super) async fn a_factor_is_read_back_in_every_state(office: &Fixture) {
    let user_id = operator(office).await;
    let caller = Caller::Operator(user_id);
    assert_eq!(factor(office, user_id).await, None);
    office.ask(caller, Command::ChangeFactor { user_id, step: FactorStep::Decline }).await.unwrap();
    let declined = SecondFactor { user_id, state: FactorState::Declined, updated_at: START };
    assert_eq!(factor(office, user_id).await, Some(declined));
    office.advance(1);
    office.ask(caller, Command::ChangeFactor { user_id, step: FactorStep::Enrol { secret: SECRET } }).await.unwrap();
    let pending = factor(office, user_id).await.unwrap();
    assert_eq!(pending.state, FactorState::Pending { secret: SECRET });
    assert_eq!(pending.updated_at, START.plus(Span::from_secs(1)));
    set_up(office, user_id).await;
    let FactorState::Confirmed(confirmed) = factor(office, user_id).await.unwrap().state else { panic!("it is") };
    let expected = ConfirmedFactor {
        secret: SECRET,
        confirmed_at: START.plus(Span::from_secs(1)),
        last_step: code_step(START),
        recovery: vec![[1; 32], [2; 32]],
        wrong_codes: 0,
        wrong_at: None,
    };
    assert_eq!(confirmed, expected);
    office.ask(Caller::System, Command::ChangeFactor { user_id, step: FactorStep::NoteWrongCode }).await.unwrap();
    let FactorState::Confirmed(guessed) = factor(office, user_id).await.unwrap().state else { panic!("it is") };
    assert_eq!((guessed.wrong_codes, guessed.wrong_at), (1, Some(START.plus(Span::from_secs(1)))));
    office.ask(Caller::System, Command::ChangeFactor { user_id, step: FactorStep::Reset }).await.unwrap();
    assert_eq!(factor(office, user_id).await, None);
    // Removed and set up anew in one batch.
    set_up(office, user_id).await;
    let reset = request(Caller::System, Command::ChangeFactor { user_id, step: FactorStep::Reset });
    let enrol =
        request(caller, Command::ChangeFactor { user_id, step: FactorStep::Enrol { secret: FactorSecret([4; 20]) } });
    let (answers, _) = office.batch(vec![reset, enrol]).await;
    assert!(answers.iter().all(|answer| answer.decision.is_ok()), "{answers:?}");
    let state = factor(office, user_id).await.map(|factor| factor.state);
    assert_eq!(state, Some(FactorState::Pending { secret: FactorSecret([4; 20]) }));
}

pub(super) async fn a_sign_in_with_a_factor_takes_a_code_that_was_not_used(office: &Fixture) {
    let user_id = operator(office).await;
    set_up(office, user_id).await;
    let epoch = epoch(office, user_id).await;
    let open = async |secret, proof| {
        let session = session(user_id, secret);
        let command = match proof {
            Some(proof) => Command::OpenSessionWithFactor { session, epoch, proof },
            None => Command::OpenSession { session, epoch },
        };
        office.ask(Caller::Anonymous, command).await
    };
    let code = |after| FactorProof::Code { step: code_step(START) + after };
    let opened = Ok(Outcome::SignedIn { expires_at: session(user_id, 0).expires_at, role: Role::Operator });
    assert_eq!(open(1, None).await, Err(Refusal::SecondFactorNeeded));
    assert_eq!(open(1, Some(code(0))).await, Err(Refusal::SecondFactorWrong), "it confirmed the factor");
    assert_eq!(open(1, Some(code(1))).await, opened);
    assert_eq!(open(2, Some(code(1))).await, Err(Refusal::SecondFactorWrong));
    let recovery = FactorProof::Recovery { code_hash: [2; 32] };
    assert_eq!(open(2, Some(recovery)).await, opened);
    assert_eq!(open(3, Some(recovery)).await, Err(Refusal::SecondFactorWrong));
    let state = factor(office, user_id).await.unwrap();
    let left = state.confirmed().unwrap();
    assert_eq!((left.last_step, &left.recovery), (code_step(START) + 1, &vec![[1; 32]]));
    assert_eq!(office.store.sessions(user_id, 9).await.unwrap().len(), 2);

    for _ in 0..WRONG_CODES_MAX {
        office.ask(Caller::System, Command::ChangeFactor { user_id, step: FactorStep::NoteWrongCode }).await.unwrap();
    }
    let until = office.clock.now().plus(Span::from_secs(3_600));
    assert_eq!(open(3, Some(code(2))).await, Err(Refusal::SecondFactorResting { until }));
}

pub(super) async fn of_two_first_operators_one_registers(office: &Fixture) {
    assert_eq!(office.store.operators().await.unwrap(), OperatorPresence::Never);
    let first = |number: u128| {
        let user_id = UserId(Uuid::from_u128(number));
        let email = format!("{number}@first.example.com");
        let new =
            NewUser { user_id, name: "First".to_owned(), email, password_hash: "h".to_owned(), role: Role::Operator };
        Command::RegisterFirst(new)
    };
    let (one, other) = tokio::join!(office.ask(Caller::System, first(71)), office.ask(Caller::System, first(72)));
    assert_eq!(usize::from(one.is_ok()) + usize::from(other.is_ok()), 1, "{one:?} {other:?}");
    assert!([one, other].contains(&Err(Refusal::OperatorExists)));
    assert_eq!(office.store.operators().await.unwrap(), OperatorPresence::Present);
    assert_eq!(office.ask(Caller::System, first(73)).await, Err(Refusal::OperatorExists));
    // Once the last one is a buyer, the box office still has had one.
    for number in [71, 72] {
        let user_id = UserId(Uuid::from_u128(number));
        let _ = office.ask(Caller::System, Command::SetRole { user_id, role: Role::Buyer }).await;
    }
    assert_eq!(office.store.operators().await.unwrap(), OperatorPresence::Gone);
    assert_eq!(office.ask(Caller::System, first(73)).await, Err(Refusal::OperatorExists));
}
