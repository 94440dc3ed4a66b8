//! Facts of ID cards, as a reader gives them.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| turnstiled_fuzz::card(data));
