//! What `--help` says behind the flags of a command: examples that run as
//! they stand, and the few sentences that one has to know beforehand.
//!
//! A person reads help in a terminal of 100 columns at most. The examples'
//! remarks stand in one column, so that they can be read down. What is indented
//! is an example, a line with a colon at its end is a heading, the rest is
//! prose: so the [man pages](super::man) read these texts, too, and a test runs
//! the examples.

/// What `-h` says instead.
pub const MORE: &str = "Examples, and more about the flags: --help";

/// What `shm -h` says.
pub const SHM_SHORT: &str = "\
Examples:
  shm create ring logs                        a ring of 20 nodes of 64K
  tail -f app.log | shm write logs            here ...
  shm read logs | grep ERROR                  ... and there

Examples of a command, and more about its flags: shm COMMAND --help";

const SHM: &str = "\
Examples:
  shm create ring logs                        a ring of 20 nodes of 64K
  tail -f app.log | shm write logs            here ...
  shm read logs | grep ERROR                  ... and there

  shm create array temps --type f64 --len 8   eight numbers, all 0
  shm write temps 20.5 -3 1e2                 the first three
  shm read temps --format json                [20.5,-3.0,100.0,0.0,0.0,0.0,0.0,0.0]

  shm create buffer page --size 64K           plain bytes
  shm lock page -- ./edit-it                  a command alone with them

  shm inspect logs                            who is attached, and how far behind
  shm remove logs temps page

Sizes are powers of 1024 (4096, 64K, 1MiB), or of 1000 with B (10MB). Durations have their unit:
200ms, 5s, 2m. Names: 1 to 200 of A-Z a-z 0-9 . _ - and no . at the start.";

/// What each exit status means.
pub const EXIT_STATUS: [(&str, &str); 10] = [
    (
        "0",
        "done; also for a reader whose stdout was closed (| head)",
    ),
    (
        "1",
        "failed: I/O, permission, no space, no such segment, already exists",
    ),
    (
        "2",
        "usage error, also a flag that does not apply to this kind of segment",
    ),
    (
        "3",
        "the stream ended, but a writer died: the data may be incomplete",
    ),
    ("4", "timed out"),
    (
        "5",
        "not one of our segments, another layout version, or damaged",
    ),
    ("6", "the segment was removed or truncated while in use"),
    (
        "129",
        "its terminal went away, after leaving the segment in order",
    ),
    ("130", "interrupted, after leaving the segment in order"),
    ("143", "terminated, after leaving the segment in order"),
];

/// What `shm --help` says.
pub fn shm() -> String {
    let mut help = format!("{SHM}\n\nExit status:\n");
    for (status, meaning) in EXIT_STATUS {
        help += &format!("  {status:>3}  {meaning}\n");
    }
    help
}

pub const CREATE_RING: &str = "\
Examples:
  shm create ring logs                      20 nodes of 64K: 1.3 MB of memory
  shm create ring video -n 8 -b 4M          few, large nodes, for bulk data
  shm create ring jobs -n 10000 -b 256      many small ones, for messages
  shm create ring cam --delivery broadcast  every reader gets every node

Few large nodes move bulk data fastest; more nodes let writers run further ahead of
readers. All memory is reserved now: where /dev/shm has not enough room, nothing is made.
With --delivery broadcast each reader gets every node that is published after it came, all in the
same order. A full ring then waits for its slowest reader, unless writers drop.";

pub const CREATE_ARRAY: &str = "\
Examples:
  shm create array temps --type f64 --len 1000
  shm create array mask --type bool --len 1M --fill true
  shm create array trail --type '[f32;3]' --len 500 --fill -1
  shm create array users --type 'id:u32,position:[f32;3],alive:bool' --len 100

Types: i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 bool; [T;K] is K of them; a record has named
fields, laid out as a C compiler does. A record within another type stands in braces:
[{x:f32,y:f32};16]. An element has 64 KiB at most. Elements lie one after the other, little-
endian, from the offset that `shm inspect --json` calls data_offset: map them with what you like.";

pub const CREATE_BUFFER: &str = "\
Examples:
  shm create buffer page --size 64K
  shm create buffer frame --size 8MiB --mode 0660
  shm create buffer page --size 64K --if-not-exists --json

A buffer has no types and no positions: `shm write` and `shm read` say where by --at. All
memory is reserved now, and is 0.";

pub const WRITE: &str = "\
Examples, a ring:
  shm write logs big.iso                    a file, with progress on a terminal
  make 2>&1 | shm write logs                a pipeline; each line is seen at once
  shm write logs --rate 10MB --stats *.csv  several files, slowly, with a summary
  shm write jobs --lines < numbers.txt      whole lines in each node, for several readers
  find -print0 | shm write jobs --null      names of files, whole, whatever is in them
  make | shm write logs --on-full drop-new  never waits: drops what finds no room
Examples, an array:
  shm write temps 20.5 -3 1e2               values, from element 0 on
  shm write temps --at 10 < numbers.txt     values from stdin, from element 10 on
  shm write users --format json '{\"id\":7,\"position\":[0,0,1],\"alive\":true}'
  shm write temps --format npy < temps.npy  what numpy.save() has made
Examples, a buffer:
  shm write page page.html                  a file, from offset 0 on
  date | shm write page --at 4K             stdin, from offset 4096 on

Ring: a node is published when it is full, when the input has nothing more right now, or at
the input's end. The last writer to leave ends the stream, as with a pipe; readers then end too.

With --lines, --null, --record or --message items are never cut: a node holds as many whole
ones as fit, and one that does not fit a node at all is an error that says how large it is, and
where. Nothing is added: a last line without its line feed goes on with the next INPUT, as with
cat. With --on-full drop-new or drop-old whole nodes are dropped, never one that a reader has,
and counted; the --hash is that of what was published.

Array, buffer: all of the input is read, and checked, before the first byte is stored, under
the write lock. What does not fit, or is out of range, stores nothing (exit 1). One exception: the
raw bytes of a regular file of 1 MiB or more that fits go straight into the segment. Interrupted,
or if the file changes meanwhile, that leaves half of a write, and the next to lock NAME is warned.";

pub const READ: &str = "\
Examples, a ring:
  shm read logs | grep ERROR                until the stream ends
  shm read logs -o copy.iso --hash          to a file, with the BLAKE3 of what went through
  shm read logs --follow --delimiter '\\n'   for ever, a line break after each node
  shm read cam --from oldest -o cam.raw     a broadcast ring: also what is still there
Examples, an array:
  shm read temps                            an element a line
  shm read temps --at 10 --count 5          five of them
  shm read users --format csv               a column for each field
  shm read temps --format npy -o temps.npy  for numpy.load()
Examples, a buffer:
  shm read page --at 4K --count 29          29 bytes from offset 4096 on

Ring: started before the first writer, it waits for it. A node counts as read once all its bytes
are written out; before that, a reader that fails or dies leaves it to another one.
Broadcast ring: gets every node that is published from now on (--from oldest: and those still
there). Writers wait for its slowest reader; those with --on-full drop-old do not: what a reader
missed thereby is counted, and told at the end.

Array, buffer: read under the read lock, so nothing is half written. Up to 16 MiB are copied
first, and the lock is given back before the first byte is printed. More than that is printed under
the lock: a slow consumer (| less) keeps writers waiting, and once a writer waits, new readers too.";

pub const LOCK: &str = "\
Examples:
  shm lock count -- sh -c 'n=$(shm read count) && shm write count $((n + 1))'
  shm lock page --read -- ./make-a-copy     others may read meanwhile, nobody writes
  shm lock page --timeout 5s -- ./edit-it   exit 4 if it is not free by then

The exit status is COMMAND's; 128 + N if signal N killed it, 127 if there is none, 126 if it
cannot be run. `shm read`, `shm write` and `shm lock` of NAME that COMMAND starts do not wait: they
run under its lock (the variable SHM_LOCK tells them). COMMAND keeps the lock until it ends, even if
`shm lock` itself is killed; those of them that it leaves running are waited for. A killed COMMAND
leaves a mark: whoever locks NAME is warned until a `shm write` has completed. That COMMAND succeeds
takes no mark back, as it may only have looked. One that fails leaves none: it knows what it did.";

pub const INSPECT: &str = "\
Examples:
  shm inspect logs                          header, cursors, diff, participants
  shm inspect logs --nodes                  and a row for each node
  shm inspect logs --watch                  live: nodes, MB/s, diff, who waits for whom; q quits
  shm inspect logs --watch 5s --json >> f   for monitoring: an object each five seconds
  shm inspect temps --data | less           an array's or a buffer's bytes, in hex
  shm inspect temps --json | jq .array      for scripts: type, len, data_offset

Never changes the segment, needs only read permission, and works on one that is damaged
(exit 5, saying what is wrong) or under full load.";

pub const LIST: &str = "\
Examples:
  shm list                                  a row for each segment
  shm list --bytes                          sizes as exact numbers
  shm list --json | jq -r '.[].name'        only the names
  shm list --watch                          live: who comes and goes, MB/s, diff; q quits
  shm list --watch 10s >> segments.log      a line for each segment, every ten seconds

GEOMETRY is what a segment holds: 20x64K are 20 nodes of 65,536 bytes, 8xf64 are eight elements
of type f64, 64K are bytes. SIZE is the memory that it takes. DIFF is how many nodes readers lag
behind. WRITERS and READERS are attached now; 1+2dead: two died, and nobody has cleaned up after
them yet.";

pub const REMOVE: &str = "\
Examples:
  shm remove logs                           refused while somebody is attached
  shm remove logs video --force             those attached end with exit 6
  shm remove --stale                        all of yours that nobody is attached to

Each NAME is tried, whatever became of the others. --stale prints the names that it has removed. It
also removes full ones, whose data nobody has read yet, and what killed creates have left.";

pub const COMPLETIONS: &str = "\
Examples:
  source <(shm completions bash)            in ~/.bashrc
  source <(shm completions zsh)             in ~/.zshrc, after compinit
  shm completions fish | source             in ~/.config/fish/config.fish
  shm completions bash > ~/.local/share/bash-completion/completions/shm

Script and program belong together: make it anew when you install another version.
scripts/install.sh does.";

pub const MAN: &str = "\
Examples:
  shm man read                              the page of `shm read`
  shm man create ring | man -l -            the same way, by hand
  shm man --out ~/.local/share/man/man1     all pages, for `man shm-read`";
