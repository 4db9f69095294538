//! Which program a participant is, as `/proc` has it.
//!
//! A participant's pid is that of its own PID namespace, so it may be nobody's
//! here, or, worse, somebody else's. So a command is believed only if the process
//! has the segment mapped. (Maps of other users' processes cannot be read; their
//! commands are taken at their word, as ps(1) shows them.) A process is asked
//! once, when it is first seen.

use shmkit::inspect::Participant;
use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;

/// More of a command is on no screen.
const LONGEST: usize = 200;

/// The commands of those who were seen, by pid and the moment they attached.
#[derive(Debug, Default)]
pub struct Commands {
    known: BTreeMap<(u32, u64), Option<String>>,
}

impl Commands {
    /// The commands of these participants of the segment `name`, by entry.
    pub fn of(&mut self, name: &str, participants: &[Participant]) -> BTreeMap<u32, String> {
        let id = |p: &Participant| (p.pid, p.since_unix_ns);
        self.known
            .retain(|key, _| participants.iter().any(|p| id(p) == *key));
        let mut commands = BTreeMap::new();
        for participant in participants {
            let known = self.known.entry(id(participant));
            let command = known.or_insert_with(|| command(participant.pid, name));
            if let Some(command) = command {
                commands.insert(participant.slot, command.clone());
            }
        }
        commands
    }
}

/// The command of a process, if it has the segment mapped.
fn command(pid: u32, name: &str) -> Option<String> {
    match fs::read_to_string(format!("/proc/{pid}/maps")) {
        Ok(maps) if !maps_segment(&maps, name) => return None,
        Err(error) if error.kind() != ErrorKind::PermissionDenied => return None,
        _ => {}
    }
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words = from_cmdline(&line);
    if !words.is_empty() {
        return Some(words);
    }
    let comm = fs::read(format!("/proc/{pid}/comm")).ok()?;
    Some(from_cmdline(&comm))
}

/// Whether one of the mapped files is the segment.
fn maps_segment(maps: &str, name: &str) -> bool {
    let path = format!("/dev/shm/{name}");
    maps.lines()
        .filter_map(|line| line.splitn(6, ' ').nth(5))
        .any(|file| file.trim_start() == path)
}

/// The words of a command line, without its program's directory and whatever a
/// terminal would act upon.
fn from_cmdline(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    let text = text.trim_end_matches(['\0', '\n']);
    let (program, rest) = text.split_once('\0').unwrap_or((text, ""));
    let program = program.rsplit('/').next().unwrap_or(program);
    let shown = |c: char| if c.is_control() { ' ' } else { c };
    let words = format!("{program} {rest}");
    words.trim_end().chars().map(shown).take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_is_shown_without_its_directory_and_control_characters() {
        let shown = |line: &[u8]| from_cmdline(line);
        assert_eq!(shown(b"/usr/bin/shm\0write\0logs\0"), "shm write logs");
        assert_eq!(shown(b"sh\0-c\0a\nb\x1b[31m\0"), "sh -c a b [31m");
        assert_eq!(shown(b"shm\n"), "shm");
        assert_eq!(shown(b""), "");
        assert_eq!(shown(&[b'x'; 1000]).len(), LONGEST);
    }

    #[test]
    fn a_process_that_has_not_mapped_the_segment_is_another_one() {
        let maps = "7f00-7f10 rw-s 00000000 00:17 42                         /dev/shm/logs\n\
                    7f20-7f30 r--p 00000000 00:17 43                         /usr/lib/libc.so\n";
        assert!(maps_segment(maps, "logs"));
        assert!(!maps_segment(maps, "log"));
        assert!(!maps_segment(maps, "libc.so"));
        assert_eq!(command(std::process::id(), "no-such-segment"), None);
    }
}
