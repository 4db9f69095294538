//! The progress line, drawn by indicatif.
//!
//! ```text
//! 1.25 GiB  9120 MB/s  diff 3  0:12  [==========>         ]  42% ETA 0:17
//! 1.25 GiB  0.00 MB/s  diff 20  0:14  waiting for a reader
//! 0 B  0.00 MB/s  0:03  waiting for the lock
//! ```
//!
//! The parts that do not fit into the terminal's width are left out, the
//! least telling first; what it waits for stays longest. Away from a terminal
//! (`--progress 2>log`) the same text becomes plain lines.

use super::summary::{mb_per_s, rate};
use indicatif::{
    BinaryBytes, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle, TermLike,
};
use std::collections::VecDeque;
use std::fmt;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The rate shown is that of the last seconds.
const WINDOW: Duration = Duration::from_secs(2);
/// The narrowest bar that is worth its room.
const BAR_WIDTH: usize = 12;
/// The width of lines that go to no terminal.
const LINE_WIDTH: usize = 100;

/// What is to be shown.
#[derive(Clone, Debug)]
pub struct Scene {
    /// Bytes moved.
    pub bytes: u64,
    /// Nodes that readers lag behind, where there are nodes.
    pub diff: Option<u64>,
    /// Since the start.
    pub elapsed: Duration,
    /// What it waits for, if it has waited noticeably long.
    pub waiting_for: Option<&'static str>,
}

/// A progress line.
pub struct Progress {
    bar: ProgressBar,
    total: Option<u64>,
    terminal: bool,
    /// Whether the style in use has a bar.
    has_bar: bool,
    /// What stands before and behind the bar.
    text: Arc<Mutex<(String, String)>>,
    /// When how many bytes had been moved, within the window.
    samples: VecDeque<(Instant, u64)>,
}

impl Progress {
    /// On stderr, which is a terminal.
    pub fn on_terminal(total: Option<u64>) -> Progress {
        Progress::new(total, ProgressDrawTarget::stderr(), true)
    }

    /// On stderr, as a line each time it is drawn.
    pub fn in_lines(total: Option<u64>) -> Progress {
        Progress::new(
            total,
            ProgressDrawTarget::term_like(Box::<Lines>::default()),
            false,
        )
    }

    fn new(total: Option<u64>, target: ProgressDrawTarget, terminal: bool) -> Progress {
        let bar = ProgressBar::with_draw_target(total, target);
        let mut progress = Progress {
            bar,
            total,
            terminal,
            has_bar: true,
            text: Arc::default(),
            samples: VecDeque::from([(Instant::now(), 0)]),
        };
        progress.set_style(false);
        progress
    }

    /// Draws the line anew.
    pub fn draw(&mut self, scene: &Scene) {
        let recent = self.recent_rate(scene.bytes);
        self.compose(scene, recent);
        self.bar.update(|state| state.set_pos(scene.bytes));
    }

    /// Runs something that prints, with the line out of its way.
    pub fn above(&self, print: impl FnOnce()) {
        match self.terminal {
            true => self.bar.suspend(print),
            false => print(),
        }
    }

    /// Ends: leaves a last line, with the rate of the whole, or (`keep`
    /// false, when a summary says it all) nothing.
    pub fn finish(mut self, scene: &Scene, keep: bool) {
        if !keep {
            return self.bar.finish_and_clear();
        }
        let average = mb_per_s(scene.bytes, scene.elapsed.as_secs_f64());
        let scene = Scene {
            waiting_for: None,
            ..scene.clone()
        };
        self.compose(&scene, average);
        self.bar.set_position(scene.bytes);
        self.bar.abandon();
        if self.terminal {
            let _ = writeln!(io::stderr());
        }
    }

    /// MB/s within the window.
    fn recent_rate(&mut self, bytes: u64) -> f64 {
        let now = Instant::now();
        self.samples.push_back((now, bytes));
        while self.samples.len() > 2 && now - self.samples[0].0 > WINDOW {
            self.samples.pop_front();
        }
        let (then, before) = self.samples[0];
        mb_per_s(bytes.saturating_sub(before), (now - then).as_secs_f64())
    }

    /// Sets text and style for a scene.
    fn compose(&mut self, scene: &Scene, mb_per_s: f64) {
        let width = if self.terminal {
            terminal_width()
        } else {
            LINE_WIDTH
        };
        let goal = self
            .total
            .filter(|total| *total > 0)
            .map(|total| goal(scene, total, mb_per_s));
        let head = Head::new(scene, mb_per_s);
        let goal_width = goal.as_ref().map_or(0, |goal| goal.len() + 2);
        // One column stays free: a full line would wrap on some terminals.
        let room = width.saturating_sub(1);
        let text = head.fit(room.saturating_sub(goal_width));
        let bar_room = room.saturating_sub(text.len() + goal_width);
        let with_bar = goal.is_some() && self.terminal && bar_room >= BAR_WIDTH;
        let tail = match goal {
            Some(goal) if with_bar => goal,
            Some(goal) if text.len() + goal_width <= room => goal.trim_start().to_owned(),
            _ => String::new(),
        };
        *self.text.lock().unwrap_or_else(PoisonError::into_inner) = (text, tail);
        self.set_style(with_bar);
    }

    fn set_style(&mut self, with_bar: bool) {
        if self.has_bar == with_bar {
            return;
        }
        self.has_bar = with_bar;
        let template = if with_bar {
            "{head}  [{wide_bar}]  {tail}"
        } else {
            "{head}  {tail}"
        };
        let Ok(style) = ProgressStyle::with_template(template) else {
            return;
        };
        let (head, tail) = (Arc::clone(&self.text), Arc::clone(&self.text));
        let style = style
            .progress_chars("=> ")
            .with_key("head", move |_: &ProgressState, to: &mut dyn fmt::Write| {
                let _ = to.write_str(&head.lock().unwrap_or_else(PoisonError::into_inner).0);
            })
            .with_key("tail", move |_: &ProgressState, to: &mut dyn fmt::Write| {
                let _ = to.write_str(&tail.lock().unwrap_or_else(PoisonError::into_inner).1);
            });
        self.bar.set_style(style);
    }
}

/// The parts before the bar, each with its worth: the lowest goes first.
struct Head(Vec<(u8, String)>);

impl Head {
    fn new(scene: &Scene, mb_per_s: f64) -> Head {
        let mut parts = vec![
            (4, BinaryBytes(scene.bytes).to_string()),
            (3, format!("{} MB/s", rate(mb_per_s))),
            (1, clock(scene.elapsed)),
        ];
        if let Some(diff) = scene.diff {
            parts.insert(2, (2, format!("diff {diff}")));
        }
        if let Some(waiting) = scene.waiting_for {
            parts.push((5, waiting.into()));
        }
        Head(parts)
    }

    /// As many parts as fit into `room` columns; at least one, cut to it.
    fn fit(mut self, room: usize) -> String {
        loop {
            let text = self
                .0
                .iter()
                .map(|(_, part)| part.as_str())
                .collect::<Vec<_>>()
                .join("  ");
            let least = self.0.iter().map(|(worth, _)| *worth).min();
            if text.len() <= room || self.0.len() <= 1 {
                return text.chars().take(room).collect();
            }
            self.0.retain(|(worth, _)| Some(*worth) != least);
        }
    }
}

/// How much of the whole is done, and when it will be.
fn goal(scene: &Scene, total: u64, mb_per_s: f64) -> String {
    let bytes = scene.bytes;
    let percent = u128::from(bytes.min(total)) * 100 / u128::from(total.max(1));
    let left = total.saturating_sub(bytes) as f64 / 1e6;
    match left / mb_per_s {
        _ if bytes >= total => format!("{percent:>3}%"),
        // While it waits, nobody knows.
        seconds if seconds < 360_000.0 && scene.waiting_for.is_none() => {
            format!(
                "{percent:>3}% ETA {}",
                clock(Duration::from_secs_f64(seconds))
            )
        }
        _ => format!("{percent:>3}% ETA -:--"),
    }
}

/// `0:12`, `1:02:03`.
fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds / 3600 {
        0 => format!("{}:{:02}", seconds / 60, seconds % 60),
        hours => format!("{hours}:{:02}:{:02}", seconds / 60 % 60, seconds % 60),
    }
}

/// Columns of the terminal on stderr.
fn terminal_width() -> usize {
    match rustix::termios::tcgetwinsize(rustix::stdio::stderr()) {
        Ok(size) if size.ws_col > 0 => size.ws_col.into(),
        _ => 80,
    }
}

/// A terminal that is none: what would be drawn becomes lines, each once.
#[derive(Debug, Default)]
struct Lines {
    line: Mutex<String>,
    printed: Mutex<String>,
}

impl TermLike for Lines {
    fn width(&self) -> u16 {
        LINE_WIDTH as u16
    }
    fn move_cursor_up(&self, _: usize) -> io::Result<()> {
        Ok(())
    }
    fn move_cursor_down(&self, _: usize) -> io::Result<()> {
        Ok(())
    }
    fn move_cursor_right(&self, _: usize) -> io::Result<()> {
        Ok(())
    }
    fn move_cursor_left(&self, _: usize) -> io::Result<()> {
        Ok(())
    }
    fn write_line(&self, text: &str) -> io::Result<()> {
        self.write_str(text)
    }
    fn write_str(&self, text: &str) -> io::Result<()> {
        self.line
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push_str(text);
        Ok(())
    }
    fn clear_line(&self) -> io::Result<()> {
        Ok(())
    }
    fn flush(&self) -> io::Result<()> {
        let line = std::mem::take(&mut *self.line.lock().unwrap_or_else(PoisonError::into_inner));
        let mut printed = self.printed.lock().unwrap_or_else(PoisonError::into_inner);
        let line = line.trim_end();
        if line.is_empty() || line == *printed {
            return Ok(());
        }
        line.clone_into(&mut printed);
        writeln!(io::stderr(), "{line}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scene(waiting_for: Option<&'static str>) -> Scene {
        Scene {
            bytes: 5 << 28,
            diff: Some(3),
            elapsed: Duration::from_secs(12),
            waiting_for,
        }
    }

    #[test]
    fn parts_that_do_not_fit_are_left_out_the_least_telling_first() {
        let fit = |waiting, room| Head::new(&scene(waiting), 9120.0).fit(room);
        assert_eq!(fit(None, 200), "1.25 GiB  9120 MB/s  diff 3  0:12");
        assert_eq!(fit(None, 30), "1.25 GiB  9120 MB/s  diff 3");
        assert_eq!(fit(None, 10), "1.25 GiB");
        assert_eq!(fit(None, 3), "1.2");
        let waiting = Some("waiting for a reader");
        assert_eq!(
            fit(waiting, 200),
            "1.25 GiB  9120 MB/s  diff 3  0:12  waiting for a reader"
        );
        assert_eq!(fit(waiting, 39), "1.25 GiB  waiting for a reader");
        assert_eq!(fit(waiting, 20), "waiting for a reader");
        let array = Scene {
            diff: None,
            ..scene(None)
        };
        assert_eq!(
            Head::new(&array, 9120.0).fit(200),
            "1.25 GiB  9120 MB/s  0:12"
        );
    }

    #[test]
    fn the_goal_says_how_much_and_when() {
        let goal = |bytes, waiting_for, mb_per_s| {
            let scene = Scene {
                bytes,
                ..scene(waiting_for)
            };
            super::goal(&scene, 1_000_000, mb_per_s)
        };
        assert_eq!(goal(0, None, 0.0), "  0% ETA -:--");
        assert_eq!(goal(250_000, None, 0.05), " 25% ETA 0:15");
        assert_eq!(goal(250_000, Some("ring full"), 0.05), " 25% ETA -:--");
        assert_eq!(goal(1_000_000, None, 1.0), "100%");
    }

    #[test]
    fn a_clock_shows_hours_only_when_there_are_some() {
        assert_eq!(clock(Duration::from_secs(12)), "0:12");
        assert_eq!(clock(Duration::from_secs(3723)), "1:02:03");
    }
}
