//! The consumer that writes letters.

use super::Deliver;
use crate::{letters::KeptLetters, office::BoxOffice};
use async_trait::async_trait;
use frontrow_domain::outbox::{DeliveryError, EventPayload, OutboxEvent};
use std::sync::Arc;
use tokio::sync::Mutex;

/// Issues the link of a letter and keeps the letter. A second delivery issues another link: the newest
/// counts.
#[derive(Debug)]
pub(in crate::workers) struct LetterPost {
    pub(in crate::workers) office: Arc<BoxOffice>,
    pub(in crate::workers) letters: Arc<KeptLetters>,
    /// Letters are written one after the other: the newest that is kept has the newest link.
    pub(in crate::workers) turn: Mutex<()>,
}

#[async_trait]
impl Deliver for LetterPost {
    async fn deliver(&self, event: &OutboxEvent) -> Result<(), DeliveryError> {
        let EventPayload::LetterRequested { user_id, letter, language } = event.payload else {
            return Err(DeliveryError::unreadable(&event.payload));
        };
        let _turn = self.turn.lock().await;
        let written = self.office.write_letter(user_id, letter, language).await;
        if let Some(letter) = written.map_err(|error| DeliveryError::new(&error.to_string()))? {
            self.letters.keep(letter);
        }
        Ok(())
    }
}
