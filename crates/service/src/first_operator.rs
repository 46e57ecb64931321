//! The first operator, without the command line: a link that the start of a server prints until there has been
//! an operator.

use crate::{
    office::{BoxOffice, ServiceError},
    validate::{Email, Password},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use frontrow_domain::{
    command::Command,
    user::{Caller, OperatorPresence, Role, User},
};
use frontrow_signing::Purpose;

/// The page on which the first operator registers, before the link's secret.
pub const FIRST_OPERATOR_PATH: &str = "/operator/setup/";

impl BoxOffice {
    /// Whether there is an operator, or was one. A demo has its own.
    ///
    /// # Errors
    /// The store could not be read.
    pub async fn operators(&self) -> Result<OperatorPresence, ServiceError> {
        if self.is_demo() { Ok(OperatorPresence::Present) } else { Ok(self.store.operators().await?) }
    }

    /// The secret of the link. It comes from the keys of the box office, so it is the same for all its instances and
    /// after a restart.
    #[must_use]
    pub fn first_operator_secret(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.keyring.seal(Purpose::FirstOperator, b""))
    }

    /// Whether this is the secret of the link, by any of the keys. Takes constant time.
    #[must_use]
    pub fn is_first_operator_secret(&self, text: &str) -> bool {
        let seal = URL_SAFE_NO_PAD.decode(text).ok().and_then(|bytes| bytes.try_into().ok());
        seal.is_some_and(|seal| self.keyring.is_sealed(Purpose::FirstOperator, b"", &seal))
    }

    /// Registers the first operator.
    ///
    /// # Errors
    /// [`OperatorExists`](frontrow_domain::refusal::Refusal::OperatorExists),
    /// [`EmailTaken`](frontrow_domain::refusal::Refusal::EmailTaken), or the engine did not decide.
    pub async fn register_first_operator(
        &self,
        name: String,
        email: Email,
        password: &Password,
    ) -> Result<User, ServiceError> {
        let new = self.new_user(name, email, password, Role::Operator).await?;
        self.run(Caller::System, Command::RegisterFirst(new)).await
    }
}
