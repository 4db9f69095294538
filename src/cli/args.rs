//! What may be typed: the definitions from which clap makes the parser, the
//! help, the [man pages](super::man) and the [`completions`].
//!
//! A value that parses is in range, so commands do not check again. What the
//! words mean is in [`units`].
//!
//! The first paragraph of a flag's comment is its line in `-h`, which is a page at
//! most; what follows is for `--help`, where each command also has examples
//! that run as they stand ([`help`]). A flag that is not for every kind of
//! segment stands under the heading of its kind.
//!
//! `write` and `read` have the flags of all kinds of segments, since what NAME
//! is stands in its header; [`super::kinds`] refuses those that do not apply.
//! Values of arrays, such as `-1`, `-inf`, are told from flags by [`negative`].

use super::format::Format;
use super::{completions, help, negative, units};
use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};
use clap_complete::engine::ArgValueCompleter;
use shmkit::ring::{Delivery, Framing, OnFull, Start, WaitStrategy};
use shmkit::segment::Name;
use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

/// What only rings have.
const RING: &str = "Ring";
/// What only arrays and buffers have.
const LOCKED: &str = "Array and buffer";
/// How long to wait for what.
const WAITING: &str = "Waiting";

/// Shell pipelines through shared memory: named, self-describing, crash-safe rings, arrays and
/// buffers
///
/// A segment is a piece of shared memory under a name (/dev/shm/NAME) that says
/// itself what it is. It outlives its users: it stays until `shm remove` or a reboot.
///
/// A ring has N nodes of a fixed size. Any number of `shm write` fill nodes, any
/// number of `shm read` empty them, in the order in which they were filled, each
/// node exactly once (or, with --delivery broadcast, every node to every reader).
/// An array has elements of one type: numbers, or records of them. A buffer is
/// plain bytes. Arrays and buffers stay as they are when they are read, and have
/// a read/write lock, which `shm write` and `shm read` take.
#[derive(Debug, Parser)]
#[command(
    name = "shm",
    bin_name = "shm",
    version,
    after_help = help::SHM_SHORT,
    after_long_help = help::shm(),
    max_term_width = 100,
    subcommand_required = true,
    subcommand_value_name = "COMMAND"
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Create a segment
    Create(CreateArgs),
    /// Stream into a ring; store values in an array, or bytes in a buffer
    Write(WriteArgs),
    /// Stream a ring, or print an array's elements or a buffer's bytes
    Read(ReadArgs),
    /// Run a command under the lock of an array or a buffer
    Lock(LockArgs),
    /// Show what a segment is, who is attached and how far readers lag
    Inspect(InspectArgs),
    /// List our segments
    #[command(visible_alias = "ls")]
    List(ListArgs),
    /// Remove segments
    #[command(visible_alias = "rm")]
    Remove(RemoveArgs),
    /// Measure how fast rings are here, in sweeps over geometries
    Bench(super::bench::args::BenchArgs),
    /// Print a shell's completion script, which also completes names of segments
    Completions(CompletionsArgs),
    /// Show, print or write the manual pages
    Man(ManArgs),
}

#[derive(Debug, Args)]
#[command(subcommand_value_name = "KIND")]
pub struct CreateArgs {
    #[command(subcommand)]
    pub kind: CreateCommand,
}

#[derive(Debug, Subcommand)]
pub enum CreateCommand {
    /// Create a ring: N nodes of a fixed size, first in, first out
    Ring(CreateRingArgs),
    /// Create an array: LEN elements of one type, behind a read/write lock
    Array(CreateArrayArgs),
    /// Create a buffer: plain bytes, behind a read/write lock
    Buffer(CreateBufferArgs),
}

/// Create a ring: N nodes of a fixed size, first in, first out
#[derive(Debug, Args)]
#[command(after_help = help::MORE, after_long_help = help::CREATE_RING)]
pub struct CreateRingArgs {
    /// The ring's name: 1 to 200 of A-Z a-z 0-9 . _ - and no . at the start
    #[arg(value_parser = name, value_hint = ValueHint::Other)]
    pub name: Name,
    /// Nodes, 2 to 1,048,576
    ///
    /// How far writers can run ahead of readers, in nodes. N nodes hold N messages.
    #[arg(short, long, value_name = "N", default_value = "20")]
    pub nodes: u64,
    /// Bytes that a node holds, 1 to 1G (64K is 65,536)
    ///
    /// A node is what is handed over at a time: the larger, the less each byte costs; the smaller, the
    /// less memory. It need not be full. What must stay whole has to fit into one.
    #[arg(short = 'b', long, value_name = "SIZE", default_value = "64K", value_parser = units::size)]
    pub node_size: u64,
    /// Who gets a node
    #[arg(long, value_name = "HOW", default_value = "queue")]
    pub delivery: DeliveryArg,
    /// How those who have nothing to do wait
    #[arg(long, value_name = "HOW", default_value = "futex")]
    pub wait: WaitArg,
    #[command(flatten)]
    pub common: CreateCommonArgs,
}

/// Create an array: LEN elements of one type, behind a read/write lock
#[derive(Debug, Args)]
#[command(after_help = help::MORE, after_long_help = help::CREATE_ARRAY)]
pub struct CreateArrayArgs {
    /// The array's name: 1 to 200 of A-Z a-z 0-9 . _ - and no . at the start
    #[arg(value_parser = name, value_hint = ValueHint::Other)]
    pub name: Name,
    // Parsed by the command: its errors say where, and stay short.
    #[arg(
        long = "type",
        value_name = "TYPE",
        help = "What an element is: f64, [u8;3], id:u32,position:[f32;3]"
    )]
    pub element_type: String,
    /// Elements, 1 or more (1K is 1,024)
    #[arg(long, value_name = "N", value_parser = units::count)]
    pub len: u64,
    /// What every element is at first: all of its scalars, or one for all of them [default: 0]
    #[arg(long, value_name = "VALUE", allow_hyphen_values = true)]
    pub fill: Option<String>,
    #[command(flatten)]
    pub common: CreateCommonArgs,
}

/// Create a buffer: plain bytes, behind a read/write lock
#[derive(Debug, Args)]
#[command(after_help = help::MORE, after_long_help = help::CREATE_BUFFER)]
pub struct CreateBufferArgs {
    /// The buffer's name: 1 to 200 of A-Z a-z 0-9 . _ - and no . at the start
    #[arg(value_parser = name, value_hint = ValueHint::Other)]
    pub name: Name,
    /// Bytes, 1 or more (64K is 65,536)
    #[arg(long, value_name = "SIZE", value_parser = units::size)]
    pub size: u64,
    #[command(flatten)]
    pub common: CreateCommonArgs,
}

/// What `create` wants to know, whatever it creates.
#[derive(Debug, Args)]
pub struct CreateCommonArgs {
    /// Permission bits, octal: 0600 is for you alone, 0660 for your group, too
    ///
    /// Whoever may write to a segment can spoil what is in it. Other users also need --any-owner.
    #[arg(long, value_name = "OCTAL", default_value = "0600", value_parser = units::mode)]
    pub mode: u32,
    /// Succeed if exactly the same, with the same mode, exists already
    ///
    /// So that each script of several can make it. What is in it stays.
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
    /// Each node goes to every reader
    Broadcast,
}

impl From<DeliveryArg> for Delivery {
    fn from(arg: DeliveryArg) -> Delivery {
        match arg {
            DeliveryArg::Queue => Delivery::Queue,
            DeliveryArg::Broadcast => Delivery::Broadcast,
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

/// Stream into a ring; store values in an array, or bytes in a buffer
///
/// NAME's header says what it is, and what its elements are.
#[derive(Debug, Args)]
#[command(after_help = help::MORE, after_long_help = help::WRITE)]
pub struct WriteArgs {
    /// The ring, array or buffer
    #[arg(value_parser = name, add = ArgValueCompleter::new(completions::segments))]
    pub name: Name,
    /// Ring: files, one after the other; array: values; buffer: a file. `-` or none is stdin
    #[arg(
        value_name = "INPUT",
        value_parser = OsStringValueParser::new().map(negative::unmark),
        value_hint = ValueHint::FilePath
    )]
    pub inputs: Vec<OsString>,
    #[command(flatten)]
    pub framing: FramingArgs,
    /// When no node is free: wait, or drop a node, the new one or the oldest [default: block]
    #[arg(long, value_name = "HOW", help_heading = RING)]
    pub on_full: Option<OnFullArg>,
    /// Leave without ending the stream: a later writer goes on with it
    #[arg(long, help_heading = RING)]
    pub keep_open: bool,
    /// Write at most that many bytes per second: 10MB, 64K/s [default: no limit]
    #[arg(long, value_name = "RATE", value_parser = units::rate, help_heading = RING)]
    pub rate: Option<u64>,
    /// The first element to store at, or the first byte (4K is 4,096) [default: 0]
    #[arg(long, value_name = "INDEX", value_parser = units::count, help_heading = LOCKED)]
    pub at: Option<u64>,
    /// Array: how the values are written down [default: text]
    #[arg(long, value_name = "FORMAT", help_heading = LOCKED)]
    pub format: Option<Format>,
    /// Give up (exit 4) when no node came free, or the lock did not, for that long: 200ms, 5s
    ///
    /// Not with --on-full drop-new or drop-old, which never wait. With --lines, --null, --record
    /// or --message what has been read by then and is in no node yet is lost: up to 64 KiB, or a
    /// node. (So it is when a signal ends the writer.)
    #[arg(long, value_name = "DUR", value_parser = units::duration, help_heading = WAITING)]
    pub timeout: Option<Duration>,
    #[command(flatten)]
    pub attach: AttachArgs,
    #[command(flatten)]
    pub report: ReportArgs,
}

/// What must not be cut in two: one of these at most.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub struct FramingArgs {
    /// Keep lines whole: a node holds as many as fit
    #[arg(long, help_heading = RING)]
    pub lines: bool,
    /// Keep items whole that end with a NUL, as find -print0 writes them
    #[arg(long, help_heading = RING)]
    pub null: bool,
    /// Keep records of SIZE bytes whole: 80, 4K
    #[arg(long, value_name = "SIZE", value_parser = units::record, help_heading = RING)]
    pub record: Option<NonZeroUsize>,
    /// Make each INPUT one node, an empty one too
    #[arg(long, help_heading = RING)]
    pub message: bool,
}

impl From<&FramingArgs> for Framing {
    fn from(args: &FramingArgs) -> Framing {
        match args {
            FramingArgs { lines: true, .. } => Framing::LINES,
            FramingArgs { null: true, .. } => Framing::NUL,
            FramingArgs { message: true, .. } => Framing::Message,
            FramingArgs { record, .. } => record.map_or(Framing::Bytes, Framing::Records),
        }
    }
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub enum OnFullArg {
    /// Wait until one is
    #[default]
    Block,
    /// Drop what was to go into it
    DropNew,
    /// Drop the oldest node that no reader has in hand, and use that one
    DropOld,
}

impl From<OnFullArg> for OnFull {
    fn from(arg: OnFullArg) -> OnFull {
        match arg {
            OnFullArg::Block => OnFull::Block,
            OnFullArg::DropNew => OnFull::DropNew,
            OnFullArg::DropOld => OnFull::DropOld,
        }
    }
}

/// Stream a ring, or print an array's elements or a buffer's bytes
///
/// NAME's header says what it is, and what its elements are.
#[derive(Debug, Args)]
#[command(after_help = help::MORE, after_long_help = help::READ)]
pub struct ReadArgs {
    /// The ring, array or buffer
    #[arg(value_parser = name, add = ArgValueCompleter::new(completions::segments))]
    pub name: Name,
    /// Write to FILE instead of stdout
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: Option<PathBuf>,
    /// Do not end when the writers leave: wait for the next ones
    #[arg(long, conflicts_with = "no_wait", help_heading = RING)]
    pub follow: bool,
    /// Broadcast ring: the first node to read [default: newest]
    #[arg(long, value_name = "WHERE", help_heading = RING)]
    pub from: Option<FromArg>,
    /// End (exit 0) as soon as nothing is there
    #[arg(long, help_heading = RING)]
    pub no_wait: bool,
    /// That many nodes, elements or bytes (4K is 4,096) [default: to the end]
    #[arg(long, value_name = "N", value_parser = units::count)]
    pub count: Option<u64>,
    /// Written after each node; knows \n \t \r \0 \\ \xHH
    #[arg(
        long,
        value_name = "STR",
        value_parser = delimiter,
        allow_hyphen_values = true,
        help_heading = RING
    )]
    pub delimiter: Option<Delimiter>,
    /// The first element to read, or the first byte (4K is 4,096) [default: 0]
    #[arg(long, value_name = "INDEX", value_parser = units::count, help_heading = LOCKED)]
    pub at: Option<u64>,
    /// Array: how to write the elements down [default: text]
    #[arg(long, value_name = "FORMAT", help_heading = LOCKED)]
    pub format: Option<Format>,
    /// Give up (exit 4) when no node came, or the lock did not come free, for that long: 200ms, 5s
    #[arg(long, value_name = "DUR", value_parser = units::duration, help_heading = WAITING)]
    pub timeout: Option<Duration>,
    #[command(flatten)]
    pub attach: AttachArgs,
    #[command(flatten)]
    pub report: ReportArgs,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub enum FromArg {
    /// The first that is published from now on
    #[default]
    Newest,
    /// The oldest that is still there
    Oldest,
}

impl From<FromArg> for Start {
    fn from(arg: FromArg) -> Start {
        match arg {
            FromArg::Newest => Start::Newest,
            FromArg::Oldest => Start::Oldest,
        }
    }
}

/// Run a command under the lock of an array or a buffer
///
/// Waits for the lock, runs COMMAND, and gives the lock back when it has ended, as flock(1) does
/// with files.
#[derive(Debug, Args)]
#[command(
    override_usage = "shm lock [OPTIONS] <NAME> -- <COMMAND>...",
    after_help = help::MORE,
    after_long_help = help::LOCK
)]
pub struct LockArgs {
    /// The array or buffer
    #[arg(value_parser = name, add = ArgValueCompleter::new(completions::lockable))]
    pub name: Name,
    /// A read lock: shared with other readers, and no writer meanwhile
    #[arg(long, conflicts_with = "write")]
    pub read: bool,
    /// The write lock, for this command alone; the default
    #[arg(long)]
    pub write: bool,
    /// Give up (exit 4) when the lock did not come free for that long: 200ms, 5s
    #[arg(long, value_name = "DUR", value_parser = units::duration, help_heading = WAITING)]
    pub timeout: Option<Duration>,
    #[command(flatten)]
    pub attach: AttachArgs,
    /// What to run
    #[arg(
        value_name = "COMMAND",
        required = true,
        trailing_var_arg = true,
        add = ArgValueCompleter::new(completions::Command)
    )]
    pub command: Vec<OsString>,
}

/// How `write`, `read` and `lock` come to their segment.
#[derive(Debug, Args)]
pub struct AttachArgs {
    /// Wait up to that long for NAME to exist (then exit 4): 200ms, 5s
    #[arg(long, value_name = "DUR", value_parser = units::duration, help_heading = WAITING)]
    pub wait_for: Option<Duration>,
    /// Accept a segment that another user owns
    ///
    /// Its owner could spoil what goes through it, or be somebody who took the name before you.
    #[arg(long)]
    pub any_owner: bool,
}

/// What `write` and `read` tell about themselves, on stderr.
#[derive(Debug, Args)]
#[command(next_help_heading = "Reporting (on stderr)")]
pub struct ReportArgs {
    /// Print the BLAKE3 of the bytes that go through, as b3sum does
    #[arg(long)]
    pub hash: bool,
    /// End with one line: bytes, nodes or elements, MB/s, diff, waits
    #[arg(long)]
    pub stats: bool,
    /// End with a summary as one JSON object
    #[arg(long)]
    pub json: bool,
    /// Report every DUR, too: a line, or with --json an object (10ms or more)
    #[arg(long, value_name = "DUR", value_parser = units::interval)]
    pub interval: Option<Duration>,
    /// Show progress even when stderr is not a terminal (then a line each second)
    #[arg(long, conflicts_with = "quiet")]
    pub progress: bool,
    /// Show no progress
    #[arg(short, long)]
    pub quiet: bool,
}

/// Show what a segment is, who is attached and how far readers lag
#[derive(Debug, Args)]
#[command(after_help = help::MORE, after_long_help = help::INSPECT)]
pub struct InspectArgs {
    /// The segment
    #[arg(value_parser = name, add = ArgValueCompleter::new(completions::segments))]
    pub name: Name,
    /// Ring: a row for each node
    #[arg(long)]
    pub nodes: bool,
    /// A hex dump of the contents: of the nodes, of the array, of the buffer
    #[arg(long)]
    pub data: bool,
    /// A live screen, brought up to date each DUR [default: 200ms]; off a terminal a line each DUR
    /// [default: 1s]
    #[arg(long, value_name = "DUR", num_args = 0..=1, value_parser = units::interval,
        conflicts_with_all = ["nodes", "data"])]
    pub watch: Option<Option<Duration>>,
    /// One JSON object on stdout; with --watch one each DUR
    #[arg(long)]
    pub json: bool,
    /// Accept a segment that another user owns
    ///
    /// Its owner could spoil what goes through it, or be somebody who took the name before you.
    #[arg(long)]
    pub any_owner: bool,
}

/// List our segments
#[derive(Debug, Args)]
#[command(after_help = help::MORE, after_long_help = help::LIST)]
pub struct ListArgs {
    /// Sizes as exact numbers of bytes, not 64K and 1.31M
    #[arg(short, long)]
    pub bytes: bool,
    /// A live screen, brought up to date each DUR [default: 200ms]; off a terminal a line for each
    /// segment each DUR [default: 1s]
    #[arg(long, value_name = "DUR", num_args = 0..=1, value_parser = units::interval,
        conflicts_with = "bytes")]
    pub watch: Option<Option<Duration>>,
    /// A JSON array on stdout: the objects of `shm inspect --json`; with --watch one each DUR
    #[arg(long, conflicts_with = "bytes")]
    pub json: bool,
}

/// Remove segments
#[derive(Debug, Args)]
#[command(after_help = help::MORE, after_long_help = help::REMOVE)]
pub struct RemoveArgs {
    /// The segments
    #[arg(
        value_name = "NAME",
        value_parser = name,
        required_unless_present = "stale",
        add = ArgValueCompleter::new(completions::segments)
    )]
    pub names: Vec<Name>,
    /// Remove it although somebody is attached, who then ends with exit 6
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

/// Print a shell's completion script, which also completes names of segments
///
/// The script asks `shm` itself, at each TAB: it completes commands, flags, their values, files, and
/// the names of the segments that there are by then (for `shm lock`, of those that have a lock).
#[derive(Debug, Args)]
#[command(after_help = help::MORE, after_long_help = help::COMPLETIONS)]
pub struct CompletionsArgs {
    /// The shell that is to read it
    pub shell: ShellArg,
}

/// A shell that can ask for completions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ShellArg {
    /// The GNU Bourne-again shell, 4.4 or newer
    Bash,
    /// The Z shell
    Zsh,
    /// The friendly interactive shell
    Fish,
}

/// Show, print or write the manual pages
///
/// At a terminal the page is shown by man(1). Elsewhere it is printed as roff source.
#[derive(Debug, Args)]
#[command(after_help = help::MORE, after_long_help = help::MAN)]
pub struct ManArgs {
    /// The command that the page is about: `read`, `create ring` [default: shm itself]
    #[arg(
        value_name = "COMMAND",
        conflicts_with = "out",
        add = ArgValueCompleter::new(completions::commands)
    )]
    pub command: Vec<String>,
    /// Write all pages into DIR, which is made if it does not exist: shm.1, shm-read.1, ...
    #[arg(short, long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub out: Option<PathBuf>,
}

/// Bytes to write after each node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delimiter(pub Vec<u8>);

fn delimiter(text: &str) -> Result<Delimiter, String> {
    units::delimiter(text).map(Delimiter)
}

fn name(text: &str) -> Result<Name, shmkit::segment::NameError> {
    Name::new(&negative::unmarked(text))
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
        let root = Cli::command();
        let (groups, commands): (Vec<_>, Vec<_>) =
            root.get_subcommands().partition(|c| c.has_subcommands());
        let kinds = groups.into_iter().flat_map(clap::Command::get_subcommands);
        for command in commands.into_iter().chain(kinds) {
            let help = command
                .get_after_long_help()
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
        let mode = ring.common.mode;
        assert_eq!((ring.nodes, ring.node_size, mode), (20, 65536, 0o600));
    }

    #[test]
    fn a_locks_command_keeps_its_own_flags() {
        for line in [
            "shm lock a --read -- ls -q --read -- x",
            "shm lock --read a ls -q --read -- x",
        ] {
            let cli = Cli::try_parse_from(line.split(' ')).unwrap();
            let Command::Lock(lock) = cli.command else {
                panic!("not lock")
            };
            assert!(lock.read && !lock.write);
            assert_eq!(lock.command, ["ls", "-q", "--read", "--", "x"], "{line}");
        }
    }

    #[test]
    fn contradictions_are_usage_errors() {
        for line in [
            "shm read r --follow --no-wait",
            "shm write r --progress --quiet",
            "shm write r --lines --null",
            "shm write r --record 8 --message",
            "shm write r --record 0",
            "shm write r --on-full drop",
            "shm remove --stale r",
            "shm remove",
            "shm read .hidden",
            "shm read a/b",
            "shm create ring r --wait never",
            "shm create array a",
            "shm create array a --type u8",
            "shm create array a --type u8 --len x",
            "shm create buffer b",
            "shm write a --format xml",
            "shm write a --at -1",
            "shm inspect r --watch --nodes",
            "shm inspect r --data --watch 1s",
            "shm inspect r --watch 1ms",
            "shm list --watch never",
            "shm lock a",
            "shm lock a --",
            "shm lock a --no-such-option -- true",
            "shm lock a --read --write -- true",
        ] {
            let error = Cli::try_parse_from(line.split(' ')).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{line}");
        }
    }
}
