//! Points: balance, history, top-ups, corrections, debts.

use crate::office::{BoxOffice, Reply, ServiceError};
pub use crate::outcome::Adjusted;
use frontrow_domain::{
    command::{Command, Idempotency, NewAdjustment},
    id::{DebtId, HistoryId, UserId},
    money::Money,
    points::{Debt, Point, PointEntry, Settlement},
    refusal::{EntityKind, Refusal},
    user::Caller,
};
use frontrow_storage::{DebtFilter, Page};

impl BoxOffice {
    /// Tops up points (잔액충전).
    ///
    /// # Errors
    /// The refusal that says why not.
    pub async fn top_up(
        &self,
        caller: Caller,
        user_id: UserId,
        amount: Money,
        reference: Option<String>,
        key: Option<Idempotency>,
    ) -> Result<Reply<PointEntry>, ServiceError> {
        self.ask(caller, Command::TopUp { user_id, amount, reference }, key).await
    }

    /// Corrects a balance. The rest that cannot be taken becomes a debt.
    ///
    /// # Errors
    /// The refusal that says why not.
    pub async fn adjust(
        &self,
        caller: Caller,
        adjustment: NewAdjustment,
        key: Option<Idempotency>,
    ) -> Result<Reply<Adjusted>, ServiceError> {
        self.ask(caller, Command::Adjust(adjustment), key).await
    }

    /// Debts that match, newest first.
    ///
    /// # Errors
    /// The store could not be read.
    pub async fn debts(&self, filter: &DebtFilter, page: Page<DebtId>) -> Result<Vec<Debt>, ServiceError> {
        Ok(self.store.debts(filter, page).await?)
    }

    /// A debt.
    ///
    /// # Errors
    /// [`Refusal::NotFound`].
    pub async fn debt(&self, id: DebtId) -> Result<Debt, ServiceError> {
        Ok(self.store.debt(id).await?.ok_or(Refusal::NotFound { what: EntityKind::Debt })?)
    }

    /// Settles a debt.
    ///
    /// # Errors
    /// The refusal that says why not.
    pub async fn settle_debt(
        &self,
        caller: Caller,
        debt_id: DebtId,
        (how, reason): (Settlement, String),
        key: Option<Idempotency>,
    ) -> Result<Reply<Debt>, ServiceError> {
        // A debt never changes its user.
        let debt = self.debt(debt_id).await?;
        let command = Command::SettleDebt { user_id: debt.user_id, debt_id, how, reason };
        self.ask(caller, command, key).await
    }

    /// A user's balance (잔액조회); none before the first movement.
    ///
    /// # Errors
    /// The store could not be read.
    pub async fn balance(&self, user: UserId) -> Result<Option<Point>, ServiceError> {
        Ok(self.store.point(user).await?)
    }

    /// A user's balance; zero before the first movement.
    ///
    /// # Errors
    /// The store could not be read.
    pub async fn balance_of(&self, user: UserId) -> Result<Money, ServiceError> {
        Ok(self.balance(user).await?.map_or(Money::ZERO, |point| point.amount))
    }

    /// A user's point history, newest first.
    ///
    /// # Errors
    /// The store could not be read.
    pub async fn history(&self, user: UserId, page: Page<HistoryId>) -> Result<Vec<PointEntry>, ServiceError> {
        Ok(self.store.history(user, page).await?)
    }
}
