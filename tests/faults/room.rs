//! A `/dev/shm` with no room left: for what is to be made, and for those who
//! have their room already.

use crate::harness::in_private_shm;

/// Nothing is made that does not fit, whatever its kind, and what was there
/// streams, stores and locks on: its memory was reserved when it was made.
#[test]
fn a_full_dev_shm_refuses_every_kind_and_stops_nobody() {
    let script = r#"
        shm create ring stream -n 4 -b 64K && shm create array numbers --type u64 --len 1000 &&
            shm create buffer bytes --size 64K || exit 90
        { seq 3000000; sleep 1; seq 3000000; } | shm write stream & writer=$!
        shm read stream | cksum >/dev/shm/sum & reader=$!
        until shm inspect stream --json | grep -q '"read_nodes": *[1-9]'; do :; done
        : >/dev/shm/sum # has its page
        echo x >/dev/shm/sum
        head -c 16M /dev/zero >/dev/shm/filler 2>/dev/null
        [ "$(stat -f -c %f /dev/shm)" = 0 ] || exit 91

        for turn in 1 2 3; do
            shm create ring more -n 2 -b 4K;                 [ $? = 1 ] || exit 92
            shm create array more --type u8 --len 1;         [ $? = 1 ] || exit 93
            shm create buffer more --size 1;                 [ $? = 1 ] || exit 94
            [ "$(ls -A /dev/shm | tr '\n' ' ')" = "bytes filler numbers stream sum " ] || { ls -A /dev/shm >&2; exit 95; }
        done
        shm bench -n 2 -b 1K --elements 10 --baseline none >/dev/null; [ $? = 1 ] || exit 96

        seq 1000 | shm write numbers || exit 97
        [ "$(shm read numbers | cksum)" = "$(seq 1000 | cksum)" ] || exit 98
        seq 9999 | shm write bytes || exit 89
        [ "$(shm read bytes --count 48888 | cksum)" = "$(seq 9999 | cksum)" ] || exit 88
        shm lock numbers -- shm write numbers 7 || exit 87
        wait $writer || exit 86
        wait $reader || exit 85
        [ "$(cat /dev/shm/sum)" = "$({ seq 3000000; seq 3000000; } | cksum)" ] || exit 84
        shm remove stream numbers bytes || exit 83
        shm create ring more -n 2 -b 4K || exit 82
    "#;
    let Some(done) = in_private_shm("8m", script) else {
        return;
    };
    let lines: Vec<_> = done.stderr.lines().collect();
    let made = |line: &&str| line.starts_with("shm: /dev/shm: not enough room: needed ");
    assert_eq!(
        lines.iter().filter(|line| made(line)).count(),
        9,
        "{lines:?}"
    );
    assert_eq!(lines.len(), 10, "and one line of the bench: {lines:?}");
    assert!(
        lines[9].starts_with("shm: ") && lines[9].contains("room"),
        "{lines:?}"
    );
    done.exits(0);
}

/// Both see room for one before they begin, and reserve it side by side: at
/// most one of them gets it, and the other leaves nothing.
#[test]
fn two_who_reserve_the_last_room_at_once_leave_no_half_of_a_segment() {
    let script = r#"
        made=0
        for turn in 1 2 3 4 5 6 7 8; do
            shm create buffer one --size 40M 2>/dev/null & one=$!
            shm create buffer two --size 40M 2>/dev/null & two=$!
            wait $one; a=$?; wait $two; b=$?
            case $a$b in 01|10|11) ;; *) echo "exits $a and $b" >&2; exit 90;; esac
            there=$(ls -A /dev/shm | wc -l)
            [ $there = $((2 - a - b)) ] || { ls -lA /dev/shm >&2; exit 91; }
            made=$((made + there))
            rm -f /dev/shm/*
        done
        shm create buffer one --size 40M || exit 92
        echo $made
    "#;
    if let Some(done) = in_private_shm("64m", script) {
        done.exits(0);
    }
}
