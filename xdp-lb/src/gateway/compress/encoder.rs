//! The encoders, at levels that keep up with the network: what more effort saves in bytes costs more in time to first byte
//! and in processors than it brings.

use async_compression::Level;
use async_compression::brotli::EncoderParams;
use async_compression::codecs::{BrotliEncoder, EncodeV2, GzipEncoder, ZstdEncoder};
use async_compression::zstd::CParameter;

use crate::config::gateway::Encoding;

/// An encoder of a stream.
pub(super) type Encoder = Box<dyn EncodeV2 + Send>;

/// A window of 128 KiB, beyond which little is found in text, and which bounds what an encoder holds.
const WINDOW_LOG: u8 = 17;

/// A new one.
pub(super) fn new(encoding: Encoding) -> Encoder {
    match encoding {
        Encoding::Gzip => Box::new(GzipEncoder::new(Level::Precise(5).into())),
        Encoding::Brotli => {
            let window = EncoderParams::default().window_size(WINDOW_LOG.into());
            Box::new(BrotliEncoder::new(window.quality(Level::Precise(4)).block_size(16)))
        }
        Encoding::Zstd => {
            let sizes = [
                CParameter::window_log(WINDOW_LOG.into()),
                CParameter::hash_log(16),
                CParameter::chain_log(15),
            ];
            Box::new(ZstdEncoder::new_with_params(3, &sizes))
        }
    }
}
