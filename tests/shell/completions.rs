//! TAB, in real shells: an interactive bash and zsh at a terminal, and what fish
//! says it would offer.

use super::harness::{Name, Ring, Shm, Store, Terminal, shm};
use super::have;

/// A shell at a terminal, with the completions read and a short prompt.
struct Shell {
    terminal: Terminal,
    _shell: super::harness::Proc,
}

impl Shell {
    fn new(program: &str, flags: &[&str], set_up: &str) -> Shell {
        let terminal = Terminal::new(40, 300);
        let shell = Shm::program(program).args(flags).with_shm_on_path();
        let shell = shell.at(&terminal).env("HISTFILE", "");
        let shell = Shell {
            terminal,
            _shell: shell.start(),
        };
        // Not before it listens: a shell may throw away what was typed early.
        shell.terminal.settle();
        shell.types(&format!("{set_up}; echo rea''dy\r"));
        let ready = |screen: &str| screen.lines().any(|line| line == "ready");
        shell.terminal.until("the shell is ready", ready);
        shell
    }

    fn bash() -> Shell {
        let set_up = "PS1='> '; bind 'set bell-style none'; source <(shm completions bash)";
        Shell::new("bash", &["--norc", "--noprofile", "-i"], set_up)
    }

    fn zsh() -> Shell {
        let set_up = "PS1='> '; unsetopt beep; autoload -U compinit; compinit -u -D; \
                      source <(shm completions zsh)";
        Shell::new("zsh", &["-f", "-i"], set_up)
    }

    fn types(&self, keys: &str) {
        self.terminal.type_keys(keys);
    }

    /// Types the beginning of a line and TAB; waits until the line is `whole`.
    #[track_caller]
    fn completes(&self, beginning: &str, whole: &str) {
        self.types(&format!("{beginning}\t"));
        let line = format!("> {whole}");
        let is_there = |screen: &str| screen.lines().any(|found| found.trim_end() == line);
        self.terminal
            .until(&format!("the line is {whole:?}"), is_there);
        // Away with the line: Ctrl-U, and on a fresh one.
        self.types("\x15\r");
    }

    /// Types a line and TAB twice; waits until all of these are offered.
    #[track_caller]
    fn offers(&self, line: &str, all: &[&str]) -> String {
        self.types(&format!("{line}\t\t"));
        let are_there = |screen: &str| {
            let words: Vec<&str> = screen.split_whitespace().collect();
            all.iter().all(|one| words.contains(one))
        };
        let screen = self
            .terminal
            .until(&format!("{all:?} are offered"), are_there);
        self.types("\x03");
        screen
    }
}

/// A ring and an array whose names differ in their last letters only.
struct Segments {
    ring: Ring,
    array: Store,
    /// What both begin with.
    common: String,
}

impl Segments {
    fn new() -> Segments {
        let base = Name::unused();
        let named = |end: &str| Name::exactly(&format!("{}-{end}", &*base));
        let (ring, array) = (named("ring"), named("temps"));
        shm(&["create", "ring", &ring]).run().exits(0);
        let create = shm(&["create", "array", &array, "--type", "u8", "--len", "3"]);
        create.run().exits(0);
        Segments {
            ring: Ring { name: ring },
            array: Store { name: array },
            common: base.to_string(),
        }
    }

    /// What both interactive shells must do.
    #[track_caller]
    fn are_completed_by(&self, shell: &Shell) {
        let (ring, array, common) = (&*self.ring.name, &*self.array.name, &*self.common);
        shell.completes("shm insp", "shm inspect");
        shell.completes("shm read --foll", "shm read --follow");
        shell.completes(&format!("shm read {common}-r"), &format!("shm read {ring}"));
        shell.completes(
            &format!("shm write {common}-t"),
            &format!("shm write {array}"),
        );
        // A lock is what only one of them has.
        shell.completes(&format!("shm lock {common}"), &format!("shm lock {array}"));
        shell.completes("shm read x --format np", "shm read x --format npy");
        shell.offers(&format!("shm remove {common}-"), &[ring, array]);
    }
}

#[test]
fn bash_completes_commands_flags_and_live_names() {
    if have("bash") {
        Segments::new().are_completed_by(&Shell::bash());
    }
}

#[test]
fn zsh_completes_commands_flags_and_live_names() {
    if have("zsh") {
        Segments::new().are_completed_by(&Shell::zsh());
    }
}

#[test]
fn fish_offers_names_with_what_they_are() {
    if !have("fish") {
        return;
    }
    let segments = Segments::new();
    let offered = |line: &str| {
        let script = format!("shm completions fish | source; complete -C '{line}'");
        let fish = Shm::program("fish").args(&["--no-config", "-c", &script]);
        let done = fish.with_shm_on_path().run().exits(0).silent();
        String::from_utf8(done.stdout).unwrap()
    };
    let (ring, array) = (&*segments.ring.name, &*segments.array.name);
    assert_eq!(
        offered(&format!("shm read {}-", segments.common)),
        format!("{ring}\tring 20x64K\n{array}\tarray 3xu8\n")
    );
    let lockable = offered(&format!("shm lock {}-", segments.common));
    assert_eq!(lockable, format!("{array}\tarray 3xu8\n"));
    assert!(offered("shm read x --fol").starts_with("--follow\t"));
}

/// What bash's completion function answers, word for word.
fn bash_answers(words: &[&str]) -> Vec<String> {
    let script = r#"
        source <(shm completions bash)
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_TYPE=9
        _clap_complete_shm shm "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
        printf '%s\n' "${COMPREPLY[@]}"
    "#;
    let bash = Shm::program("bash")
        .args(&["-c", script, "bash"])
        .args(words);
    let done = bash.with_shm_on_path().run().exits(0).silent();
    let lines = String::from_utf8(done.stdout).unwrap();
    lines
        .lines()
        .map(str::to_owned)
        .filter(|line| !line.is_empty())
        .collect()
}

#[test]
fn what_is_offered_is_what_may_stand_there() {
    assert_eq!(
        bash_answers(&["shm", "create", ""]),
        ["ring", "array", "buffer", "help"]
    );
    assert_eq!(
        bash_answers(&["shm", "completions", ""]),
        ["bash", "zsh", "fish"]
    );
    // A new segment has a new name, and flags are all that is left to offer.
    let new = bash_answers(&["shm", "create", "ring", ""]);
    assert!(new.iter().all(|word| word.starts_with("--")), "{new:?}");
    assert!(new.contains(&"--node-size".to_owned()), "{new:?}");
    // With names to offer, flags wait until one begins to type one.
    let segments = Segments::new();
    let names = bash_answers(&["shm", "read", ""]);
    assert!(names.contains(&segments.ring.name.to_string()), "{names:?}");
    assert!(names.iter().all(|word| !word.starts_with('-')), "{names:?}");
    let flags = bash_answers(&["shm", "read", "-"]);
    assert!(flags.contains(&"--delimiter".to_owned()), "{flags:?}");
    // Not those that may not stand beside one that is there.
    let beside = bash_answers(&["shm", "inspect", &segments.ring.name, "--watch", "--"]);
    assert!(beside.contains(&"--json".to_owned()), "{beside:?}");
    for out in ["--nodes", "--data", "--watch"] {
        assert!(!beside.contains(&out.to_owned()), "{out}: {beside:?}");
    }
    // In the middle of a line, too.
    let lists = bash_answers(&["shm", "bench", "--wait", "futex,sp"]);
    assert_eq!(lists, ["futex,spin"]);
    // What a lock runs is a program.
    let programs = bash_answers(&["shm", "lock", &segments.array.name, "--", "slee"]);
    assert!(programs.contains(&"sleep".to_owned()), "{programs:?}");
    // Of an unknown command there is nothing to say, and no error.
    assert_eq!(bash_answers(&["shm", "frobnicate", "x"]), [""; 0]);
}

#[test]
fn a_shell_that_there_is_no_script_for_is_a_usage_error() {
    for shell in ["tcsh", "", "BASH"] {
        let done = shm(&["completions", shell]).run().fails(2);
        assert!(done.error_line().contains("bash, zsh, fish"), "{shell}");
    }
    let asked = shm(&["--", "shm", ""]).env("SHM_COMPLETE", "tcsh").run();
    assert!(asked.fails(1).error_line().contains("tcsh"));
}
