//! The progress line, drawn by indicatif.
//!
//! ```text
//! 1.25 GiB  9120 MB/s  diff 3  0:12  2/3 b.iso  [=====>      ]  42% ETA 0:17
//! 1.25 GiB  0.00 MB/s  diff 20  0:14  ring full: waiting for readers
//! 1.25 GiB  0.00 MB/s  diff 20  0:14  ring full: waiting for reader 4243
//! 1.25 GiB  9120 MB/s  diff 20  7 dropped  0:12
//! 0 B  0.00 MB/s  0:03  waiting for the lock
//! ```
//!
//! A [`Scene`] becomes a [`Line`] of the terminal's width as it is now: parts
//! that do not fit are left out, the least telling first, and what it waits for
//! stays longest. Where a total is known and there is room, a bar fills it, to a
//! length that an eye can still judge. Only what it waits for and the bar have a
//! colour, and with NO_COLOR nothing has (indicatif sees to it).
//!
//! Away from a terminal (`--progress 2>log`), and on one that cannot move its
//! cursor, the same text becomes plain lines.

use super::summary::{mb_per_s, rate};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use shmkit::segment::Size;
use std::borrow::Cow;
use std::collections::VecDeque;
use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

/// The rate shown is that of the last seconds.
const WINDOW: Duration = Duration::from_secs(2);
/// The narrowest bar that is worth its room, and the widest.
const BAR_WIDTH: [usize; 2] = [8, 40];
/// What stands around a bar.
const BAR_FRAME: usize = "  []".len();
/// The width of lines that go to no terminal.
const LINE_WIDTH: usize = 100;

/// What is to be shown.
#[derive(Clone, Debug, Default)]
pub struct Scene {
    /// Bytes moved.
    pub bytes: u64,
    /// Nodes that readers lag behind, where there are nodes.
    pub diff: Option<u64>,
    /// Nodes that were dropped, or missed.
    pub dropped: u64,
    /// Which of several inputs it is at; empty if there is one.
    pub input: String,
    /// Since the start.
    pub elapsed: Duration,
    /// What it waits for, if it has waited noticeably long.
    pub waiting_for: Option<Cow<'static, str>>,
}

/// Whether stderr is a terminal on which a line can be drawn again.
pub fn is_drawable() -> bool {
    io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// A progress line.
pub struct Progress {
    surface: Surface,
    total: Option<u64>,
    /// When how many bytes had been moved, within the window.
    samples: VecDeque<(Instant, u64)>,
}

enum Surface {
    /// On a terminal, drawn again and again.
    Bar(ProgressBar),
    /// Anywhere else: lines, each once.
    Lines { last: String },
}

impl Progress {
    /// On stderr, on a terminal or as lines.
    pub fn new(total: Option<u64>, terminal: bool) -> Progress {
        let last = String::new();
        let target = ProgressDrawTarget::stderr();
        Progress {
            surface: match terminal {
                true => Surface::Bar(ProgressBar::with_draw_target(total, target)),
                false => Surface::Lines { last },
            },
            total: total.filter(|total| *total > 0),
            samples: VecDeque::from([(Instant::now(), 0)]),
        }
    }

    /// Draws the line anew.
    pub fn draw(&mut self, scene: &Scene) {
        let recent = self.recent_rate(scene.bytes);
        let goal = self.total.map(|total| goal(scene, total, recent));
        self.show(scene, Line::new(scene, clock(scene.elapsed), goal, recent));
    }

    /// Runs something that prints, with the line out of its way.
    pub fn above(&self, print: impl FnOnce()) {
        match &self.surface {
            Surface::Bar(bar) => bar.suspend(print),
            Surface::Lines { .. } => print(),
        }
    }

    /// Ends: leaves a last line, with the rate of the whole, or (`keep`
    /// false, when a summary says it all) nothing.
    pub fn finish(mut self, scene: &Scene, keep: bool) {
        if keep {
            let scene = Scene {
                waiting_for: None,
                input: String::new(),
                ..scene.clone()
            };
            let seconds = scene.elapsed.as_secs_f64();
            let average = mb_per_s(scene.bytes, seconds);
            let unfinished = self.total.filter(|total| scene.bytes < *total);
            let goal = unfinished.map(|total| percent(&scene, total));
            let time = match seconds {
                ..60.0 => format!("{seconds:.2} s"),
                _ => clock(scene.elapsed),
            };
            self.show(&scene, Line::new(&scene, time, goal, average));
        }
        match self.surface {
            Surface::Bar(bar) if keep => {
                bar.abandon();
                let _ = writeln!(io::stderr());
            }
            Surface::Bar(bar) => bar.finish_and_clear(),
            Surface::Lines { .. } => {}
        }
    }

    fn show(&mut self, scene: &Scene, line: Line) {
        match &mut self.surface {
            Surface::Bar(bar) => {
                // One column stays free: a full line would wrap on some terminals.
                let line = line.fit(terminal_width().saturating_sub(1), true);
                // The style has the text with it: what is drawn is of one scene.
                bar.set_style(line.style());
                bar.update(|state| state.set_pos(scene.bytes));
            }
            Surface::Lines { last } => {
                let line = line.fit(LINE_WIDTH, false).text();
                if line != *last {
                    // By one write; and a stderr that nobody reads changes nothing.
                    let _ = io::stderr().write_all(format!("{line}\n").as_bytes());
                    *last = line;
                }
            }
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
}

/// A line, as parts: each with its worth, of which the lowest goes first.
struct Line {
    parts: Vec<(u8, String)>,
    /// How much of the whole is done, and what it waits for: behind the bar.
    ends: Vec<(u8, String)>,
    waits: bool,
    /// Columns of the bar; 0 is none.
    bar: usize,
}

impl Line {
    fn new(scene: &Scene, time: String, goal: Option<String>, mb_per_s: f64) -> Line {
        let mut parts = vec![
            (7, format!("{:.2}", Size(scene.bytes))),
            (4, format!("{} MB/s", rate(mb_per_s))),
        ];
        if let Some(diff) = scene.diff {
            parts.push((3, format!("diff {diff}")));
        }
        if scene.dropped > 0 {
            parts.push((5, format!("{} dropped", scene.dropped)));
        }
        parts.push((2, time));
        if !scene.input.is_empty() {
            parts.push((
                1,
                scene
                    .input
                    .replace(|c: char| !c.is_ascii_graphic() && c != ' ', "?"),
            ));
        }
        let goal = goal.map(|goal| (6, goal));
        let waiting = scene.waiting_for.clone();
        let waiting = waiting.map(|what| (8, what.into_owned()));
        Line {
            parts,
            waits: waiting.is_some(),
            ends: goal.into_iter().chain(waiting).collect(),
            bar: 0,
        }
    }

    /// As many parts as fit into `room` columns; at least one, cut to it. What
    /// is left of the room is for the bar.
    fn fit(mut self, room: usize, with_bar: bool) -> Line {
        while self.width() > room && self.parts.len() + self.ends.len() > 1 {
            let all = self.parts.iter().chain(&self.ends);
            let least = all.map(|(worth, _)| *worth).min();
            self.parts.retain(|(worth, _)| Some(*worth) != least);
            self.ends.retain(|(worth, _)| Some(*worth) != least);
        }
        // Every part is ASCII.
        for (_, part) in self.parts.iter_mut().chain(&mut self.ends) {
            part.truncate(room);
        }
        let [least, most] = BAR_WIDTH;
        let has_goal = self.ends.iter().any(|(worth, _)| *worth == 6);
        let left = room.saturating_sub(self.width() + BAR_FRAME);
        if with_bar && has_goal && left >= least {
            self.bar = left.min(most);
        }
        self
    }

    fn width(&self) -> usize {
        self.text().len()
    }

    fn text(&self) -> String {
        joined(self.parts.iter().chain(&self.ends))
    }

    fn style(&self) -> ProgressStyle {
        let (head, tail) = (joined(&self.parts), joined(&self.ends));
        let bar = match self.bar {
            0 => String::new(),
            columns => format!("  [{{bar:{columns}.cyan}}]"),
        };
        let gap = if head.is_empty() || tail.is_empty() {
            ""
        } else {
            "  "
        };
        let last = if self.waits {
            "{tail:.yellow}"
        } else {
            "{tail}"
        };
        let key = |text: String| {
            move |_: &ProgressState, to: &mut dyn fmt::Write| {
                let _ = to.write_str(&text);
            }
        };
        ProgressStyle::with_template(&format!("{{head}}{bar}{gap}{last}"))
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .progress_chars("=> ")
            .with_key("head", key(head))
            .with_key("tail", key(tail))
    }
}

fn joined<'a>(parts: impl IntoIterator<Item = &'a (u8, String)>) -> String {
    let parts = parts.into_iter().map(|(_, part)| part.as_str());
    parts.collect::<Vec<_>>().join("  ")
}

/// How much of the whole is done, and when it will be.
fn goal(scene: &Scene, total: u64, mb_per_s: f64) -> String {
    let percent = percent(scene, total);
    let left = total.saturating_sub(scene.bytes) as f64 / 1e6;
    match left / mb_per_s {
        // While it waits, nobody knows.
        _ if scene.bytes >= total || scene.waiting_for.is_some() => percent,
        seconds if seconds < 360_000.0 => {
            format!("{percent} ETA {}", clock(Duration::from_secs_f64(seconds)))
        }
        _ => format!("{percent} ETA -:--"),
    }
}

fn percent(scene: &Scene, total: u64) -> String {
    let percent = u128::from(scene.bytes.min(total)) * 100 / u128::from(total.max(1));
    format!("{percent:>3}%")
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

#[cfg(test)]
mod tests {
    use super::*;

    fn scene(waiting_for: Option<&'static str>) -> Scene {
        Scene {
            bytes: 5 << 28,
            diff: Some(3),
            elapsed: Duration::from_secs(12),
            waiting_for: waiting_for.map(Cow::from),
            ..Scene::default()
        }
    }

    fn line(scene: &Scene, total: Option<u64>) -> Line {
        let goal = total.map(|total| goal(scene, total, 9120.0));
        Line::new(scene, clock(scene.elapsed), goal, 9120.0)
    }

    #[test]
    fn parts_that_do_not_fit_are_left_out_the_least_telling_first() {
        let fit = |waiting, room| line(&scene(waiting), None).fit(room, true).text();
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
            line(&array, None).fit(200, true).text(),
            "1.25 GiB  9120 MB/s  0:12"
        );
    }

    #[test]
    fn drops_and_the_input_are_shown_where_there_are_some() {
        let scene = Scene {
            dropped: 7,
            input: "2/3 b\u{e9}.iso".into(),
            ..scene(None)
        };
        let fit = |room| line(&scene, None).fit(room, true).text();
        assert_eq!(
            fit(200),
            "1.25 GiB  9120 MB/s  diff 3  7 dropped  0:12  2/3 b?.iso"
        );
        assert_eq!(fit(39), "1.25 GiB  9120 MB/s  diff 3  7 dropped");
        assert_eq!(fit(35), "1.25 GiB  9120 MB/s  7 dropped");
        assert_eq!(fit(25), "1.25 GiB  7 dropped");
    }

    #[test]
    fn a_bar_fills_what_is_left_of_the_line_but_no_more_than_an_eye_can_judge() {
        let fit = |waiting, room, with_bar| {
            let line = line(&scene(waiting), Some(5 << 29)).fit(room, with_bar);
            assert!(line.width() + line.bar <= room, "{room}");
            (line.text(), line.bar)
        };
        let wide = "1.25 GiB  9120 MB/s  diff 3  0:12   50% ETA 0:00";
        assert_eq!(fit(None, 199, true), (wide.into(), 40));
        assert_eq!(fit(None, 79, true), (wide.into(), 79 - wide.len() - 4));
        assert_eq!(fit(None, 199, false), (wide.into(), 0));
        let narrow = "1.25 GiB  9120 MB/s   50% ETA 0:00";
        assert_eq!(fit(None, 39, true), (narrow.into(), 0));
        let waiting = "1.25 GiB   50%  waiting for a reader";
        assert_eq!(
            fit(Some("waiting for a reader"), 39, true),
            (waiting.into(), 0)
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
        assert_eq!(goal(250_000, Some("ring full"), 0.05), " 25%");
        assert_eq!(goal(1_000_000, None, 1.0), "100%");
    }

    #[test]
    fn a_clock_shows_hours_only_when_there_are_some() {
        assert_eq!(clock(Duration::from_secs(12)), "0:12");
        assert_eq!(clock(Duration::from_secs(3723)), "1:02:03");
    }
}
