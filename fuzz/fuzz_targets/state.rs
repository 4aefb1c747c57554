//! See [`tidings_fuzz::state`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    tidings_fuzz::state(bytes);
});
