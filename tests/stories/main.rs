//! What people notice, one file a story. The gate is the real one: real pipeline, serial driver, backend, cache and
//! journal; cameras, card modules and lines are the emulated ones of the demo.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::float_cmp,
    clippy::too_many_lines,
    reason = "a story that cannot be set up has failed"
)]

#[path = "../daemon/mod.rs"]
mod daemon;

mod backend_away;
mod backend_nonsense;
mod backend_restored;
mod backend_trouble;
mod beams_stuck;
mod cache_lost;
mod camera_trouble;
mod claims;
mod cloned_card;
mod days_without_backend;
mod disk_full;
mod disk_read_only;
mod doctor_backend;
mod doctor_gate;
mod emulated_readers;
mod faults_in_the_log;
mod fire_in_the_aisle;
mod flood_of_presentations;
mod four_lanes;
mod from_outside;
mod held_on_the_reader;
mod journal_full;
mod killed_mid_passage;
mod learned;
mod liar;
mod link;
mod list_refused;
mod list_while_serving;
mod missing_devices;
mod modes;
mod modes_from_afar;
mod moving_leaf;
mod mutual_recognition;
mod mutual_trust;
mod nobody_is_trapped;
mod nothing_personal;
mod outside;
mod power_back;
mod reader_noise;
mod reader_osdp;
mod reader_tag;
mod reader_unplugged;
mod records_for_an_operator;
mod relays_gone;
mod rider_is_refused;
mod rider_passes;
mod scene;
mod signed_codes;
mod site;
mod slow_disk;
mod stopped_mid_passage;
mod strange_codes;
mod terminal;
mod told;
mod trust_list;
mod turning_back;
mod two_at_once;
mod unreadable_pictures;
mod used_codes;
mod walks;
mod wrong_clock;
mod wrong_config;
mod wrong_files;
