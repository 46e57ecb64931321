//! Sends several statements in one round trip.

use super::connect::{PooledConnection, Statement};
use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll},
};
use tokio_postgres::Error;

type PipelineStep<'a, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'a>>;

enum Slot<'a, T> {
    Open(PipelineStep<'a, T>),
    Done(Result<T, Error>),
}

/// Statements in the order in which the server runs them.
pub(super) struct Pipeline<'a, T> {
    statements: Vec<Statement>,
    slots: Vec<Slot<'a, T>>,
}

impl<'a, T: Unpin> Pipeline<'a, T> {
    pub(super) const fn new() -> Self {
        Self { statements: Vec::new(), slots: Vec::new() }
    }

    /// Adds a prepared statement. The first poll of `step` sends it.
    pub(super) fn add(&mut self, statement: &Statement, step: impl Future<Output = Result<T, Error>> + Send + 'a) {
        self.statements.push(*statement);
        self.add_text(step);
    }

    /// Adds plain SQL.
    pub(super) fn add_text(&mut self, step: impl Future<Output = Result<T, Error>> + Send + 'a) {
        self.slots.push(Slot::Open(Box::pin(step)));
    }

    /// Sends everything and waits for every answer. Statements that this connection does not know yet are prepared
    /// before the first is sent, so that the order holds.
    ///
    /// # Errors
    /// The preparation failed: nothing was sent.
    pub(super) async fn run(mut self, session: &PooledConnection<'_>) -> Result<Vec<Result<T, Error>>, Error> {
        session.prepare(&self.statements).await?;
        poll_fn(|context| self.poll(context)).await;
        let done = |slot| match slot {
            Slot::Done(result) => Some(result),
            Slot::Open(_) => None,
        };
        Ok(self.slots.into_iter().filter_map(done).collect())
    }

    /// Polls in order, so that the first round sends the statements in that order. Answers arrive in the same order:
    /// after an open slot, all others are open.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let mut state = Poll::Ready(());
        for slot in &mut self.slots {
            if let Slot::Open(step) = slot {
                match step.as_mut().poll(context) {
                    Poll::Ready(result) => *slot = Slot::Done(result),
                    Poll::Pending => state = Poll::Pending,
                }
            }
        }
        state
    }
}
