//! The stream of a sale: a moment each second, whose bytes are the same for all who watch, and new entries of the audit
//! log in the words of the one who does.

use super::{
    frame::ScreenFrame,
    page::{EntryLine, Names},
};
use crate::{
    edge::{
        events::{self, EventSource, NextEvent},
        state::SharedState,
    },
    html::shell::Shell,
};
use axum::body::Bytes;
use frontrow_service::{
    house::{SaleNews, SaleWatch},
    office::ServiceError,
};
use std::{collections::VecDeque, time::Duration};
use tokio::time::{Instant, sleep_until};

/// How often a stream looks whether its session still may watch. A sign-out ends it no later.
const CHECK_EVERY: Duration = Duration::from_secs(3);

/// The stream of one who watches.
pub(super) struct SaleEvents {
    pub(super) app: SharedState,
    pub(super) shell: Shell,
    /// The secret of the session.
    pub(super) secret: String,
    pub(super) watch: SaleWatch,
    check_at: Instant,
    /// News whose operators' names are not known yet.
    news: Option<SaleNews>,
    names: Names,
    /// What is written and not sent.
    written: VecDeque<Bytes>,
}

impl SaleEvents {
    pub(super) fn new(app: SharedState, shell: Shell, secret: String, watch: SaleWatch) -> Self {
        Self {
            app,
            shell,
            secret,
            watch,
            check_at: Instant::now() + CHECK_EVERY,
            news: None,
            names: Names::default(),
            written: VecDeque::new(),
        }
    }

    /// Whether the session still may watch. A database that does not answer ends nothing.
    async fn may_watch(&self) -> bool {
        let caller = match self.app.office.remembered(&self.secret) {
            Some(caller) => Ok(caller),
            None => self.app.office.authenticate(&self.secret).await,
        };
        match caller {
            Ok(caller) => caller.may_see_sale(),
            Err(ServiceError::Unauthorized) => false,
            Err(_) => true,
        }
    }

    fn write_screen(&mut self, news: &SaleNews) {
        let frame = news.moment.sent_as(|moment| {
            let data = serde_json::to_vec(&ScreenFrame::from(&moment.screen)).unwrap_or_default();
            events::event("screen", None, &data)
        });
        self.written.push_back(frame);
    }

    fn write_audit(&mut self, news: &SaleNews) {
        let line = |entry| EntryLine::of(&self.shell, &news.moment.screen, entry, &self.names);
        let entries: Vec<_> = news.audit.iter().map(line).collect();
        let data = serde_json::to_vec(&entries).unwrap_or_default();
        self.written.push_back(events::event("audit", None, &data));
    }
}

impl EventSource for SaleEvents {
    async fn next(&mut self) -> NextEvent {
        loop {
            if let Some(event) = self.written.pop_front() {
                return NextEvent::Event(event);
            }
            if let Some(news) = &self.news {
                self.names.learn(&self.app, &news.audit).await;
                if let Some(news) = self.news.take() {
                    self.write_audit(&news);
                }
                continue;
            }
            let check_at = self.check_at;
            tokio::select! {
                news = self.watch.next() => match news {
                    // The moment waits for no name: the database may be silent.
                    Some(news) => {
                        self.write_screen(&news);
                        self.news = Some(news).filter(|news| !news.audit.is_empty());
                    }
                    None => return NextEvent::End,
                },
                () = sleep_until(check_at) => {
                    if !self.may_watch().await {
                        return NextEvent::End;
                    }
                    self.check_at = Instant::now() + CHECK_EVERY;
                }
            }
        }
    }
}
