//! Fuzzes [`agentpod_fuzz::targets::manifest`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    agentpod_fuzz::targets::manifest(data);
});
