use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::time::timeout;

use super::stream::Stream;

/// How long, and over how many bytes, what a client still sends is read after the last answer.
const TIME: Duration = Duration::from_secs(2);
const BYTES: usize = 256 * 1024;

/// Ends a connection such that its client sees the last answer: the kernel resets a connection that is closed with
/// bytes unread, and a reset takes away what the client has not read yet.
pub(super) async fn close(mut stream: Stream, client_ended: bool, send_timeout: Duration) {
    let said = timeout(send_timeout, stream.shutdown()).await;
    if client_ended || !matches!(said, Ok(Ok(()))) {
        return;
    }
    let _ = timeout(TIME, read_off(&stream)).await;
}

async fn read_off(stream: &Stream) {
    let socket = stream.socket();
    let mut buffer = vec![0; 8 * 1024];
    let mut left = BYTES;
    while left > 0 && socket.readable().await.is_ok() {
        match socket.try_read(&mut buffer) {
            Ok(0) => return,
            Ok(count) => left = left.saturating_sub(count),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
    }
}
