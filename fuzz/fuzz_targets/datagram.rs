//! See [`tidings_fuzz::datagram`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    tidings_fuzz::datagram(bytes);
});
