//! Codes of profile `ride.v81`.

#![no_main]

use turnstiled_fuzz::codes::Profile;

libfuzzer_sys::fuzz_target!(|data: &[u8]| turnstiled_fuzz::code(Profile::RideV81, data));
