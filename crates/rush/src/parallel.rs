//! Many small jobs, a few at a time.

use std::{future::Future, sync::Arc};
use tokio::{sync::Semaphore, task::JoinSet};

/// Runs `job` for every item, at most `width` at a time, and gives the results in the items' order. Results of jobs
/// that panicked are missing. `progress` is called with how many are done after each.
pub(crate) async fn in_parallel<I, T, F>(
    items: Vec<I>,
    width: usize,
    job: impl Fn(I) -> F,
    mut progress: impl FnMut(usize),
) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let gate = Arc::new(Semaphore::new(width.max(1)));
    let mut jobs = JoinSet::new();
    let mut results = Vec::with_capacity(items.len());
    for (index, item) in items.into_iter().enumerate() {
        let Ok(permit) = Arc::clone(&gate).acquire_owned().await else { break };
        let work = job(item);
        jobs.spawn(async move {
            let result = work.await;
            drop(permit);
            (index, result)
        });
        while let Some(done) = jobs.try_join_next() {
            results.extend(done);
            progress(results.len());
        }
    }
    while let Some(done) = jobs.join_next().await {
        results.extend(done);
        progress(results.len());
    }
    results.sort_unstable_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn results_come_in_the_order_of_the_items() {
        let mut last = 0;
        let double = |number: u32| async move { number * 2 };
        let results = in_parallel((0..50).collect(), 4, double, |done| last = done).await;
        assert_eq!(results, (0..50).map(|number| number * 2).collect::<Vec<_>>());
        assert_eq!(last, 50);
    }
}
