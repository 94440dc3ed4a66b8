//! PN532: bytes of a reader's line.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| turnstiled_fuzz::line::pn532(data));
