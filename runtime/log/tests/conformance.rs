//! What every engine of the event log promises. Each check runs on each engine.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, unreachable_pub)]

#[path = "conformance/append.rs"]
mod append;
#[path = "conformance/consumers.rs"]
mod consumers;
#[path = "conformance/content.rs"]
mod content;
#[path = "conformance/personal.rs"]
mod personal;
#[path = "conformance/projections.rs"]
mod projections;
#[path = "conformance/read.rs"]
mod read;
#[path = "conformance/subscribe.rs"]
mod subscribe;

use std::sync::Arc;

use tidewire_log::{EventLog, JournalLog, JournalOptions};
use tidewire_model::append::AppendRequest;
use tidewire_model::event::{Event, NewEvent, StreamName};
use tidewire_model::position::Position;

pub type Log = Arc<dyn EventLog>;

pub fn stream(name: &str) -> StreamName {
    StreamName::new(name).unwrap()
}

pub fn event(event_type: &str, n: u64) -> NewEvent {
    NewEvent::json(event_type, &serde_json::json!({ "n": n }))
}

pub fn one(name: &str, event_type: &str, n: u64) -> AppendRequest {
    AppendRequest::one(stream(name), event(event_type, n))
}

pub fn positions(events: &[Arc<Event>]) -> Vec<u64> {
    events.iter().map(|event| event.position.get()).collect()
}

pub fn at(position: u64) -> Position {
    Position::new(position)
}

macro_rules! conformance {
    ($engine:ident, $make:expr, $($module:ident :: $check:ident),+ $(,)?) => {
        mod $engine {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $check() {
                    let (log, _keep) = $make;
                    super::$module::$check(std::sync::Arc::clone(&log)).await;
                    log.close().await;
                }
            )+
        }
    };
}

macro_rules! on_every_engine {
    ($($module:ident :: $check:ident),+ $(,)?) => {
        conformance!(memory, super::memory(), $($module::$check),+);
        conformance!(journal, super::journal(), $($module::$check),+);
        conformance!(journal_from_store, super::journal_from_store(), $($module::$check),+);
    };
}

fn memory() -> (Log, ()) {
    (Arc::new(tidewire_log::MemoryLog::new()), ())
}

fn journal() -> (Log, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (Arc::new(JournalLog::open(folder.path()).unwrap()), folder)
}

/// With as little in memory as can be, and small segments.
fn journal_from_store() -> (Log, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let options = JournalOptions { segment_bytes: 16 * 1024, keep_events: 0, ..JournalOptions::default() };
    (Arc::new(JournalLog::open_with(folder.path(), options).unwrap()), folder)
}

on_every_engine!(
    append::positions_are_gapless_and_versions_count_per_stream,
    append::expected_versions_decide,
    append::of_many_writers_with_one_expectation_exactly_one_wins,
    append::a_repeated_id_answers_as_the_first_time,
    append::an_id_with_other_content_is_refused,
    append::several_streams_are_stored_all_or_nothing,
    append::single_requests_do_not_stop_each_other,
    append::unusable_appends_are_refused,
    append::recorded_time_never_runs_back,
    append::everything_in_an_event_survives,
    append::state_goes_with_events_or_not_at_all,
    content::large_data_and_raw_payloads_survive_and_are_found,
    content::a_repeated_large_event_is_recognised,
    content::appends_of_one_task_keep_their_order_whatever_their_size,
    content::what_is_too_large_is_refused_with_the_limit,
    personal::erased_events_keep_their_envelope_and_nothing_else,
    personal::what_belongs_to_a_stream_is_erased_with_it,
    personal::only_what_is_encrypted_can_be_erased,
    read::filters_find_the_same_both_ways,
    read::pages_join_without_gap_or_duplicate,
    read::going_through_finds_what_pages_hold,
    read::time_bounds_and_positions_at_a_time,
    read::single_events_by_position_and_id,
    read::streams_are_listed_with_their_last_change,
    read::large_payloads_come_back_whole,
    subscribe::catch_up_goes_live_without_gap_or_duplicate,
    subscribe::each_start_begins_where_it_says,
    subscribe::a_filter_that_skips_still_moves_the_checkpoint,
    subscribe::a_dropped_wait_loses_nothing,
    subscribe::subscriptions_end_when_the_log_is_closed,
    consumers::a_group_shares_events_and_survives,
    consumers::what_fails_again_and_again_is_parked,
    consumers::no_two_members_hold_one_event,
    consumers::events_of_a_stream_stay_in_order,
    consumers::what_is_not_stored_does_not_count,
    projections::state_and_checkpoint_change_together,
    projections::keys_are_listed_in_order_and_in_pages,
    projections::large_values_come_back_whole,
    projections::another_version_has_to_be_dropped_first,
);
