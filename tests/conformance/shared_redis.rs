//! Redis queues on the test run's server, each test in a namespace of its own.

use crate::servers::redis::RedisServer;
use frontrow::{
    clock::{Clock, Ids},
    queue::redis::{Notice, RedisQueue, Settings},
    store::{Store, memory::MemoryStore},
};
use frontrow_domain::{
    rules::Rules,
    time::{Span, Time},
};
use std::{sync::Arc, time::Duration};
use tokio::sync::mpsc;
use uuid::Uuid;

const START: Time = Time::from_micros(1_900_000_000_000_000);

/// The run's server, or one of the test's own where none is named.
pub(crate) fn server() -> (Option<RedisServer>, Vec<String>) {
    match std::env::var("FRONTROW_TEST_REDIS") {
        Ok(url) => (None, vec![url]),
        Err(_) => {
            let server = RedisServer::start();
            let urls = vec![server.url()];
            (Some(server), urls)
        }
    }
}

/// One box office's part of a Redis.
pub(crate) struct Namespace {
    settings: Settings,
    office: Uuid,
    ids: Ids,
    pub(crate) clock: Clock,
}

impl Namespace {
    pub(crate) fn new(urls: Vec<String>) -> Self {
        let ids = Ids::from_os();
        let mut settings = Settings::new(urls);
        // These tests stand for all instances.
        settings.settles_in = Duration::ZERO;
        settings.silence = Span::from_secs(60);
        // A loaded machine is no outage.
        settings.response_timeout = Duration::from_secs(5);
        Self { settings, office: ids.uuid(START), ids, clock: Clock::manual(START) }
    }

    /// A queue whose store knows nothing of what is published: its rows are not looked at.
    pub(crate) async fn alone(mut self) -> Arc<RedisQueue> {
        self.settings.glance_every = Duration::from_hours(1);
        self.settings.glance_away_every = Duration::from_hours(1);
        let store = MemoryStore::new(self.clock.clone(), Rules::default(), 1);
        self.instance(Arc::new(store)).await
    }

    /// One instance over this store.
    pub(crate) async fn instance(&self, store: Arc<dyn Store>) -> Arc<RedisQueue> {
        // Nobody listens: notices are dropped.
        let (notices, _) = mpsc::channel::<Notice>(1);
        let instance = self.ids.uuid(START);
        RedisQueue::start(self.settings.clone(), store, self.office, instance, self.clock.clone(), notices)
            .await
            .unwrap()
    }
}
