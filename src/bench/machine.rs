//! Where a bench ran: read once, at its start, from `/proc`.
//!
//! ```text
//!   /proc/cpuinfo               the processor's name for itself
//!   /proc/meminfo               memory
//!   /proc/sys/kernel/osrelease  kernel
//!   sched_getaffinity, cgroup   processors that this process may use
//! ```
//!
//! Figures of memory mean nothing without the machine they were measured on, so
//! every report carries this. None of it is worth failing for: a container may
//! hide or fake any of these files. What cannot be read is `unknown`, or 0, and
//! what is read is cut to a line of reasonable length, for it ends up in headings.
//!
//! x86 names the model; most of aarch64 gives numbers instead (implementer and
//! part), and these are what is shown, as `aarch64 0x41/0xd40`: to look up is
//! better than to guess. A virtual machine says what its host tells it to say.
//!
//! The same reading from another directory than `/proc` is how the tests pretend
//! to be somewhere else.

use super::model::Machine;
use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// The most characters of a name that headings have room for.
const LONGEST_NAME: usize = 64;

const UNKNOWN: &str = "unknown";

impl Machine {
    /// This machine, now.
    pub fn here() -> Machine {
        Machine::seen_through(Path::new("/proc"))
    }

    /// What the files in a directory like `/proc` say, and what the system does.
    fn seen_through(proc: &Path) -> Machine {
        let read = |path: &str| fs::read_to_string(proc.join(path)).unwrap_or_default();
        let arch = std::env::consts::ARCH.to_owned();
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
        Machine {
            cpu: cpu_name(&read("cpuinfo"), &arch),
            cpus: std::thread::available_parallelism().map_or(1, usize::from),
            kernel: short(&read("sys/kernel/osrelease")).unwrap_or_else(|| UNKNOWN.into()),
            memory_bytes: memory(&read("meminfo")),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            unix_ns: since_epoch.map_or(0, |t| u64::try_from(t.as_nanos()).unwrap_or(u64::MAX)),
            arch,
        }
    }
}

/// The first processor's name.
fn cpu_name(cpuinfo: &str, arch: &str) -> String {
    let field = |name: &str| short(value_of(cpuinfo, name)?);
    let numbers = || {
        let implementer = field("CPU implementer")?;
        Some(format!("{arch} {implementer}/{}", field("CPU part")?))
    };
    field("model name")
        .or_else(|| field("Model"))
        .or_else(numbers)
        .unwrap_or_else(|| UNKNOWN.into())
}

/// The value of the first line `NAME : VALUE`.
fn value_of<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut fields = text.lines().filter_map(|line| line.split_once(':'));
    fields
        .find(|(field, _)| field.trim() == name)
        .map(|(_, value)| value.trim())
}

/// Bytes of `MemTotal: N kB`, whose kB are of 1024.
fn memory(meminfo: &str) -> u64 {
    let total = value_of(meminfo, "MemTotal").and_then(|value| value.split(' ').next());
    let kib: u64 = total.and_then(|kib| kib.parse().ok()).unwrap_or(0);
    kib.saturating_mul(1024)
}

/// In one line, without runs of blanks and control characters, and not too long.
fn short(text: &str) -> Option<String> {
    let words: Vec<&str> = text
        .split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|word| !word.is_empty())
        .collect();
    let line: String = words.join(" ").chars().take(LONGEST_NAME).collect();
    (!line.is_empty()).then_some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory like `/proc` with these files.
    fn pretend(files: &[(&str, &str)]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir_all(directory.path().join("sys/kernel")).unwrap();
        for (path, text) in files {
            fs::write(directory.path().join(path), text).unwrap();
        }
        directory
    }

    #[test]
    fn an_x86_machine_names_its_processor() {
        let proc = pretend(&[
            (
                "cpuinfo",
                "processor\t: 0\nmodel\t\t: 207\nmodel name\t: Some(R)  Processor @ 2.30GHz\n\n\
                 processor\t: 1\nmodel name\t: Another\n",
            ),
            ("meminfo", "MemTotal:       24684092 kB\nMemFree:  1 kB\n"),
            ("sys/kernel/osrelease", "6.18.1-test\n"),
        ]);
        let machine = Machine::seen_through(proc.path());
        assert_eq!(machine.cpu, "Some(R) Processor @ 2.30GHz");
        assert_eq!(machine.memory_bytes, 24_684_092 * 1024);
        assert_eq!(machine.kernel, "6.18.1-test");
        assert_eq!(machine.version, env!("CARGO_PKG_VERSION"));
    }

    #[test]
    fn an_arm_machine_that_names_nothing_is_known_by_its_numbers() {
        let numbers = "processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd40\n";
        assert_eq!(cpu_name(numbers, "aarch64"), "aarch64 0x41/0xd40");
        let board = format!("{numbers}\nModel\t\t: Some Board 4\n");
        assert_eq!(cpu_name(&board, "aarch64"), "Some Board 4");
    }

    #[test]
    fn what_is_hidden_is_unknown_and_no_failure() {
        let proc = pretend(&[
            ("cpuinfo", "model name\t:\n"),
            ("meminfo", "MemTotal: lots\n"),
        ]);
        let machine = Machine::seen_through(proc.path());
        assert_eq!((&*machine.cpu, &*machine.kernel), (UNKNOWN, UNKNOWN));
        assert_eq!(machine.memory_bytes, 0);
        let machine = Machine::seen_through(Path::new("/nonexistent"));
        assert_eq!((&*machine.cpu, machine.memory_bytes), (UNKNOWN, 0));
    }

    #[test]
    fn a_name_is_one_line_of_reasonable_length() {
        assert_eq!(short(" a\x1b[31m \t b\n\n").as_deref(), Some("a [31m b"));
        assert_eq!(
            short(&"long ".repeat(100)).map(|name| name.chars().count()),
            Some(64)
        );
        assert_eq!(short("\n\x00 "), None);
    }

    #[test]
    fn here_is_a_machine_with_processors_and_memory() {
        let machine = Machine::here();
        assert!(machine.cpus >= 1);
        assert!(machine.memory_bytes > 1 << 20);
        assert!(machine.unix_ns > 1_700_000_000_000_000_000);
        assert!(machine.kernel.starts_with(|c: char| c.is_ascii_digit()));
    }
}
