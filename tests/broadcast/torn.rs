//! The hunt for torn nodes: writers that drop the oldest as fast as they can, in rings
//! of two and three nodes, under readers that look at each message where it
//! lies, byte by byte, dwell on it, and look again.
//!
//! `SHMKIT_TORN_SECONDS` says for how long (4 unless set); `scripts/torn.sh` hunts for
//! a minute and more.

use super::Ring;
use super::party::Party;

#[test]
fn nothing_that_a_reader_has_in_hand_is_ever_torn() {
    let seconds = std::env::var("SHMKIT_TORN_SECONDS");
    let seconds: u64 = seconds.map_or(4, |text| text.parse().unwrap());
    let (mut looked_at, mut missed, mut committed) = (0, 0, 0);
    for (nodes, node_size) in [(2, 64), (3, 64), (2, 65536), (3, 65536)] {
        let ring = Ring::new(nodes, node_size);
        let readers = [(1, 0), (1, 200), (3, 20)].map(|(batch, dwell_us)| {
            Party::reads(&ring.name, "newest", batch, dwell_us) // and each is another
        });
        let span = format!("{}ms", seconds * 1000 / 4);
        let keeper = ring.writer(); // one stream, also if one of them comes late
        let writers = [0, 1].map(|number| Party::writes(&ring.name, number, "drop-old", &span));
        let written: u64 = writers.map(|w| w.finish().committed.unwrap()).iter().sum();
        keeper.end();
        for reader in readers.map(Party::finish) {
            let got: usize = [0, 1].map(|writer| reader.of(writer).len()).iter().sum();
            let got = got as u64;
            assert_eq!(got + reader.missed.unwrap(), written, "{nodes} nodes");
            looked_at += got;
            missed += reader.missed.unwrap();
        }
        committed += written;
        ring.is_sound();
    }
    println!("{committed} written, {looked_at} looked at in place, {missed} missed, none torn");
    assert!(looked_at > 100 * seconds, "too little was looked at");
    assert!(missed > looked_at / 100, "too little was dropped");
}
