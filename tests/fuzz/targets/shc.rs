//! Codes of profile `shc`.

#![no_main]

use turnstiled_fuzz::codes::Profile;

libfuzzer_sys::fuzz_target!(|data: &[u8]| turnstiled_fuzz::code(Profile::Shc, data));
