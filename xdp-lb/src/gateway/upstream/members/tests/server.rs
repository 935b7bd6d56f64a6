//! A DNS server on loopback that says what a test wants.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hickory_resolver::proto::op::{Message, OpCode, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, AAAA, CNAME, SRV};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use tokio::net::UdpSocket;
use tokio::time::Instant;

/// What it says of a name and a type.
#[derive(Clone, Debug)]
pub(super) enum Says {
    Records(u32, Vec<RData>),
    Code(ResponseCode),
    /// Nothing at all.
    Silence,
}

/// The server. It goes with its runtime.
pub(super) struct Dns {
    pub(super) address: SocketAddr,
    zone: Arc<Mutex<HashMap<(String, RecordType), Says>>>,
    asked: Arc<Mutex<Vec<(Instant, String, RecordType)>>>,
}

impl Dns {
    pub(super) async fn start() -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = socket.local_addr().unwrap();
        let dns = Self { address, zone: Arc::default(), asked: Arc::default() };
        let (zone, asked) = (Arc::clone(&dns.zone), Arc::clone(&dns.asked));
        tokio::spawn(async move {
            let mut packet = [0; 4096];
            while let Ok((length, client)) = socket.recv_from(&mut packet).await {
                let question = Message::from_vec(&packet[..length]).unwrap();
                let query = question.queries[0].clone();
                let key = (query.name().to_ascii(), query.query_type());
                asked.lock().unwrap().push((Instant::now(), key.0.clone(), key.1));
                let says = zone.lock().unwrap().get(&key).cloned();
                let mut answer = Message::response(question.metadata.id, OpCode::Query);
                answer.add_query(query.clone());
                match says {
                    Some(Says::Silence) => continue,
                    Some(Says::Code(code)) => answer.metadata.response_code = code,
                    Some(Says::Records(ttl, records)) => {
                        for data in records {
                            answer.add_answer(Record::from_rdata(query.name().clone(), ttl, data));
                        }
                    }
                    None => answer.metadata.response_code = ResponseCode::NXDomain,
                }
                socket.send_to(&answer.to_vec().unwrap(), client).await.unwrap();
            }
        });
        dns
    }

    pub(super) fn set(&self, name: &str, kind: RecordType, says: Says) {
        self.zone.lock().unwrap().insert((name.to_owned(), kind), says);
    }

    /// Says these addresses, and that there are none of the other family.
    pub(super) fn set_addresses(&self, name: &str, ttl: u32, addresses: &[&str]) {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for address in addresses {
            match address.parse().unwrap() {
                std::net::IpAddr::V4(address) => v4.push(RData::A(A(address))),
                std::net::IpAddr::V6(address) => v6.push(RData::AAAA(AAAA(address))),
            }
        }
        self.set(name, RecordType::A, Says::Records(ttl, v4));
        self.set(name, RecordType::AAAA, Says::Records(ttl, v6));
    }

    /// Says these targets: priority, weight, port, name.
    pub(super) fn set_service(&self, name: &str, ttl: u32, targets: &[(u16, u16, u16, &str)]) {
        let records = targets.iter().map(|&(priority, weight, port, target)| {
            RData::SRV(SRV::new(priority, weight, port, Name::from_ascii(target).unwrap()))
        });
        self.set(name, RecordType::SRV, Says::Records(ttl, records.collect()));
    }

    /// How often it was asked for this.
    pub(super) fn asked(&self, kind: RecordType) -> usize {
        self.asked.lock().unwrap().iter().filter(|asked| asked.2 == kind).count()
    }

    /// Between any two questions of this type that follow each other, the longest.
    pub(super) fn longest_pause(&self, kind: RecordType) -> Duration {
        let asked = self.asked.lock().unwrap();
        let times: Vec<_> = asked.iter().filter(|asked| asked.2 == kind).map(|asked| asked.0).collect();
        times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default()
    }

    /// Between the first two questions of this type.
    pub(super) fn pause(&self, kind: RecordType) -> Duration {
        let asked = self.asked.lock().unwrap();
        let mut times = asked.iter().filter(|asked| asked.2 == kind).map(|asked| asked.0);
        let first = times.next().expect("it was asked");
        times.next().expect("it was asked twice") - first
    }
}

pub(super) fn alias(target: &str) -> RData {
    RData::CNAME(CNAME(Name::from_ascii(target).unwrap()))
}
