use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::time::timeout;

use super::stream::Stream;

/// How long what a client still sends is read after the last answer: in all, and while nothing comes. Many clients look
/// for an answer only when they have sent all.
const TIME: Duration = Duration::from_secs(30);
const SILENCE: Duration = Duration::from_secs(2);

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
    let mut buffer = vec![0; 16 * 1024];
    while matches!(timeout(SILENCE, socket.readable()).await, Ok(Ok(()))) {
        match socket.try_read(&mut buffer) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
    }
}
