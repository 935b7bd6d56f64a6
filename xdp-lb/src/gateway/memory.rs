//! Memory that is free goes back to the kernel: what thousands of requests at once needed is not kept until the next.

use std::hint::black_box;
use std::time::Duration;

use rustix::thread::disable_transparent_huge_pages;

/// Between two times.
const PAUSE: Duration = Duration::from_secs(2);

/// Keeps the kernel from putting huge pages in place of small ones. Of those few would ever be free as a whole: a parked
/// connection needs a kilobyte or so, and holds on to two megabytes together with whoever was active beside it.
pub(super) fn keep_pages_small() {
    if let Err(error) = disable_transparent_huge_pages(true) {
        tracing::info!("idle connections may take more memory, as huge pages stay on: {error}");
    }
}

/// Gives back what is free, again and again.
///
/// The allocator does so only on occasion: when it frees a page, or when a thread ends that has allocated something. After
/// many connections were parked there is nothing to free for a long time, so a thread is made to end.
pub(super) async fn give_back() {
    loop {
        tokio::time::sleep(PAUSE).await;
        let ended = std::thread::Builder::new().name("gateway-memory".into()).spawn(|| {
            black_box(Box::new(0_u8));
        });
        if let Err(error) = ended {
            tracing::debug!(%error, "cannot start a thread");
        }
    }
}
