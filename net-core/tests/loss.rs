//! Transfers over a bad cable: every byte arrives, in order, at any loss; and how fast, kept in `loss.snapshot`.
#![allow(clippy::unwrap_used, clippy::panic, clippy::large_futures)] // helpers of tests are tests

mod common;

use std::fmt::Write as _;

use common::*;
use embassy_futures::join::join;
use embassy_time::{Duration, Instant};
use net_core::cable::{Cable, Quality};
use net_core::nal::{Read, TcpListener as _, TcpWrite as _, Write};
use net_core::stack::PoolSizes;

/// 100 Mbit/s with a round trip of 10 ms.
const LINE: Quality =
    Quality { bandwidth: 100_000_000, delay: Duration::from_millis(5), queue: 256, ..Quality::PERFECT };
const BYTES: usize = 300_000;

/// Carries `BYTES` from one host to the other and gives the goodput in kbit/s.
fn transfer(quality: Quality, buffer: usize, seed: u64) -> u64 {
    let sizes = PoolSizes { tcp: 4, udp: 0, tcp_buffer: buffer, udp_buffer: 0 };
    let cable = Cable::new(LINE, seed);
    // At 20 % loss each way a segment and its acknowledgement pass in two of three attempts: eight failures in a row, which
    // is what the usual timeout allows for, do happen.
    let patient = |n| {
        let mut config = static_config(n);
        config.tcp_timeout = Duration::from_secs(3600);
        config
    };
    let one = host_with(&cable, patient(1), sizes, seed);
    let two = host_with(&cable, patient(2), sizes, seed + 1);
    let (server, client) = (one.stack, two.stack);
    let data = pattern(BYTES);
    let took = run([one, two], async {
        let mut listener = server.listen(any(80), 1).unwrap();
        let (accepted, connected) = join(listener.accept(), client.connect(v4(1, 80))).await;
        let (mut accepted, mut connected) = (accepted.unwrap(), connected.unwrap());
        cable.set_quality(quality);
        let began = Instant::now();
        let send = async {
            connected.write_all(&data).await.unwrap();
            connected.finish().await.unwrap();
        };
        let receive = async {
            let mut at = 0;
            let mut buffer = [0; 4096];
            loop {
                let n = accepted.read(&mut buffer).await.unwrap();
                if n == 0 {
                    return at;
                }
                assert!(buffer[..n] == data[at..at + n], "other bytes at {at}");
                at += n;
            }
        };
        let ((), received) = join(send, receive).await;
        assert_eq!(received, BYTES);
        began.elapsed()
    });
    BYTES as u64 * 8000 / took.as_micros().max(1)
}

#[test]
fn bytes_are_identical_at_any_loss_and_the_goodput_is_as_recorded() {
    let mut table = String::from(
        "# Goodput of one connection in kbit/s over a line of 100 Mbit/s and 10 ms round trip: median of 9 seeds.\n\
         # Made by tests/loss.rs; run it with UPDATE=1 to record anew.\n\
         loss %  with reordering and duplication  2 KiB buffers  16 KiB  64 KiB\n",
    );
    for (loss, label) in [(0, "0"), (2, "0.2"), (10, "1"), (50, "5"), (200, "20")] {
        for messy in [false, true] {
            let mess = if messy { 20 } else { 0 };
            let quality = Quality { loss_per_mille: loss, reorder_per_mille: mess, duplicate_per_mille: mess, ..LINE };
            write!(table, "{label:<7} {:<32}", if messy { "yes" } else { "no" }).unwrap();
            for buffer in [2048, 16384, 65536] {
                let mut goodput: Vec<u64> = (0..9).map(|seed| transfer(quality, buffer, seed * 100)).collect();
                goodput.sort_unstable();
                write!(table, " {:>13}", goodput[4]).unwrap();
            }
            table.push('\n');
        }
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/loss.snapshot");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, &table).unwrap();
    }
    let recorded = std::fs::read_to_string(path).unwrap_or_default();
    assert!(table == recorded, "the goodput is another one; if it is better, record it with UPDATE=1:\n{table}");
}
