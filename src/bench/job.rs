//! What a worker is told, and what it answers: the two ends of one wire.
//!
//! The engine starts a worker with a [`Job`] as JSON in its arguments and
//! reads a [`Reply`] as JSON from its standard error (whose text, if it is no
//! reply, is what the worker died of). Standard input is the shared file
//! ([`Board`](crate::ideal::Board) and ideal pipeline); standard output is its
//! end of the pipe or socket, where there is one.
//!
//! ```text
//!   engine --Job, shared file, an end--> worker (process or thread)
//!          <--Reply: Done(Outcome) | Failed(why)--
//! ```

use super::plan::Limit;
use super::source::Tally;
use serde::{Deserialize, Serialize};

/// What one worker is to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Its part.
    pub part: Part,
    /// Bytes of a message.
    pub size: usize,
    /// How long it goes on.
    pub limit: Limit,
    /// How many meet before the clock starts.
    pub parties: u32,
    /// Of them, how many write (or ask).
    pub writers: u32,
    /// Which of its kind it is, from 0.
    pub index: u32,
    /// The processor it keeps to, if to any.
    pub cpu: Option<usize>,
    /// The process that it works for.
    pub parent: u32,
}

/// How messages are made and looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// Nothing is copied in or out.
    pub in_place: bool,
    /// Every byte counts. Otherwise messages are picked, or, in place, not
    /// even touched.
    pub checked: bool,
}

/// The parts that there are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Part {
    /// Write messages into a ring.
    Write {
        /// Its name.
        ring: String,
        /// Which messages.
        content: Content,
        /// How many to write before the clock starts.
        warm_up: u64,
    },
    /// Read messages from a ring until its stream ends.
    Read {
        /// Its name.
        ring: String,
        /// Which messages.
        content: Content,
        /// Every message comes to this reader.
        alone: bool,
    },
    /// Ask in one ring, wait for the answers in another, and again.
    Ask {
        /// The ring there.
        there: String,
        /// The ring back.
        back: String,
        /// How many answer each question.
        answers: u64,
        /// Only the mark is written and read, not the whole node.
        in_place: bool,
    },
    /// Answer what is asked.
    Answer {
        /// The ring of questions.
        there: String,
        /// A ring back to each who asks.
        back: Vec<String>,
        /// As of those who ask.
        in_place: bool,
    },
    /// Write into the ideal pipeline of so many nodes.
    PipelineWrite {
        /// How many.
        nodes: usize,
    },
    /// Read from it.
    PipelineRead {
        /// How many.
        nodes: usize,
    },
    /// Ask in one ideal pipeline of so many nodes, wait for the answer in
    /// another, and again.
    PipelineAsk {
        /// How many.
        nodes: usize,
    },
    /// Answer what is asked there.
    PipelineAnswer {
        /// How many.
        nodes: usize,
    },
    /// Copy messages into so many nodes of one's own memory.
    Copy {
        /// How many.
        nodes: usize,
    },
    /// Write into a pipe or socket, which is standard output.
    StreamWrite {
        /// How many messages to write before the clock starts.
        warm_up: u64,
    },
    /// Read from it.
    StreamRead {
        /// As of the writer.
        warm_up: u64,
    },
}

/// How often each value was measured.
pub type Counts = Vec<(u64, u64)>;

/// What a worker has done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// When it began, after the last meeting; monotonic nanoseconds.
    pub begun_ns: u64,
    /// When it had done the last.
    pub ended_ns: u64,
    /// Processor time in between, nanoseconds.
    pub cpu_ns: u64,
    /// Messages counted, those of the warm-up not.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Times it had to wait meanwhile.
    pub waits: u64,
    /// Which messages, those of the warm-up too: by writer if checked,
    /// otherwise all together.
    pub tallies: Vec<Tally>,
    /// What was wrong with them.
    pub wrong: Option<String>,
    /// There and back, nanoseconds.
    pub round_trips: Counts,
    /// One way, nanoseconds.
    pub one_ways: Counts,
}

/// How a worker ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// It did its part.
    Done(Box<Outcome>),
    /// It could not.
    Failed(String),
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn jobs_and_replies_survive_the_wire() {
        let job = Job {
            part: Part::Answer {
                there: "a".into(),
                back: vec!["b".into(), "c".into()],
                in_place: true,
            },
            size: 64,
            limit: Limit::Time(Duration::from_millis(250)),
            parties: 4,
            writers: 2,
            index: 1,
            cpu: Some(3),
            parent: 7,
        };
        let text = serde_json::to_string(&job).unwrap();
        assert_eq!(serde_json::from_str::<Job>(&text).unwrap(), job);
        let reply = Reply::Done(Box::new(Outcome {
            tallies: vec![Tally {
                messages: 1,
                sum: u64::MAX,
            }],
            one_ways: vec![(u64::MAX, 2)],
            ..Outcome::default()
        }));
        let text = serde_json::to_string(&reply).unwrap();
        assert_eq!(serde_json::from_str::<Reply>(&text).unwrap(), reply);
    }
}
