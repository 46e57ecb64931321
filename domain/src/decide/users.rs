use crate::{
    command::{Decision, Outcome},
    id::UserId,
    refusal::{Refusal, Thing},
    user::{Caller, NewUser, Role, Session, User},
    world::World,
};

pub(super) fn register(world: &mut World, caller: Caller, new: &NewUser) -> Decision {
    if new.role == Role::Operator && caller != Caller::System {
        return Err(Refusal::Forbidden);
    }
    if world.emails.contains_key(&new.email) || world.users.contains(new.user_id) {
        return Err(Refusal::EmailTaken);
    }
    let user = User {
        user_id: new.user_id,
        name: new.name.clone(),
        email: new.email.clone(),
        role: new.role,
        created_at: world.now,
        updated_at: world.now,
    };
    world.add_user(user.clone(), new.clone());
    if new.role == Role::Operator {
        world.add_audit(None, "operator.add", format!("user {}", new.user_id), serde_json::json!({}));
    }
    Ok(Outcome::Registered(user))
}

pub(super) fn set_role(world: &mut World, caller: Caller, id: UserId, role: Role) -> Decision {
    if caller != Caller::System {
        return Err(Refusal::Forbidden);
    }
    let Some(mut user) = world.users.get(id).cloned() else {
        return Err(Refusal::NotFound { what: Thing::User });
    };
    if user.role != role {
        user.role = role;
        user.updated_at = world.now;
        world.users.put(id, user.clone());
        let detail = serde_json::json!({ "role": role });
        world.add_audit(None, "user.role", format!("user {id}"), detail);
    }
    Ok(Outcome::User(user))
}

pub(super) fn open_session(world: &mut World, session: Session) -> Decision {
    let Some(user) = world.users.get(session.user_id) else {
        return Err(Refusal::NotFound { what: Thing::User });
    };
    let session = Session { role: user.role, ..session };
    world.add_session(session);
    Ok(Outcome::SignedIn { expires_at: session.expires_at, role: session.role })
}

pub(super) fn close_session(world: &mut World, secret_hash: [u8; 32]) -> Outcome {
    world.close_session(secret_hash);
    Outcome::Done
}
