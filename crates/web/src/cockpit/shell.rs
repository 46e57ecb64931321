//! What every page of the cockpit shares, and who is let in.

use crate::{
    edge::{
        auth::SaleReader,
        problem::{HttpResult, Problem},
        state::SharedState,
    },
    html::shell::Shell,
};
use axum::{
    extract::{FromRef, FromRequestParts},
    http::request::Parts,
};
use frontrow_domain::user::Caller;
use std::ops::Deref;

/// The shell of a page of the cockpit. Templates have it as `shell`, with all that every page's shell has.
#[derive(Debug, Clone)]
pub(crate) struct CockpitShell {
    shell: Shell,
    /// The signed-in operator or viewer.
    pub(crate) caller: Caller,
    /// Its name; none while it cannot be read.
    name: Option<String>,
}

impl CockpitShell {
    /// Whether the pages offer what changes something. It decides nothing: every change is decided where the rules are.
    pub(crate) fn may_change(&self) -> bool {
        self.caller.is_operator()
    }

    /// The shell of a page at this path.
    pub(crate) fn at(mut self, path: String) -> Self {
        self.shell = self.shell.at(path);
        self
    }

    /// The name of the operator or viewer.
    pub(crate) fn operator_name(&self) -> Option<&str> {
        self.name.as_deref()
    }
}

impl Deref for CockpitShell {
    type Target = Shell;

    fn deref(&self) -> &Shell {
        &self.shell
    }
}

impl<S> FromRequestParts<S> for CockpitShell
where
    S: Send + Sync,
    SharedState: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> HttpResult<Self> {
        let SaleReader(caller) = SaleReader::from_request_parts(parts, state).await?;
        let app = SharedState::from_ref(state);
        let shell = Shell::of(parts, &app)?;
        // The screen shows without the database, too, and waits for none that is silent: its name is then left out.
        let name = match caller.user_id() {
            Some(user) => app.office.names_on_screen([user].into()).await.remove(&user).flatten(),
            None => None,
        };
        Ok(Self { shell, caller, name })
    }
}
