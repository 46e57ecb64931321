//! The consumer that sends letters.

use super::Deliver;
use crate::{letters::Letters, office::BoxOffice};
use async_trait::async_trait;
use frontrow_domain::outbox::{DeliveryError, EventPayload, OutboxEvent};
use std::sync::Arc;

/// Issues the link of a letter and gives the letter to the post. A second delivery issues another link: the newest
/// counts.
#[derive(Debug)]
pub(in crate::workers) struct LetterPost {
    pub(in crate::workers) office: Arc<BoxOffice>,
    pub(in crate::workers) letters: Arc<dyn Letters>,
}

#[async_trait]
impl Deliver for LetterPost {
    async fn deliver(&self, event: &OutboxEvent) -> Result<(), DeliveryError> {
        let EventPayload::LetterRequested { user_id, letter, language } = event.payload else {
            return Err(DeliveryError::unreadable(&event.payload));
        };
        let written = self.office.write_letter(user_id, letter, language).await;
        match written.map_err(|error| DeliveryError::new(&error.to_string()))? {
            Some(letter) => self.letters.send(letter).await,
            None => Ok(()),
        }
    }
}
