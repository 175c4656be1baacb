//! Fuzzes [`agentpod_fuzz::targets::adapter`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    agentpod_fuzz::targets::adapter(data);
});
