//! A concert that tests sell.

use frontrow_domain::sale::Concert;

/// A concert on sale with its seats, by number from 1.
pub struct Hall {
    pub concert: Concert,
    pub seats: Vec<i64>,
}

impl Hall {
    pub fn id(&self) -> i64 {
        self.concert.concert_id.get()
    }

    pub fn path(&self) -> String {
        format!("/concerts/{}", self.id())
    }
}
