//! Identifiers, as a reader without a security module gives them.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| turnstiled_fuzz::tag(data));
