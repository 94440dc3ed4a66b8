//! Frames of a camera: luma of any size and any stride, with things in it that look like codes, and codes.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| turnstiled_fuzz::frame::frames(data));
