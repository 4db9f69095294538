//! Processes that cannot outlive their test.

use super::{PATIENCE, Pattern, Verdict, until_within};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::Value;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGTSTP};
use signal_hook::flag::register_conditional_default;
use std::ffi::{OsStr, OsString};
use std::io::{Read, Seek, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, Once};
use std::thread::JoinHandle;
use std::time::Duration;

/// `shm ARGS...`, to be run. Unless told otherwise stdin is `/dev/null`, and
/// stdout and stderr are collected.
pub fn shm<S: AsRef<OsStr>>(args: &[S]) -> Shm {
    Shm::program(env!("CARGO_BIN_EXE_shm")).args(args)
}

/// A command to be run.
pub struct Shm {
    command: Command,
    what: String,
    stdin: In,
    stdout: Out,
    stderr: Option<Stdio>,
    own_group: bool,
}

enum In {
    Stdio(Stdio),
    /// The test holds the other end: [`Proc::feed`], [`Proc::close_stdin`].
    Held,
    Bytes(Vec<u8>),
    Pattern(Pattern),
}

enum Out {
    Stdio(Stdio),
    /// The test holds the other end and reads it when it likes, or never.
    Held,
    Collected,
    Verified(Pattern),
}

impl Shm {
    /// Another program than `shm`, under the same care. It starts with the
    /// signals of a terminal as they are in one, also when these tests run under
    /// nohup or in the background of a script, where SIGINT is ignored: what has
    /// a handler here is the default in what we start.
    pub fn program(program: &str) -> Shm {
        static DEFAULTS: Once = Once::new();
        DEFAULTS.call_once(|| {
            for signal in [SIGINT, SIGTERM, SIGHUP, SIGTSTP] {
                let yes = Arc::new(AtomicBool::new(true));
                register_conditional_default(signal, yes).unwrap();
            }
        });
        Shm {
            command: Command::new(program),
            what: program.rsplit('/').next().unwrap_or(program).to_owned(),
            stdin: In::Stdio(Stdio::null()),
            stdout: Out::Collected,
            stderr: None,
            own_group: false,
        }
    }
    pub fn args<S: AsRef<OsStr>>(mut self, args: &[S]) -> Shm {
        for arg in args {
            self = self.arg(arg);
        }
        self
    }
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Shm {
        self.what.push(' ');
        self.what.push_str(&arg.as_ref().to_string_lossy());
        self.command.arg(arg);
        self
    }
    pub fn env(mut self, key: &str, value: impl Into<OsString>) -> Shm {
        self.command.env(key, value.into());
        self
    }
    pub fn without_env(mut self, key: &str) -> Shm {
        self.command.env_remove(key);
        self
    }
    pub fn directory(mut self, path: &std::path::Path) -> Shm {
        self.command.current_dir(path);
        self
    }
    /// In a process group of its own, as a shell's job: [`Proc::signal_group`].
    /// All of it is killed on drop.
    pub fn own_group(mut self) -> Shm {
        self.command.process_group(0);
        self.own_group = true;
        self
    }
    /// With system calls made in the child before it becomes the program.
    ///
    /// # Safety
    /// Only such as are allowed between fork and exec, and no memory allocated.
    pub unsafe fn before_exec(
        mut self,
        calls: impl FnMut() -> std::io::Result<()> + Send + Sync + 'static,
    ) -> Shm {
        // SAFETY: the caller has promised what is asked for here.
        unsafe { self.command.pre_exec(calls) };
        self
    }
    /// With the directory of `shm` first on its path.
    pub fn with_shm_on_path(self) -> Shm {
        self.env("PATH", path_with_shm())
    }
    /// As another user (for a test that runs as root).
    pub fn with_uid(mut self, uid: u32) -> Shm {
        self.command.uid(uid).gid(uid);
        self
    }
    pub fn stdin(mut self, stdin: impl Into<Stdio>) -> Shm {
        self.stdin = In::Stdio(stdin.into());
        self
    }
    /// Stdin is these bytes, then its end.
    pub fn input(mut self, bytes: impl Into<Vec<u8>>) -> Shm {
        self.stdin = In::Bytes(bytes.into());
        self
    }
    /// Stdin is a file with these bytes: unlike a pipe, it always has more to
    /// give until its end, so each node but the last is full.
    pub fn input_file(self, bytes: impl AsRef<[u8]>) -> Shm {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes.as_ref()).unwrap();
        file.rewind().unwrap();
        self.stdin(file)
    }
    /// Stdin is this stream, then its end.
    pub fn input_pattern(mut self, pattern: &Pattern) -> Shm {
        self.stdin = In::Pattern(pattern.clone());
        self
    }
    /// Stdin is a pipe that stays open until the test closes it.
    pub fn held_stdin(mut self) -> Shm {
        self.stdin = In::Held;
        self
    }
    pub fn stdout(mut self, stdout: impl Into<Stdio>) -> Shm {
        self.stdout = Out::Stdio(stdout.into());
        self
    }
    /// Stdout is a pipe that nobody reads until the test does.
    pub fn held_stdout(mut self) -> Shm {
        self.stdout = Out::Held;
        self
    }
    /// Stdout is compared with this stream as it comes: see [`Done::verdict`].
    pub fn verify(mut self, pattern: &Pattern) -> Shm {
        self.stdout = Out::Verified(pattern.clone());
        self
    }
    pub fn stderr(mut self, stderr: impl Into<Stdio>) -> Shm {
        self.stderr = Some(stderr.into());
        self
    }

    /// Starts it.
    #[track_caller]
    pub fn start(mut self) -> Proc {
        let (stdin, source) = match self.stdin {
            In::Stdio(stdio) => (stdio, None),
            other => (Stdio::piped(), Some(other)),
        };
        let (stdout, sink) = match self.stdout {
            Out::Stdio(stdio) => (stdio, None),
            other => (Stdio::piped(), Some(other)),
        };
        let collect_stderr = self.stderr.is_none();
        self.command
            .stdin(stdin)
            .stdout(stdout)
            .stderr(self.stderr.unwrap_or_else(Stdio::piped));
        let child = self
            .command
            .spawn()
            .unwrap_or_else(|e| panic!("starting {}: {e}", self.what));
        // From here on the child is killed should anything panic.
        let mut proc = Proc {
            child,
            what: self.what,
            own_group: self.own_group,
            held_stdin: None,
            held_stdout: None,
            stdout: Arc::default(),
            stderr: Arc::default(),
            verdict: Arc::default(),
            collectors: Vec::new(),
        };
        // The command keeps the parent's copies of what was given as Stdio:
        // close them, or a pipe between two children would never end.
        drop(self.command);
        proc.held_stdin = proc.child.stdin.take();
        proc.held_stdout = proc.child.stdout.take();
        match source {
            Some(In::Bytes(bytes)) => {
                let mut stdin = proc.held_stdin.take().unwrap();
                // A child that ends early breaks the pipe: not our business.
                std::thread::spawn(move || drop(stdin.write_all(&bytes)));
            }
            Some(In::Pattern(pattern)) => {
                let mut stdin = proc.held_stdin.take().unwrap();
                std::thread::spawn(move || drop(pattern.write_to(&mut stdin)));
            }
            _ => {}
        }
        match sink {
            Some(Out::Collected) => {
                let stdout = proc.held_stdout.take().unwrap();
                proc.collectors
                    .push(collect(stdout, Arc::clone(&proc.stdout)));
            }
            Some(Out::Verified(pattern)) => {
                let mut stdout = proc.held_stdout.take().unwrap();
                let verdict = Arc::clone(&proc.verdict);
                proc.collectors.push(std::thread::spawn(move || {
                    let found = pattern.verify(&mut stdout);
                    *verdict.lock().unwrap() = Some(found);
                }));
            }
            _ => {}
        }
        if collect_stderr {
            let stderr = proc.child.stderr.take().unwrap();
            proc.collectors
                .push(collect(stderr, Arc::clone(&proc.stderr)));
        }
        proc
    }

    /// Runs it to its end, [`PATIENCE`] at most.
    #[track_caller]
    pub fn run(self) -> Done {
        self.start().finish()
    }
    /// Runs it to its end, `bound` at most.
    #[track_caller]
    pub fn run_within(self, bound: Duration) -> Done {
        self.start().finish_within(bound)
    }
}

fn collect(mut from: impl Read + Send + 'static, into: Arc<Mutex<Vec<u8>>>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let mut buffer = vec![0; 1 << 16];
        loop {
            match from.read(&mut buffer) {
                Ok(0) => return,
                Ok(n) => into.lock().unwrap().extend_from_slice(&buffer[..n]),
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
    })
}

/// A running child; killed and reaped on drop.
pub struct Proc {
    child: Child,
    what: String,
    own_group: bool,
    held_stdin: Option<ChildStdin>,
    held_stdout: Option<ChildStdout>,
    stdout: Arc<Mutex<Vec<u8>>>,
    stderr: Arc<Mutex<Vec<u8>>>,
    verdict: Arc<Mutex<Option<Verdict>>>,
    collectors: Vec<JoinHandle<()>>,
}

impl Proc {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
    /// Sends a signal; the child is ours and not yet reaped, so the pid is its.
    #[track_caller]
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal)
            .unwrap_or_else(|e| panic!("signalling {}: {e}", self.what));
    }
    /// Sends a signal to it and its children, as a terminal does, or a shell
    /// to its job. Only for a child that is not yet reaped.
    #[track_caller]
    pub fn signal_group(&self, signal: Signal) {
        assert!(self.own_group, "not started with own_group()");
        kill_process_group(Pid::from_child(&self.child), signal)
            .unwrap_or_else(|e| panic!("signalling the group of {}: {e}", self.what));
    }
    /// Has it not ended yet?
    #[track_caller]
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }
    /// Stops it and waits until the kernel says that it is stopped.
    #[track_caller]
    pub fn stop(&self) {
        self.signal(Signal::STOP);
        let stat = format!("/proc/{}/stat", self.pid());
        until_within(PATIENCE, "the child is stopped", || {
            let stat = std::fs::read_to_string(&stat).unwrap();
            // "pid (name) STATE ...": the name may contain anything.
            stat[stat.rfind(')').unwrap()..].starts_with(") T")
        });
    }
    /// Lets a stopped one go on.
    #[track_caller]
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }
    /// SIGKILL, and waits until it is gone.
    #[track_caller]
    pub fn kill(mut self) -> Done {
        let _ = self.child.kill();
        self.finish()
    }
    /// Writes to the held stdin. The bytes must fit into a pipe.
    #[track_caller]
    pub fn feed(&mut self, bytes: &[u8]) {
        self.held_stdin
            .as_mut()
            .expect("held_stdin()")
            .write_all(bytes)
            .unwrap();
    }
    /// The end of the held stdin.
    pub fn close_stdin(&mut self) {
        self.held_stdin = None;
    }
    pub fn take_stdin(&mut self) -> ChildStdin {
        self.held_stdin.take().expect("held_stdin()")
    }
    /// The other end of its stdout.
    pub fn take_stdout(&mut self) -> ChildStdout {
        self.held_stdout.take().expect("held_stdout()")
    }
    /// What has come on stdout so far.
    pub fn stdout_so_far(&self) -> Vec<u8> {
        self.stdout.lock().unwrap().clone()
    }
    /// What has come on stderr so far.
    pub fn stderr_so_far(&self) -> String {
        String::from_utf8_lossy(&self.stderr.lock().unwrap()).into_owned()
    }
    /// Waits for its end, `bound` at most.
    #[track_caller]
    pub fn wait_within(&mut self, bound: Duration) -> ExitStatus {
        let deadline = std::time::Instant::now() + bound;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            if std::time::Instant::now() >= deadline {
                let stderr = self.stderr_so_far();
                panic!(
                    "`{}` still runs after {bound:?}; stderr so far: {stderr:?}",
                    self.what
                );
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
    /// Waits for its end, [`PATIENCE`] at most, and gathers all it said.
    #[track_caller]
    pub fn finish(self) -> Done {
        self.finish_within(PATIENCE)
    }
    /// Waits for its end, `bound` at most, and gathers all it said.
    #[track_caller]
    pub fn finish_within(mut self, bound: Duration) -> Done {
        let status = self.wait_within(bound);
        // Somebody else may hold the far ends open (a background job of a
        // script): bounded as well.
        let collectors = std::mem::take(&mut self.collectors);
        until_within(PATIENCE, "its stdout and stderr end", || {
            collectors.iter().all(JoinHandle::is_finished)
        });
        for collector in collectors {
            collector.join().expect("a collector of output panicked");
        }
        Done {
            what: std::mem::take(&mut self.what),
            status,
            stdout: std::mem::take(&mut self.stdout.lock().unwrap()),
            stderr: self.stderr_so_far(),
            verdict: self.verdict.lock().unwrap().take(),
        }
    }
}

impl Drop for Proc {
    fn drop(&mut self) {
        // Its group may outlive it; and while a member lives, or it itself is
        // not reaped, the group's number is nobody else's. (Reaped, and the
        // group empty: ESRCH, short of a pid that came round within moments.)
        if self.own_group {
            let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        // What a killed `shm bench` leaves.
        let mark = format!("shmkit-bench-{}-", self.child.id());
        for entry in std::fs::read_dir("/dev/shm")
            .into_iter()
            .flatten()
            .flatten()
        {
            if entry.file_name().to_string_lossy().starts_with(&mark) {
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }
}

/// An ended child and all it said.
#[derive(Debug)]
pub struct Done {
    pub what: String,
    pub status: ExitStatus,
    pub stdout: Vec<u8>,
    pub stderr: String,
    pub verdict: Option<Verdict>,
}

impl Done {
    /// The exit status; dying of a signal or of a panic is never an answer.
    #[track_caller]
    pub fn code(&self) -> i32 {
        let Some(code) = self.status.code() else {
            let signal = self.status.signal();
            panic!(
                "`{}` died of signal {signal:?}; stderr: {}",
                self.what, self.stderr
            )
        };
        let panicked = code == 101 || self.stderr.contains("panicked at");
        assert!(!panicked, "`{}` panicked: {}", self.what, self.stderr);
        code
    }
    /// Asserts the exit status.
    #[track_caller]
    pub fn exits(self, code: i32) -> Done {
        self.exits_one_of(&[code])
    }
    /// Asserts that the exit status is one of these.
    #[track_caller]
    pub fn exits_one_of(self, codes: &[i32]) -> Done {
        let code = self.code();
        assert!(
            codes.contains(&code),
            "`{}` exited with {code}, not {codes:?}; stderr: {:?}",
            self.what,
            self.stderr
        );
        self
    }
    /// Asserts that stderr is exactly one line `shm: WHAT...`, and returns it.
    #[track_caller]
    pub fn error_line(&self) -> &str {
        let line = self.stderr.strip_suffix('\n').unwrap_or("");
        assert!(
            line.starts_with("shm: ") && line.len() > 10 && !line.contains(['\n', '\r', '\x1b']),
            "`{}`: stderr is not one line `shm: WHAT: WHY`: {:?}",
            self.what,
            self.stderr
        );
        line
    }
    /// As [`Done::error_line`], after any number of warnings, each a line, too.
    #[track_caller]
    pub fn error_line_after_warnings(mut self) {
        let is_warning = |line: &str| line.starts_with("shm: ") && line.contains(": warning: ");
        let lines = self.stderr.split_inclusive('\n');
        self.stderr = lines.skip_while(|line| is_warning(line)).collect();
        self.error_line();
    }
    /// Asserts an error that is one line and nothing on stdout.
    #[track_caller]
    pub fn fails(self, code: i32) -> Done {
        self.fails_with_one_of(&[code])
    }
    #[track_caller]
    pub fn fails_with_one_of(self, codes: &[i32]) -> Done {
        let done = self.exits_one_of(codes);
        done.error_line();
        assert!(
            done.stdout.is_empty(),
            "`{}`: an error, and output as well",
            done.what
        );
        done
    }
    /// Asserts that nothing at all was said on stderr.
    #[track_caller]
    pub fn silent(self) -> Done {
        assert!(
            self.stderr.is_empty(),
            "`{}` said {:?}",
            self.what,
            self.stderr
        );
        self
    }
    /// Stdout, which must be one JSON value.
    #[track_caller]
    pub fn json(&self) -> Value {
        let parsed = serde_json::from_slice(&self.stdout);
        parsed.unwrap_or_else(|e| {
            let stdout = String::from_utf8_lossy(&self.stdout);
            panic!("`{}`: stdout is not JSON: {e}: {stdout:?}", self.what)
        })
    }
    /// The objects on stderr, one a line.
    #[track_caller]
    pub fn objects(&self) -> Vec<Value> {
        let lines = self.stderr.lines().filter(|line| line.starts_with('{'));
        let parse = |line| {
            serde_json::from_str(line).unwrap_or_else(|e| panic!("`{}`: {e}: {line:?}", self.what))
        };
        lines.map(parse).collect()
    }
    /// The summary of `write --json` and `read --json`: the last object.
    #[track_caller]
    pub fn summary(&self) -> Value {
        let last = self.objects().pop();
        last.unwrap_or_else(|| panic!("`{}`: no summary in {:?}", self.what, self.stderr))
    }
}

/// The path, with the directory of `shm` first.
pub fn path_with_shm() -> String {
    let binary = std::path::Path::new(env!("CARGO_BIN_EXE_shm"));
    let directory = binary.parent().unwrap().display();
    format!("{directory}:{}", std::env::var("PATH").unwrap())
}

/// Runs a script in a mount namespace of its own whose `/dev/shm` is an empty
/// tmpfs of `size` (as mount(8) takes it), with `shm` first on the path. For
/// what concerns everybody's segments, or needs a small `/dev/shm`. What it
/// leaves running is killed when it ends, or when its test does: it is the
/// first process of a PID namespace.
///
/// `None`, with a note, where namespaces are not to be had.
#[track_caller]
pub fn in_private_shm(size: &str, script: &str) -> Option<Done> {
    let path = path_with_shm();
    let mount = format!("mount -t tmpfs -o size={size} tmpfs /dev/shm || exit 99\n");
    let unshare = |script: &str| {
        Shm::program("unshare")
            .args(&["--user", "--map-root-user", "--mount"])
            .args(&["--pid", "--fork", "--kill-child"])
            .args(&["bash", "-c", script])
            .env("PATH", path.clone())
            .run_within(2 * PATIENCE)
    };
    let there = Command::new("unshare").arg("--version").output().is_ok();
    if !there || !unshare(&format!("{mount} exit 0")).status.success() {
        super::skipped("no private /dev/shm to be had here (unshare)");
        return None;
    }
    Some(unshare(&format!("{mount}{script}")))
}
