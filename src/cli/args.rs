//! What may be typed: the definitions from which clap makes the parser, the
//! help, and later the man pages and completions.
//!
//! A value that parses is in range, so commands do not check again. What the
//! words mean is in [`units`]. Each command's help
//! ends with examples that run as they stand.

use super::units;
use clap::{Args, Parser, Subcommand, ValueEnum};
use shmkit::ring::{Delivery, WaitStrategy};
use shmkit::segment::Name;
use std::path::PathBuf;
use std::time::Duration;

const SHM_EXAMPLES: &str = "\
Examples:
  shm create ring logs                      a ring of 20 nodes of 64K
  tail -f app.log | shm write logs          here ...
  shm read logs | grep ERROR                ... and there
  shm inspect logs                          who is attached, and how far behind
  shm remove logs

Exit status: 0 done · 1 failed · 2 usage · 3 a writer died, data may be incomplete
  4 timed out · 5 not a usable segment · 6 removed or truncated while in use
  130/143 interrupted/terminated
Sizes: K M G, KiB MiB GiB are powers of 1024; kB MB GB of 1000. Durations: 200ms 5s 2m.";

/// Shell pipelines through shared memory: named, self-describing, crash-safe rings
///
/// A ring is a segment of shared memory under a name (/dev/shm/NAME) with N
/// nodes of a fixed size. Any number of `shm write` fill nodes, any number of
/// `shm read` empty them, in the order in which they were filled, each node
/// exactly once. The ring outlives its users: it stays until `shm remove` or a
/// reboot.
#[derive(Debug, Parser)]
#[command(
    name = "shm",
    bin_name = "shm",
    version,
    after_help = SHM_EXAMPLES,
    max_term_width = 100,
    subcommand_required = true
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Create a segment
    Create(CreateArgs),
    /// Stream files or stdin into a ring
    Write(WriteArgs),
    /// Stream a ring to stdout or a file
    Read(ReadArgs),
    /// Show what a segment is, who is attached and how far readers lag
    Inspect(InspectArgs),
    /// List our segments
    List(ListArgs),
    /// Remove segments
    Remove(RemoveArgs),
}

#[derive(Debug, Args)]
pub struct CreateArgs {
    #[command(subcommand)]
    pub kind: CreateCommand,
}

#[derive(Debug, Subcommand)]
pub enum CreateCommand {
    /// Create a ring: N nodes of a fixed size, first in, first out
    Ring(CreateRingArgs),
}

const CREATE_RING_EXAMPLES: &str = "\
Examples:
  shm create ring logs                      20 nodes of 64K: 1.3 MB of memory
  shm create ring video -n 8 -b 4M          few, large nodes, for bulk data
  shm create ring jobs -n 10000 -b 256      many small ones, for messages

Few large nodes move bulk data fastest; more nodes let writers run further ahead of
readers. All memory is reserved now: where /dev/shm has not enough room, nothing is made.";

/// Create a ring: N nodes of a fixed size, first in, first out
#[derive(Debug, Args)]
#[command(after_help = CREATE_RING_EXAMPLES)]
pub struct CreateRingArgs {
    /// The ring's name: 1 to 200 of A-Z a-z 0-9 . _ - and no . at the start
    #[arg(value_parser = name)]
    pub name: Name,
    /// Nodes, 2 to 1,048,576
    #[arg(short, long, value_name = "N", default_value = "20")]
    pub nodes: u64,
    /// Bytes that a node holds, 1 to 1G
    #[arg(short = 'b', long, value_name = "SIZE", default_value = "64K", value_parser = units::size)]
    pub node_size: u64,
    /// Who gets a node
    #[arg(long, value_name = "HOW", default_value = "queue")]
    pub delivery: DeliveryArg,
    /// How those who have nothing to do wait
    #[arg(long, value_name = "HOW", default_value = "futex")]
    pub wait: WaitArg,
    /// Permission bits, octal
    #[arg(long, value_name = "OCTAL", default_value = "0600", value_parser = units::mode)]
    pub mode: u32,
    /// Succeed if a ring of exactly this geometry and mode exists already
    #[arg(long)]
    pub if_not_exists: bool,
    /// Print what was created as JSON on stdout
    #[arg(long)]
    pub json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum DeliveryArg {
    /// Each node goes to exactly one reader
    Queue,
}

impl From<DeliveryArg> for Delivery {
    fn from(arg: DeliveryArg) -> Delivery {
        match arg {
            DeliveryArg::Queue => Delivery::Queue,
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum WaitArg {
    /// Spin a little, then sleep: right for nearly everything
    Futex,
    /// Never sleep: lowest latency, burns a core for each that waits
    Spin,
    /// Process-shared events (raw_sync): portable, but a participant killed at the wrong instant can
    /// delay the others
    Event,
}

impl From<WaitArg> for WaitStrategy {
    fn from(arg: WaitArg) -> WaitStrategy {
        match arg {
            WaitArg::Futex => WaitStrategy::Futex,
            WaitArg::Spin => WaitStrategy::Spin,
            WaitArg::Event => WaitStrategy::Event,
        }
    }
}

const WRITE_EXAMPLES: &str = "\
Examples:
  shm write logs big.iso                    a file, with progress on a terminal
  make 2>&1 | shm write logs                a pipeline; each line is seen at once
  shm write logs --rate 10MB --stats *.csv  several files, slowly, with a summary

A node is published when it is full, when the input has nothing more right now, or at the
input's end. The last writer to leave ends the stream, as with a pipe; readers then end too.";

/// Stream files or stdin into a ring
#[derive(Debug, Args)]
#[command(after_help = WRITE_EXAMPLES)]
pub struct WriteArgs {
    /// The ring
    #[arg(value_parser = name)]
    pub name: Name,
    /// Files, one after the other; `-` or none is stdin
    #[arg(value_name = "INPUT")]
    pub inputs: Vec<PathBuf>,
    /// Leave without ending the stream: a later writer goes on with it
    #[arg(long)]
    pub keep_open: bool,
    /// Write at most this many bytes per second
    #[arg(long, value_name = "RATE", value_parser = units::rate)]
    pub rate: Option<u64>,
    /// Give up (exit 4) when no node came free for that long
    #[arg(long, value_name = "DUR", value_parser = units::duration)]
    pub timeout: Option<Duration>,
    #[command(flatten)]
    pub attach: AttachArgs,
    #[command(flatten)]
    pub report: ReportArgs,
}

const READ_EXAMPLES: &str = "\
Examples:
  shm read logs | grep ERROR                until the stream ends
  shm read logs -o copy.iso --hash          to a file, with the BLAKE3 of what went through
  shm read logs --follow --delimiter '\\n'   for ever, a line break after each node

Started before the first writer, it waits for it. A node counts as read once all its bytes
are written out; before that, a reader that fails or dies leaves it to another one.";

/// Stream a ring to stdout or a file
#[derive(Debug, Args)]
#[command(after_help = READ_EXAMPLES)]
pub struct ReadArgs {
    /// The ring
    #[arg(value_parser = name)]
    pub name: Name,
    /// Write to FILE instead of stdout
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Do not end when the writers leave: wait for the next ones
    #[arg(long, conflicts_with = "no_wait")]
    pub follow: bool,
    /// End (exit 0) as soon as nothing is there
    #[arg(long)]
    pub no_wait: bool,
    /// End after that many nodes
    #[arg(long, value_name = "N")]
    pub count: Option<u64>,
    /// Written after each node; knows \n \t \r \0 \\ \xHH
    #[arg(long, value_name = "STR", value_parser = delimiter, allow_hyphen_values = true)]
    pub delimiter: Option<Delimiter>,
    /// Give up (exit 4) when no node came for that long
    #[arg(long, value_name = "DUR", value_parser = units::duration)]
    pub timeout: Option<Duration>,
    #[command(flatten)]
    pub attach: AttachArgs,
    #[command(flatten)]
    pub report: ReportArgs,
}

/// How `write` and `read` come to their segment.
#[derive(Debug, Args)]
pub struct AttachArgs {
    /// Wait that long for NAME to exist (then exit 4)
    #[arg(long, value_name = "DUR", value_parser = units::duration)]
    pub wait_for: Option<Duration>,
    /// Accept a segment that another user owns
    #[arg(long)]
    pub any_owner: bool,
}

/// What `write` and `read` tell about themselves, on stderr.
#[derive(Debug, Args)]
#[command(next_help_heading = "Reporting (on stderr)")]
pub struct ReportArgs {
    /// Compute the BLAKE3 of the bytes that go through, as b3sum does
    #[arg(long)]
    pub hash: bool,
    /// End with one line: bytes, nodes, MB/s, diff, waits
    #[arg(long)]
    pub stats: bool,
    /// End with a summary as one JSON object
    #[arg(long)]
    pub json: bool,
    /// Report each DUR too: a line, or with --json an object
    #[arg(long, value_name = "DUR", value_parser = units::interval)]
    pub interval: Option<Duration>,
    /// Show progress even when stderr is not a terminal (then a line each second)
    #[arg(long, conflicts_with = "quiet")]
    pub progress: bool,
    /// Show no progress
    #[arg(short, long)]
    pub quiet: bool,
}

const INSPECT_EXAMPLES: &str = "\
Examples:
  shm inspect logs                          header, cursors, diff, participants
  shm inspect logs --nodes                  and a row for each node
  shm inspect logs --json | jq .ring        for scripts

Never changes the segment, needs only read permission, and works on one that is damaged
(exit 5, saying what is wrong) or under full load.";

/// Show what a segment is, who is attached and how far readers lag
#[derive(Debug, Args)]
#[command(after_help = INSPECT_EXAMPLES)]
pub struct InspectArgs {
    /// The segment
    #[arg(value_parser = name)]
    pub name: Name,
    /// A row for each node
    #[arg(long)]
    pub nodes: bool,
    /// A hex dump of the nodes' contents
    #[arg(long)]
    pub data: bool,
    /// One JSON object on stdout
    #[arg(long)]
    pub json: bool,
    /// Accept a segment that another user owns
    #[arg(long)]
    pub any_owner: bool,
}

const LIST_EXAMPLES: &str = "\
Examples:
  shm list                                  a row for each segment
  shm list --json | jq -r '.[].name'        only the names
  watch shm list                            and again, every two seconds";

/// List our segments
#[derive(Debug, Args)]
#[command(after_help = LIST_EXAMPLES)]
pub struct ListArgs {
    /// A JSON array on stdout
    #[arg(long)]
    pub json: bool,
}

const REMOVE_EXAMPLES: &str = "\
Examples:
  shm remove logs                           refused while somebody is attached
  shm remove logs video --force             those attached end with exit 6
  shm remove --stale                        all that nobody is attached to";

/// Remove segments
#[derive(Debug, Args)]
#[command(after_help = REMOVE_EXAMPLES)]
pub struct RemoveArgs {
    /// The segments
    #[arg(value_name = "NAME", value_parser = name, required_unless_present = "stale")]
    pub names: Vec<Name>,
    /// Remove it although somebody is attached
    #[arg(long)]
    pub force: bool,
    /// Remove every segment that nobody is attached to, and what killed creates have left
    #[arg(long, conflicts_with_all = ["names", "force"])]
    pub stale: bool,
    /// Remove a segment although another user owns it
    #[arg(long)]
    pub any_owner: bool,
    /// Print what was removed as JSON on stdout
    #[arg(long)]
    pub json: bool,
}

/// Bytes to write after each node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delimiter(pub Vec<u8>);

fn delimiter(text: &str) -> Result<Delimiter, String> {
    units::delimiter(text).map(Delimiter)
}

fn name(text: &str) -> Result<Name, shmkit::segment::NameError> {
    Name::new(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definitions_are_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_teaches_by_three_examples() {
        for command in Cli::command().get_subcommands() {
            let command = command.get_subcommands().next().unwrap_or(command);
            let help = command
                .get_after_help()
                .map(ToString::to_string)
                .unwrap_or_default();
            let examples = help.lines().filter(|line| line.contains("shm ")).count();
            assert!(examples >= 3, "{}: {examples}", command.get_name());
        }
    }

    #[test]
    fn a_ring_is_20_nodes_of_64k_unless_told_otherwise() {
        let cli = Cli::try_parse_from(["shm", "create", "ring", "r"]).unwrap();
        let Command::Create(CreateArgs {
            kind: CreateCommand::Ring(ring),
        }) = cli.command
        else {
            panic!("not create ring")
        };
        assert_eq!((ring.nodes, ring.node_size, ring.mode), (20, 65536, 0o600));
    }

    #[test]
    fn contradictions_are_usage_errors() {
        for line in [
            "shm read r --follow --no-wait",
            "shm write r --progress --quiet",
            "shm remove --stale r",
            "shm remove",
            "shm read .hidden",
            "shm read a/b",
            "shm create ring r --wait never",
            "shm create array a",
        ] {
            let error = Cli::try_parse_from(line.split(' ')).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{line}");
        }
    }
}
