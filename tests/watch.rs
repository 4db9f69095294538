//! `inspect --watch` and `list --watch`, as a person at a terminal sees them, and as
//! a script does: what is on the screen, what keys do, and that the terminal is
//! given back, whatever happens. (What the screens look like in known states is
//! compared in `src/cli/watch/tests`.)

mod harness;

use harness::{
    Name, PATIENCE, Proc, Ring, SECONDS, Shm, Store, Terminal, holds_for, shm, shm_path, until,
};
use rustix::process::Signal;
use rustix::pty::OpenptFlags;
use rustix::termios::{LocalModes, OutputModes, Winsize};
use serde_json::Value;
use std::fs::OpenOptions;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

/// What leaves the alternate screen.
const LEAVE: &str = "\x1b[?1049l";

/// `shm ARGS --watch 50ms` at a terminal.
struct Watch {
    terminal: Terminal,
    before: (LocalModes, OutputModes),
    proc: Proc,
}

impl Watch {
    #[track_caller]
    fn start(args: &[&str]) -> Watch {
        Watch::start_with(args, |shm| shm)
    }

    /// With more about how it is started.
    #[track_caller]
    fn start_with(args: &[&str], more: impl FnOnce(Shm) -> Shm) -> Watch {
        let terminal = Terminal::new(24, 80);
        let before = terminal.modes();
        let shm = shm(args).args(&["--watch", "50ms"]).env("TERM", "xterm");
        let proc = more(shm.without_env("NO_COLOR").at(&terminal)).start();
        Watch {
            terminal,
            before,
            proc,
        }
    }

    /// Waits until the screen has that on it.
    #[track_caller]
    fn sees(&self, text: &str) -> String {
        let what = format!("{text:?} is seen");
        self.terminal.until(&what, |screen| screen.contains(text))
    }

    #[track_caller]
    fn types(&self, keys: &str) {
        self.terminal.type_keys(keys);
    }

    /// It ends with that status, and the terminal is as before: its modes, its
    /// screen, its cursor; all that was written afterwards is returned.
    #[track_caller]
    fn ends(mut self, status: i32) -> String {
        let found = self.proc.wait_within(SECONDS);
        assert_eq!(found.code(), Some(status), "{}", self.terminal.screen());
        self.terminal.settle();
        assert_eq!(self.terminal.modes(), self.before, "the modes are restored");
        assert!(!self.terminal.is_alternate(), "the screen is restored");
        assert!(!self.terminal.is_cursor_hidden(), "the cursor is restored");
        let raw = self.terminal.raw();
        let behind = raw.rfind(LEAVE).expect("it has left the screen") + LEAVE.len();
        let text = raw[behind..]
            .replace("\x1b[?25h", "")
            .replace("\x1b[0m", "");
        assert!(
            !text.contains('\x1b'),
            "nothing is drawn any more: {text:?}"
        );
        text
    }
}

/// Signals of a shell that runs jobs: a script at a terminal.
fn job_script(terminal: &Terminal, script: &str) -> Proc {
    Shm::program("bash")
        .args(&["-c", script])
        .with_shm_on_path()
        .env("TERM", "xterm")
        .at(terminal)
        .start()
}

// ---- the screen -------------------------------------------------------------

#[test]
fn a_ring_is_seen_with_who_uses_it_and_q_ends_it() {
    let ring = Ring::new(20, "64K");
    let mut writer = shm(&["write", &ring.name, "--quiet"]).held_stdin().start();
    writer.feed(b"hello");
    let watch = Watch::start(&["inspect", &ring.name]);
    watch.sees("no reader attached; 1 node (5 B) to be read");
    let screen = watch.sees(&format!("writer {:>7}", writer.pid()));
    assert!(
        screen.contains(&format!("{}: ring of 20 x 64 KiB", &*ring.name)),
        "{screen}"
    );
    assert!(
        screen.contains(&format!("shm write {}", &ring.name[..10])),
        "its command: {screen}"
    );
    assert!(screen.contains("\n # "), "the node in the map: {screen}");
    assert!(watch.terminal.is_alternate() && watch.terminal.is_cursor_hidden());
    watch.types("q");
    assert_eq!(watch.ends(0), "");
}

#[test]
fn a_full_ring_says_that_writers_wait_and_an_empty_one_that_readers_do() {
    let ring = Ring::new(2, "16");
    let input = vec![b'x'; 1000];
    let writer = shm(&["write", &ring.name, "--quiet"])
        .input_file(&input)
        .start();
    let watch = Watch::start(&["inspect", &ring.name]);
    watch.sees("writers wait: ring full, no reader attached");
    let reader = shm(&["read", &ring.name, "--follow"]).start();
    writer.finish().exits(0);
    watch.sees("readers wait: the stream has ended, no next writer yet");
    drop(reader);
    watch.sees("is dead, to be recovered");
    watch.types("\x1b");
    watch.ends(0);
}

#[test]
fn keys_pause_sort_scroll_and_help() {
    let ring = Ring::new(20, "64K");
    let watch = Watch::start(&["inspect", &ring.name]);
    watch.sees("▾SLOT");
    watch.types("s");
    watch.sees("▾MB/s");
    watch.types("?");
    let help = watch.sees("this help; any key closes it");
    assert!(help.contains("its reader died or gave it back"), "{help}");
    watch.types("x");
    watch.terminal.until("the help is gone", |screen| {
        !screen.contains("any key closes it")
    });
    watch.types(" ");
    watch.sees("PAUSED");
    let reader = shm(&["read", &ring.name]).start();
    until("the reader is attached", || ring.living("reader") == 1);
    holds_for(
        Duration::from_millis(300),
        "a paused screen stands still",
        || watch.terminal.screen().contains("participants 0"),
    );
    watch.types(" ");
    watch.sees("participants 1");
    watch.types("\x1b[B\x1b[6~\x1b[H");
    drop(reader);
    watch.types("q");
    watch.ends(0);
}

#[test]
fn it_fits_a_terminal_that_changes_its_size() {
    let ring = Ring::new(500, "64");
    let watch = Watch::start(&["inspect", &ring.name]);
    watch.sees("a sign for 5 nodes");
    for (rows, columns, sign) in [
        (10, 40, "SLOT"),
        (40, 120, "a sign for each node"),
        (24, 80, "a sign for 5 nodes"),
    ] {
        watch.terminal.resize(rows, columns);
        match columns {
            40 => drop(watch.terminal.until("it is small", |screen| {
                !screen.contains(sign) && screen.contains("ROLE")
            })),
            _ => drop(watch.sees(sign)),
        }
        watch.terminal.settle();
        // Nothing is left of what was drawn for another size.
        let screen = watch.terminal.screen();
        assert_eq!(screen.matches("ring of").count(), 1, "{screen}");
        assert!(screen.lines().count() <= rows.into(), "{screen}");
    }
    watch.types("q");
    watch.ends(0);
}

#[test]
fn colours_are_left_out_where_they_are_not_wanted() {
    let ring = Ring::new(4, "64");
    let coloured = |value: &str| {
        let watch = Watch::start_with(&["inspect", &ring.name], |shm| shm.env("NO_COLOR", value));
        watch.sees("in");
        watch.sees("quit");
        watch.types("q");
        let raw = watch.terminal.raw();
        watch.ends(0);
        raw.contains("\x1b[38;5;")
    };
    assert!(coloured("") && !coloured("1"));
}

#[test]
fn watching_changes_nothing() {
    let ring = Ring::new(8, "64");
    shm(&["write", &ring.name, "--quiet"])
        .input("some")
        .run()
        .exits(0);
    let before = std::fs::read(ring.path()).unwrap();
    let watch = Watch::start(&["inspect", &ring.name]);
    watch.sees("1 node (4 B) to be read");
    watch.types("q");
    watch.ends(0);
    assert!(before == std::fs::read(ring.path()).unwrap());
}

/// Processor time that a process has used.
fn processor_time(pid: u32) -> Duration {
    let text = std::fs::read_to_string(format!("/proc/{pid}/schedstat")).unwrap();
    Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
}

#[test]
fn watching_a_busy_ring_of_many_nodes_costs_little() {
    let ring = Ring::new(200_000, "64");
    let reader = shm(&["read", &ring.name, "-o", "/dev/null"]).start();
    let writer = shm(&["write", &ring.name, "/dev/zero", "--rate", "20MB"]).start();
    let watch = Watch::start(&["inspect", &ring.name]);
    let screen = watch.sees("shm write");
    let (begun, before) = (Instant::now(), processor_time(watch.proc.pid()));
    holds_for(Duration::from_secs(2), "it is busy", || true);
    let used = processor_time(watch.proc.pid()) - before;
    // Five looks a second take 2 % of a core at most, so twenty take 8; four times
    // that for a build without optimisation, among others that are busy.
    let most = begun.elapsed() * 32 / 100;
    assert!(used < most, "{used:?} of a core, {most:?} at most");
    let figures = watch.terminal.screen();
    assert_ne!(figures, screen, "it shows what goes on");
    watch.types("q");
    watch.ends(0);
    drop((reader, writer));
}

#[test]
fn a_lock_is_seen_with_who_has_it() {
    let array = Store::array("f64", 10);
    let mut holder = shm(&["lock", &array.name, "--", "cat"])
        .held_stdin()
        .start();
    let watch = Watch::start(&["inspect", &array.name]);
    let pid = holder.pid();
    let screen = watch.sees(&format!("pid {pid} has the write lock"));
    assert!(
        screen.contains("array of 10 x f64") && screen.contains("lock write, by participant"),
        "{screen}"
    );
    holder.close_stdin();
    holder.finish().exits(0);
    watch.sees("nobody is attached");
    watch.types("q");
    watch.ends(0);
}

#[test]
fn all_segments_are_seen_as_they_come_and_go() {
    let [first, second] = [Ring::new(3, "4K"), Ring::new(5, "4K")];
    // Others' segments may fill the screen: sorted by size, down to the end or not.
    let watch = Watch::start(&["list"]);
    watch.terminal.resize(200, 100);
    watch.sees(&first.name);
    watch.sees(&second.name);
    let third = Ring::new(7, "4K");
    watch.sees(&format!("\n+ {}", &*third.name));
    shm(&["remove", &first.name]).run().exits(0);
    watch.sees(&format!("\n- {}", &*first.name));
    watch
        .terminal
        .until("it is forgotten", |screen| !screen.contains(&*first.name));
    watch.types("?");
    watch.sees("+  has appeared");
    watch.types("q");
    assert_eq!(watch.ends(0), "");
}

// ---- ends -------------------------------------------------------------------

#[test]
fn ctrl_c_and_signals_end_it_and_the_terminal_is_restored() {
    let ring = Ring::new(20, "64K");
    for (signal, status) in [
        (None, 130),
        (Some(Signal::INT), 130),
        (Some(Signal::TERM), 143),
        (Some(Signal::HUP), 129),
        (Some(Signal::QUIT), 131),
    ] {
        let watch = Watch::start(&["inspect", &ring.name]);
        watch.sees("nobody is attached");
        match signal {
            None => watch.types("\x03"),
            Some(signal) => watch.proc.signal(signal),
        }
        assert_eq!(watch.ends(status), "");
    }
}

/// A ring that is watched goes away, in that manner.
#[track_caller]
fn ends_with_6(goes: impl FnOnce(&Ring), why: &str) {
    let ring = Ring::new(20, "64K");
    let watch = Watch::start(&["inspect", &ring.name]);
    watch.sees("nobody is attached");
    goes(&ring);
    let said = watch.ends(6);
    assert_eq!(said.trim_end(), format!("shm: {}: {why}", &*ring.name));
}

#[test]
fn it_ends_with_6_when_the_segment_goes_away() {
    let remove = |ring: &Ring| drop(shm(&["remove", &ring.name]).run().exits(0));
    ends_with_6(remove, "removed while in use");
    let replace = |ring: &Ring| {
        remove(ring);
        shm(&["create", "ring", &ring.name]).run().exits(0);
    };
    ends_with_6(replace, "removed while in use");
    let cut = |ring: &Ring| {
        let file = OpenOptions::new().write(true).open(ring.path()).unwrap();
        file.set_len(5000).unwrap();
    };
    ends_with_6(cut, "truncated while in use");
}

#[test]
fn damage_is_said_and_does_not_end_it() {
    let ring = Ring::new(20, "64K");
    let watch = Watch::start(&["inspect", &ring.name]);
    watch.sees("nobody is attached");
    let all = ring.inspect();
    assert!(all["error"].is_null());
    // The first participant's entry, at 4096, is in state 77.
    let file = OpenOptions::new().write(true).open(ring.path()).unwrap();
    file.write_all_at(&77u32.to_le_bytes(), 4096).unwrap();
    watch.sees("! damaged: participant 0: state 77 (0 to 3 exist)");
    file.write_all_at(&0u32.to_le_bytes(), 4096).unwrap();
    watch
        .terminal
        .until("it is whole again", |screen| !screen.contains("damaged"));
    file.write_all_at(&77u32.to_le_bytes(), 4096).unwrap();
    watch.sees("damaged");
    watch.types("q");
    let said = watch.ends(5);
    assert!(
        said.starts_with("shm: ") && said.contains("state 77"),
        "{said:?}"
    );
}

#[test]
#[cfg(debug_assertions)]
fn a_panic_restores_the_terminal_before_it_says_anything() {
    let ring = Ring::new(20, "64K");
    let watch = Watch::start_with(&["inspect", &ring.name], |shm| {
        shm.env("SHMKIT_WATCH_PANICS", "1")
            .env("RUST_BACKTRACE", "0")
    });
    let said = watch.ends(101);
    assert!(
        said.contains("panicked at") && said.contains("told to panic"),
        "{said:?}"
    );
}

#[test]
fn ctrl_z_gives_the_terminal_back_until_it_goes_on() {
    let ring = Ring::new(20, "64K");
    let terminal = Terminal::new(24, 80);
    let script = format!(
        "set -m; before=$(stty -g); shm inspect {0} --watch 50ms; echo stopped with $?; \
         [ \"$before\" = \"$(stty -g)\" ] && echo as before; read -r _; fg; echo ended with $?; \
         [ \"$before\" = \"$(stty -g)\" ] && echo as ever",
        &*ring.name
    );
    let shell = job_script(&terminal, &script);
    let sees = |text: &str| drop(terminal.until(text, |screen| screen.contains(text)));
    sees("nobody is attached");
    terminal.type_keys("\x1a");
    sees("stopped with 14"); // by SIGSTOP or SIGTSTP
    sees("as before");
    assert!(!terminal.is_alternate() && !terminal.is_cursor_hidden());
    terminal.type_keys("\n");
    sees("nobody is attached");
    assert!(terminal.is_alternate() && terminal.is_cursor_hidden());
    terminal.type_keys("q");
    sees("ended with 0");
    sees("as ever");
    shell.finish().exits(0);
}

#[test]
fn a_watch_in_the_background_can_be_ended_and_leaves_the_terminal_alone() {
    // Stopped; stopped and sent to the background; begun there.
    for (begin, on) in [("", ""), ("", "bg; stopped;"), ("&", "stopped;")] {
        let ring = Ring::new(20, "64K");
        let terminal = Terminal::new(24, 80);
        let script = format!(
            "set -m; before=$(stty -g); stopped() {{ until [ -n \"$(jobs -s)\" ]; do sleep 0.05; done; }}; \
             shm inspect {0} --watch 50ms {begin}\n{on} kill %1; kill -CONT %1; wait %1; \
             echo ended with $?; [ \"$before\" = \"$(stty -g)\" ] && echo as ever",
            &*ring.name
        );
        let shell = job_script(&terminal, &script);
        let sees = |text: &str| drop(terminal.until(text, |screen| screen.contains(text)));
        if begin.is_empty() {
            sees("nobody is attached");
            terminal.type_keys("\x1a");
        }
        sees("ended with 143");
        sees("as ever");
        assert!(!terminal.is_alternate() && !terminal.is_cursor_hidden());
        shell.finish().exits(0);
    }
}

#[test]
fn where_nobody_could_make_it_go_on_ctrl_z_does_not_stop_it() {
    let ring = Ring::new(20, "64K");
    // The first process of its session.
    let watch = Watch::start(&["inspect", &ring.name]);
    watch.sees("nobody is attached");
    watch.types("\x1a");
    watch.types("?");
    watch.sees("any key closes it");
    watch.types("q");
    watch.ends(0);
}

#[test]
fn in_a_pid_namespace_whose_session_is_outside_it_works_as_ever() {
    let alone = "unshare --user --map-root-user --pid --fork --mount-proc";
    let there = Shm::program("sh").args(&["-c", &format!("{alone} true")]);
    if !there.run().status.success() {
        harness::skipped("no PID namespace to be had here (unshare)");
        return;
    }
    // Its group and session have no numbers there, nor has the terminal's group; in the
    // second, nor have its parent's. To stop there would be for ever, or in a loop.
    for command in ["shm", "sh -c '\"$@\"; exit $?' sh shm"] {
        let ring = Ring::new(20, "64K");
        let terminal = Terminal::new(24, 80);
        let script = format!(
            "set -m; {alone} {command} inspect {} --watch 50ms; echo ended with $?",
            &*ring.name
        );
        let shell = job_script(&terminal, &script);
        let sees = |text: &str| drop(terminal.until(text, |screen| screen.contains(text)));
        sees("nobody is attached");
        terminal.type_keys("\x1a");
        terminal.type_keys("?");
        sees("any key closes it");
        terminal.type_keys("q");
        sees("ended with 0");
        assert!(!terminal.is_alternate() && !terminal.is_cursor_hidden());
        shell.finish().exits(0);
    }
}

/// A terminal that nobody reads from.
fn silent_terminal() -> (OwnedFd, OwnedFd) {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let master = rustix::pty::openpt(flags).unwrap();
    rustix::pty::unlockpt(&master).unwrap();
    let side = rustix::pty::ioctl_tiocgptpeer(&master, flags).unwrap();
    let size = Winsize {
        ws_row: 100,
        ws_col: 300,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    rustix::termios::tcsetwinsize(&side, size).unwrap();
    (master, side)
}

/// `shm inspect NAME --watch` there, its output stuck.
fn stuck(ring: &Ring, master: &OwnedFd, side: &OwnedFd) -> Proc {
    let own = side.try_clone().unwrap();
    let take = move || {
        rustix::process::setsid()?;
        rustix::process::ioctl_tiocsctty(own.as_fd())?;
        Ok(())
    };
    let side = || side.try_clone().unwrap();
    let shm = shm(&["inspect", &ring.name, "--watch", "50ms"]).env("TERM", "xterm");
    // SAFETY: two system calls, and nothing is allocated.
    let proc = unsafe { shm.before_exec(take) }
        .stdin(side())
        .stdout(side())
        .stderr(side())
        .start();
    let typed = side();
    // Each Ctrl-L is a whole screen; one that stays unread has found it writing.
    until("its output is stuck", || {
        rustix::io::write(master, b"\x0c").unwrap();
        let unread = || rustix::io::ioctl_fionread(&typed).unwrap() > 0;
        let mut looks = 0..60;
        looks.all(|_| {
            std::thread::sleep(Duration::from_millis(5));
            unread()
        })
    });
    proc
}

#[test]
fn a_terminal_that_takes_nothing_does_not_keep_it_from_ending() {
    let ring = Ring::new(20, "64K");
    let (master, side) = silent_terminal();
    let before = rustix::termios::tcgetattr(&side).unwrap().local_modes;
    let mut proc = stuck(&ring, &master, &side);
    assert_ne!(
        rustix::termios::tcgetattr(&side).unwrap().local_modes,
        before
    );
    proc.signal(Signal::TERM);
    assert_eq!(proc.wait_within(SECONDS).code(), Some(143));
    assert_eq!(
        rustix::termios::tcgetattr(&side).unwrap().local_modes,
        before
    );
}

#[test]
fn a_terminal_that_goes_away_ends_it() {
    let ring = Ring::new(20, "64K");
    let (master, side) = silent_terminal();
    let mut proc = stuck(&ring, &master, &side);
    drop((master, side));
    assert_eq!(proc.wait_within(SECONDS).code(), Some(129));
}

#[test]
fn what_cannot_be_watched_is_an_error_and_no_screen() {
    let name = Name::unused();
    let terminal = Terminal::new(24, 80);
    let mut proc = shm(&["inspect", &name, "--watch"]).at(&terminal).start();
    assert_eq!(proc.wait_within(PATIENCE).code(), Some(1));
    terminal.settle();
    assert!(terminal.screen().starts_with("shm: ") && !terminal.raw().contains('\x1b'));
}

// ---- off a terminal ---------------------------------------------------------

/// Lines that have come so far.
fn lines(proc: &Proc) -> Vec<String> {
    let text = String::from_utf8(proc.stdout_so_far()).unwrap();
    let whole = text
        .split_inclusive('\n')
        .filter(|line| line.ends_with('\n'));
    whole.map(|line| line.trim_end().to_owned()).collect()
}

#[test]
fn off_a_terminal_there_is_a_line_each_time() {
    let ring = Ring::new(20, "64K");
    shm(&["write", &ring.name, "--quiet", "--keep-open"])
        .input("some")
        .run()
        .exits(0);
    let watch = shm(&["inspect", &ring.name, "--watch", "20ms"]).start();
    until("there are some lines", || lines(&watch).len() >= 3);
    let all = lines(&watch);
    let rest =
        "  diff 1 of 20 (4 B)  writers 0  readers 0  nobody is attached; 1 node (4 B) to be read";
    assert!(
        all[0].ends_with(&format!("Z  in - MB/s  out - MB/s{rest}")),
        "{all:?}"
    );
    assert!(
        all[1].ends_with(&format!("Z  in 0.00 MB/s  out 0.00 MB/s{rest}")),
        "{all:?}"
    );
    watch.signal(Signal::TERM);
    watch.finish().exits(143).silent();
}

#[test]
fn for_scripts_there_is_an_object_each_time() {
    let ring = Ring::new(20, "64K");
    let watch = shm(&["inspect", &ring.name, "--watch", "20ms", "--json"]).start();
    let objects = || -> Vec<Value> {
        lines(&watch)
            .iter()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    };
    until("there is an object", || !objects().is_empty());
    assert!(objects()[0]["rates"].is_null());
    shm(&["write", &ring.name, "--quiet"])
        .input(vec![1; 300_000])
        .run()
        .exits(0);
    let written = |all: &[Value]| -> f64 {
        let seconds = |o: &Value| o["rates"]["interval_ns"].as_f64().unwrap_or(0.0) / 1e9;
        let mb = |o: &Value| o["rates"]["written_mb_per_s"].as_f64().unwrap_or(0.0);
        all.iter().map(|o| mb(o) * seconds(o)).sum()
    };
    until("all of it was counted", || {
        (written(&objects()) - 0.3).abs() < 1e-6
    });
    let last = objects().pop().unwrap();
    let whole = ring.inspect();
    for key in ["name", "kind", "ring", "participants", "size_bytes", "mode"] {
        assert_eq!(last[key], whole[key], "{key}");
    }
    assert!(last["unix_ns"].as_u64() > last["created_unix_ns"].as_u64());
    assert!(last["blocked"].is_null() && last["remarks"][0].is_string());
    let moments: Vec<u64> = objects()
        .iter()
        .map(|o| o["unix_ns"].as_u64().unwrap())
        .collect();
    assert!(moments.is_sorted());
    shm(&["remove", &ring.name]).run().exits(0);
    let done = watch.finish().exits(6);
    assert!(done.error_line().ends_with("removed while in use"));
}

#[test]
fn blocked_says_who_waits() {
    let ring = Ring::new(2, "16");
    let writer = shm(&["write", &ring.name, "--quiet"])
        .input_file([0; 1000])
        .start();
    let watch = shm(&["inspect", &ring.name, "--watch", "20ms", "--json"]).start();
    until("writers are blocked", || {
        let last: Option<Value> = lines(&watch)
            .last()
            .map(|line| serde_json::from_str(line).unwrap());
        last.is_some_and(|object| object["blocked"] == "writers")
    });
    drop(writer);
    watch.signal(Signal::INT);
    watch.finish().exits(130);
}

#[test]
fn a_writer_that_waits_for_its_own_input_or_drops_does_not_wait() {
    for options in [&[][..], &["--on-full", "drop-old"]] {
        let ring = Ring::new(2, "16");
        let writer = shm(&["write", &ring.name, "--quiet"]).args(options);
        let mut writer = writer.held_stdin().start();
        writer.feed(&[0; 32]);
        until("the ring is full", || ring.number("diff_nodes") == 2);
        let watch = shm(&["inspect", &ring.name, "--watch", "50ms", "--json"]).start();
        until("many looks", || lines(&watch).len() >= 12);
        watch.signal(Signal::INT);
        for line in lines(&watch) {
            let object: Value = serde_json::from_str(&line).unwrap();
            assert!(object["blocked"].is_null(), "{line}");
            let last = object["remarks"].as_array().unwrap().last().unwrap();
            let sentences = [
                "ring full, no reader attached",
                "no reader attached; 2 nodes (32 B) to be read",
            ];
            assert!(sentences.contains(&last.as_str().unwrap()), "{line}");
        }
        watch.finish().exits(130);
    }
}

#[test]
fn all_segments_are_listed_each_time() {
    let ring = Ring::new(3, "4K");
    let text = shm(&["list", "--watch", "20ms"]).start();
    let json = shm(&["list", "--watch", "20ms", "--json"]).start();
    let row = format!("Z  {}  ring 3x4K  in 0.00 MB/s", &*ring.name);
    until("it is listed", || {
        lines(&text).iter().any(|line| line.contains(&row))
    });
    let mine = |line: &String| {
        let all: Value = serde_json::from_str(line).unwrap();
        let mine = all
            .as_array()
            .unwrap()
            .iter()
            .find(|object| object["name"] == *ring.name);
        mine.cloned()
    };
    until("it is an object with rates", || {
        let last = lines(&json).last().and_then(mine);
        last.is_some_and(|object| object["ring"]["nodes"] == 3 && object["rates"].is_object())
    });
    shm(&["remove", &ring.name]).run().exits(0);
    until("it is there no more", || {
        lines(&json).last().is_some_and(|line| mine(line).is_none())
    });
    for watch in [text, json] {
        watch.signal(Signal::TERM);
        watch.finish().exits(143).silent();
    }
}

#[test]
fn it_ends_when_nobody_reads_it_any_more() {
    let ring = Ring::new(3, "4K");
    for duration in ["20ms", "1h"] {
        let mut watch = shm(&["inspect", &ring.name, "--watch", duration])
            .held_stdout()
            .start();
        let mut stdout = watch.take_stdout();
        stdout.read_exact(&mut [0]).unwrap(); // the first line has come
        drop(stdout);
        watch.finish_within(SECONDS).exits(0).silent();
    }
}

#[test]
fn a_terminal_without_a_screen_and_json_get_lines() {
    let ring = Ring::new(3, "4K");
    for (term, options) in [("dumb", &[][..]), ("xterm", &["--json"][..])] {
        let terminal = Terminal::new(24, 200);
        let shm = shm(&["inspect", &ring.name, "--watch", "50ms"]).args(options);
        let mut watch = shm.at(&terminal).env("TERM", term).start();
        terminal.until("there are lines", |screen| {
            screen.matches("nobody is attached").count() >= 2
        });
        assert!(
            !terminal.raw().contains("\x1b"),
            "{term}: {:?}",
            terminal.raw()
        );
        terminal.type_keys("\x03");
        assert_eq!(watch.wait_within(SECONDS).code(), Some(130));
    }
    assert!(shm_path(&ring.name).exists());
}
