//! The requirements on every store.
//!
//! Each test is a plain function over a [`Fixture`]. A backend takes part by naming a function that opens an empty
//! box office on it, in a module of its own at the end of this file.

mod accounts;
mod blocks;
mod draws;
mod factors;
mod keys;
mod line;
mod lists;
mod operators;
mod outage;
mod outbox;
mod records;
mod sale;
mod search;
mod shares;

use frontrow_clock::Clock;
use frontrow_storage::memory::MemoryStore;
use frontrow_testkit::{
    START,
    fixture::{Fixture, HOUSE_MAX_ACTIVE, policy},
};
use std::sync::Arc;

macro_rules! run_on {
    ($open:path: $($file:ident::{$($name:ident),+ $(,)?}),+ $(,)?) => {
        $(mod $file {
            $(#[tokio::test]
            async fn $name() {
                $crate::store::$file::$name(&$open().await).await;
            })+
        })+
    };
}

/// Runs all the tests on the box offices that a function opens.
macro_rules! conformance {
    ($open:path) => {
        run_on! { $open:
            line::{
                a_new_box_office_has_the_house_room_and_its_own_time,
                asking_for_a_token_again_gives_the_same_one,
                positions_rise_in_the_order_of_the_batch,
                the_line_moves_in_order_and_a_turn_is_claimed_once,
                overdue_tokens_lapse_when_the_line_moves,
                one_advance_looks_at_so_many_tokens_and_the_next_at_the_rest,
                a_token_that_ended_frees_its_users_place,
                a_room_with_a_small_cap_keeps_to_it,
                a_claim_ends_overdue_tokens_before_it_meets_a_full_room,
                claims_that_found_the_room_full_keep_their_order,
                the_line_of_an_unknown_room_is_none,
                a_room_counts_what_became_of_its_tokens_also_of_those_whose_rows_are_gone,
                a_client_that_went_away_keeps_what_its_token_had_and_loses_the_place_after_the_grace,
                a_cancelled_concerts_line_ends_part_by_part_from_its_head,
                a_room_without_a_concert_is_kept_and_its_line_ends_once_it_is_closed,
                all_rooms_tell_at_once_whether_something_lives_in_them,
                a_line_is_no_earlier_than_what_was_refused_before,
            },
            draws::{
                a_draw_is_read_back_as_it_was_decided,
                a_sealed_lobby_reserves_as_many_positions_and_later_tokens_come_behind_them,
                drawn_entries_get_their_places_and_their_old_tokens_end,
                the_tokens_up_to_a_position_come_in_parts,
            },
            sale::{
                a_hold_is_read_back_as_it_was_decided,
                a_payment_is_read_back_as_it_was_decided,
                a_refund_frees_the_seat_and_gives_the_points_back,
                a_cancelled_hold_frees_the_seat,
                an_overdue_hold_is_the_next_buyers_before_anything_sweeps_it,
                a_swept_hold_is_expired_in_every_table,
                two_buyers_of_one_seat_in_one_batch_leave_one,
                a_refused_command_changes_nothing,
                one_refused_command_leaves_the_others_of_its_batch_alone,
                seats_are_all_or_none,
                a_user_has_at_most_the_limit_of_seats_in_a_concert,
                a_free_seat_is_paid_and_given_back_without_a_movement,
                who_let_a_seat_go_and_how_often_a_token_held_are_read_back,
                a_token_that_let_its_turns_pass_has_ended_for_that,
                a_prepared_concert_goes_on_sale_with_seats_and_an_opening,
            },
            operators::{
                operators_change_concerts_rooms_and_seats,
                every_row_of_a_hall_is_numbered_from_one,
                what_buyers_read_of_a_concert_is_read_back,
                a_poster_is_read_back_until_it_is_removed,
                what_operators_correct_of_seats_is_read_back,
                the_id_of_a_removed_seat_is_never_given_again,
                a_concert_moves_into_a_room_of_its_own,
                a_sale_that_was_put_off_after_it_had_opened_is_remembered,
                a_correction_takes_what_there_is_and_the_rest_is_owed,
                a_concerts_own_room_follows_its_sale,
                a_seat_added_and_held_in_one_batch_is_held,
                a_cancelled_concert_is_wound_up_as_its_rows_say,
                refunds_of_buyers_and_of_all_at_once_give_each_payment_back_once,
            },
            accounts::{
                a_new_password_is_read_back_and_ends_all_sessions_but_one,
                a_locked_user_is_read_back_and_signed_out,
                a_reset_link_is_used_once_and_a_new_one_replaces_it,
                an_address_is_confirmed_by_its_link_and_links_that_are_over_are_removed,
                the_sessions_of_a_user_are_listed_and_end_one_by_one,
                an_account_with_an_open_debt_is_not_erased,
                an_erased_user_leaves_the_books_and_the_address,
                when_a_user_last_signed_in_is_noted_once_a_day_and_read_back,
                sign_ins_of_operators_and_viewers_and_failed_ones_are_in_the_log,
            },
            blocks::{
                a_block_is_read_back_ends_the_place_and_refuses_another,
                the_blocks_of_a_room_come_in_pages_and_go_after_their_end_and_with_their_users,
            },
            records::{
                the_record_of_a_line_is_read_back_and_an_older_one_replaces_none,
                the_records_of_several_lines_are_kept_at_once_and_go_when_they_are_old,
            },
            shares::{
                a_budget_is_shared_between_the_rooms_and_each_obeys_its_own_row,
                of_two_sharings_at_once_the_second_sees_what_the_first_gave,
                what_a_room_shares_is_read_back,
                a_lane_is_a_room_beside_its_line_and_follows_it,
                the_guests_of_a_lane_are_read_back_and_go_with_their_accounts,
                of_two_joins_at_once_in_a_line_and_its_lane_one_gives_the_place,
                a_token_of_a_lane_holds_a_seat_of_its_lines_concert_alone,
            },
            factors::{
                a_factor_is_read_back_in_every_state,
                a_sign_in_with_a_factor_takes_a_code_that_was_not_used,
                of_two_first_operators_one_registers,
            },
            keys::{
                a_key_answers_the_same_again,
                a_refusal_is_stored_too,
                a_key_in_one_batch_twice_has_one_effect,
                a_key_with_another_request_is_refused,
                a_reference_is_used_once,
                an_email_address_is_registered_once,
                sessions_open_and_close,
                old_answers_and_ended_sessions_are_removed,
                ended_tokens_that_the_line_has_passed_are_removed_and_no_place_changes,
                the_highest_token_of_a_room_is_never_removed,
                reservations_that_ended_unpaid_are_removed_and_paid_ones_stay,
                the_store_says_that_it_is_writable,
            },
            lists::{
                users_are_found_by_text_newest_first,
                concerts_are_found_by_every_filter,
                concerts_come_by_their_start_and_then_by_number,
                the_seats_of_several_concerts_are_counted_at_once,
                what_stands_on_tickets_is_found_by_reservation,
                the_door_list_has_the_sold_seats_in_their_order,
                debts_are_filtered_and_paged,
                bookings_and_debts_are_found_by_their_references,
                seats_come_by_number_with_their_labels,
                reservations_are_filtered_and_paged,
                payments_are_filtered_and_paged,
                the_history_is_paged_and_sums_to_the_balance,
                the_audit_log_is_paged,
                a_users_sessions_end_when_their_role_changes,
                the_next_expiries_come_first,
                live_tokens_of_a_user_come_by_room,
                waiting_tokens_come_by_position_in_pages,
                what_does_not_exist_is_none,
            },
            search::{
                users_are_found_by_the_start_of_their_address_and_names,
                a_seat_is_found_by_its_number,
                a_top_up_and_the_entries_of_a_payment_are_found,
                the_audit_log_of_an_object_is_paged,
            },
            outbox::{
                an_event_is_saved_with_its_entry_of_the_audit_log,
                a_lease_keeps_other_processes_out_until_it_is_settled_or_over,
                what_failed_comes_again_and_is_a_dead_letter_in_the_end,
                the_feed_is_in_the_order_of_delivery_and_is_paged,
                the_outbox_is_paged_newest_first,
                the_id_of_a_delivered_event_is_never_given_again,
                a_claim_that_finds_nothing_changes_nothing,
            },
            outage::{
                an_outage_lengthens_once_what_was_live_when_it_began,
                a_hold_that_was_live_when_an_outage_began_can_be_paid,
                the_absolute_limit_of_an_active_token_moves_by_the_outage,
                a_stop_of_some_seconds_is_an_outage_and_a_shorter_one_lengthens_nothing,
                a_pause_of_some_seconds_in_which_nothing_failed_refuses_no_batch,
                a_silence_in_which_nothing_failed_is_an_outage_too,
            },
        }
    };
}

async fn memory() -> Fixture {
    let clock = Clock::manual(START);
    let store = MemoryStore::new(clock.clone(), policy(), HOUSE_MAX_ACTIVE);
    Fixture::new(clock, Arc::new(store), None)
}

async fn sqlite() -> Fixture {
    Fixture::sqlite()
}

mod on_memory {
    conformance!(crate::store::memory);
}

mod on_sqlite {
    conformance!(crate::store::sqlite);
}

async fn postgres() -> Fixture {
    Fixture::postgres().await
}

mod on_postgres {
    conformance!(crate::store::postgres);
}
