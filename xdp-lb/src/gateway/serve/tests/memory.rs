//! What a connection at rest costs.

use super::*;

const CONNECTIONS: usize = 2_000;

/// Of the whole process; all of it that is not the server's is the same before and after.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * rustix::param::page_size()
}

/// As the kernel has it, a socket of a client costs this process nothing.
#[tokio::test]
async fn a_connection_at_rest_costs_little() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let hard = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: hard, maximum: hard }).unwrap();
    let (server, address) = start(&listener("web"), &hasty());
    let open = async || {
        let mut stream = connect(address).await;
        get(&mut stream, "/").await;
        stream.into_std().unwrap()
    };
    // What is there once, however many there are.
    let mut clients = Vec::with_capacity(CONNECTIONS + 100);
    for _ in 0..100 {
        clients.push(open().await);
    }
    until("they are parked", || server.connections().parked == 100).await;
    let before = resident();
    for _ in 0..CONNECTIONS {
        clients.push(open().await);
    }
    until("all are parked", || server.connections().parked == clients.len() as u64).await;
    let each = resident().saturating_sub(before) / CONNECTIONS;
    println!("{each} bytes for each connection at rest");
    // Other tests run in the same process. A connection of hyper with its buffers takes more than this.
    assert!(each < 8 * 1024, "{each} bytes for each connection at rest");
}
