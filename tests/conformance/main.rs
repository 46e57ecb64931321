//! The conformance suites: what every store and every queue must do.

mod queue;

use frontrow::queue::memory::MemoryQueue;

macro_rules! memory_queue {
    ($($name:ident),* $(,)?) => {
        mod memory_queue {
            use super::*;
            $(
                #[tokio::test]
                async fn $name() {
                    queue::$name(&MemoryQueue::new()).await;
                }
            )*
        }
    };
}

memory_queue!(
    a_room_that_was_not_laid_has_no_view,
    places_are_exact_while_others_join_leave_and_get_their_turn,
    a_token_issued_and_ended_in_one_batch_leaves_no_trace,
    a_dormant_token_that_returns_is_at_the_head,
    a_missed_turn_can_be_recalled,
    the_silent_are_found_and_the_awake_are_not,
    laying_a_room_counts_everybody_as_heard_of,
    a_due_hold_is_handed_out_once,
    a_hold_that_was_cancelled_or_paid_is_never_due,
    settings_reach_the_view,
    a_concerts_own_room_is_there_from_the_start,
    a_laid_view_is_the_one_that_followed_every_change,
    a_reader_on_another_thread_never_sees_its_place_rise,
    a_line_that_may_move_wakes_its_worker,
);
