//! Bytes of a client: framing and decoding must never panic, nor take more memory than came.

#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use tidemill_server::frontend::{decode, peek_kind, take_message, take_startup};

fuzz_target!(|bytes: &[u8]| {
    let mut startup = BytesMut::from(bytes);
    while let Ok(Some(_)) = take_startup(&mut startup) {}
    let mut stream = BytesMut::from(bytes);
    let _ = peek_kind(&stream);
    while let Ok(Some((kind, body))) = take_message(&mut stream) {
        let _ = decode(kind, &body);
    }
});
