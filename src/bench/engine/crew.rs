//! The workers of one measurement: started, waited for, and never left behind.
//!
//! A process is started with the job in its arguments, in a process group of
//! its own (Ctrl-C is for the engine to answer, which then ends its workers),
//! and it asks to be killed should its parent die. What it says is gathered by
//! a thread, so that it cannot block. A thread gets the same job and runs the
//! same code.
//!
//! However a measurement ends, dropping its crew ends all of it: processes are
//! killed and reaped, threads are told by the board and joined.

use crate::bench::executor::Failure;
use crate::bench::job::{Job, Outcome, Reply};
use crate::bench::worker;
use crate::ideal::Board;
use rustix::fd::OwnedFd;
use std::ffi::OsString;
use std::io::Read;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Between two looks at the workers: first short, so that a short measurement
/// is seen at all, then so long that looking does not disturb.
const FIRST_LOOKS: u32 = 10;
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const PAUSE: Duration = Duration::from_millis(10);
/// More of what a worker says is not kept.
const MOST_SAID: u64 = 16 << 20;

/// How to start a worker process: this program, started with a job as its last
/// argument, must call [`worker::answer`] with it, and say on standard error
/// what that returns.
#[derive(Clone, Debug)]
pub struct Launcher {
    /// What to run.
    pub program: PathBuf,
    /// What it is called in lists of processes.
    pub name: OsString,
    /// What comes before the job.
    pub arguments: Vec<OsString>,
}

/// One worker to be.
pub struct Start {
    /// What people call it: `writer 0`.
    pub who: String,
    /// What it is to do.
    pub job: Job,
    /// Its end of a pipe or socket.
    pub end: Option<OwnedFd>,
}

/// The workers of one measurement.
pub struct Crew {
    board: Board,
    workers: Vec<Worker>,
    parties: u32,
}

struct Worker {
    who: String,
    kind: Kind,
    done: Option<Outcome>,
}

enum Kind {
    Process {
        child: Child,
        said: Option<JoinHandle<Vec<u8>>>,
    },
    Thread(Option<JoinHandle<Reply>>),
}

impl Crew {
    /// Nobody yet, of so many.
    pub fn new(board: Board, parties: u32) -> Crew {
        Crew {
            board,
            workers: Vec::new(),
            parties,
        }
    }

    /// Adds a process.
    pub fn process(
        &mut self,
        launcher: &Launcher,
        start: Start,
        shared: &OwnedFd,
    ) -> Result<(), Failure> {
        let Start { who, job, end } = start;
        let cannot = |error: &dyn std::fmt::Display| {
            Failure::Failed(format!("{who} cannot be started: {error}"))
        };
        let job = serde_json::to_string(&job).map_err(|e| cannot(&e))?;
        let shared = shared.try_clone().map_err(|e| cannot(&e))?;
        let mut child = Command::new(&launcher.program)
            .arg0(&launcher.name)
            .args(&launcher.arguments)
            .arg(job)
            .stdin(Stdio::from(shared))
            .stdout(end.map_or_else(Stdio::null, Stdio::from))
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .map_err(|e| cannot(&e))?;
        let listener = child.stderr.take().map(|stderr| {
            std::thread::Builder::new().spawn(move || {
                let mut text = Vec::new();
                // What cannot be read was not said.
                let _ = stderr.take(MOST_SAID).read_to_end(&mut text);
                text
            })
        });
        let said = match listener.transpose() {
            Ok(said) => said,
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(cannot(&error));
            }
        };
        self.workers.push(Worker {
            who,
            kind: Kind::Process { child, said },
            done: None,
        });
        Ok(())
    }

    /// Adds a thread.
    pub fn thread(&mut self, start: Start, shared: &OwnedFd) -> Result<(), Failure> {
        let Start { who, job, end } = start;
        let cannot = |error| Failure::Failed(format!("{who} cannot be started: {error}"));
        let shared = shared.try_clone().map_err(cannot)?;
        let thread = std::thread::Builder::new().name(who.clone());
        let thread = thread.spawn(move || match worker::run(&job, &shared, end) {
            Ok(outcome) => Reply::Done(Box::new(outcome)),
            Err(error) => Reply::Failed(error.to_string()),
        });
        let thread = thread.map_err(cannot)?;
        self.workers.push(Worker {
            who,
            kind: Kind::Thread(Some(thread)),
            done: None,
        });
        Ok(())
    }

    /// Waits for all of them, looking round now and then as long as all are at
    /// work.
    pub fn wait(
        mut self,
        patience: Duration,
        cancelled: &dyn Fn() -> bool,
        look: &mut dyn FnMut(),
    ) -> Result<Vec<Outcome>, Failure> {
        let begun = Instant::now();
        let mut looks = 0;
        loop {
            if cancelled() {
                return Err(Failure::Cancelled);
            }
            self.gather()?;
            let running = self.workers.iter().filter(|w| w.done.is_none()).count();
            if running == 0 {
                let mut outcomes = Vec::new();
                for worker in &mut self.workers {
                    outcomes.extend(worker.done.take());
                }
                return Ok(outcomes);
            }
            if running == self.workers.len() {
                look();
            }
            if begun.elapsed() > patience {
                let seconds = patience.as_secs();
                return Err(Failure::Failed(format!("no end after {seconds} s")));
            }
            // The warm-up and the start are not what is to be seen.
            looks += u32::from(self.board.has_met(self.parties.into(), 2));
            std::thread::sleep(if looks < FIRST_LOOKS {
                FIRST_PAUSE
            } else {
                PAUSE
            });
        }
    }

    /// Takes the outcomes of those who have ended. If one has failed, the
    /// reason is that of one which was killed, rather than of those who only
    /// noticed.
    fn gather(&mut self) -> Result<(), Failure> {
        let mut failed: Option<String> = None;
        let mut killed: Option<String> = None;
        for worker in &mut self.workers {
            if worker.done.is_some() {
                continue;
            }
            match worker.ended() {
                None => {}
                Some(Ended::Done(outcome)) => worker.done = Some(*outcome),
                Some(Ended::Failed(why)) => {
                    failed.get_or_insert(format!("{}: {why}", worker.who));
                }
                Some(Ended::Killed(signal)) => {
                    killed.get_or_insert(format!("{} was killed by signal {signal}", worker.who));
                }
            }
        }
        match killed.or(failed) {
            None => Ok(()),
            Some(why) => Err(Failure::Failed(why)),
        }
    }
}

enum Ended {
    Done(Box<Outcome>),
    Failed(String),
    Killed(i32),
}

impl From<Reply> for Ended {
    fn from(reply: Reply) -> Ended {
        match reply {
            Reply::Done(outcome) => Ended::Done(outcome),
            Reply::Failed(why) => Ended::Failed(why),
        }
    }
}

impl Worker {
    /// How it has ended, if it has.
    fn ended(&mut self) -> Option<Ended> {
        match &mut self.kind {
            Kind::Thread(thread) => {
                let ended = thread.take_if(|thread| thread.is_finished())?;
                let reply = ended.join();
                Some(reply.map_or_else(|_| Ended::Failed("a panic".into()), Ended::from))
            }
            Kind::Process { child, said } => {
                let status = match child.try_wait() {
                    Ok(status) => status?,
                    Err(error) => return Some(Ended::Failed(error.to_string())),
                };
                if let Some(signal) = status.signal() {
                    return Some(Ended::Killed(signal));
                }
                let said = said.take().and_then(|said| said.join().ok());
                let said = said.unwrap_or_default();
                Some(match serde_json::from_slice::<Reply>(&said) {
                    Ok(reply) => reply.into(),
                    Err(_) => {
                        let text = String::from_utf8_lossy(&said);
                        let last = text.lines().last().unwrap_or_default();
                        Ended::Failed(format!("ended with {status}, saying {last:?}"))
                    }
                })
            }
        }
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        self.board.stop();
        for worker in &mut self.workers {
            match &mut worker.kind {
                Kind::Process { child, .. } => {
                    let _ = child.kill();
                    let _ = child.wait();
                }
                Kind::Thread(thread) => {
                    if let Some(thread) = thread.take() {
                        let _ = thread.join();
                    }
                }
            }
        }
    }
}
