//! What a person has set: what keys do, as far as it is a matter of the screen.

use super::keys::Key;

/// What a table may be sorted by; `s` goes from one to the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// By entry, or by name.
    #[default]
    Order,
    /// The fastest first.
    Rate,
    /// The largest diff first.
    Diff,
    /// The most waits first; of a list, the largest segment.
    Other,
}

impl Sort {
    fn next(self) -> Sort {
        match self {
            Sort::Order => Sort::Rate,
            Sort::Rate => Sort::Diff,
            Sort::Diff => Sort::Other,
            Sort::Other => Sort::Order,
        }
    }
}

/// What a key asks of the loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// To draw again.
    Draw,
    /// To draw all of it anew: something else has written on the screen.
    Redraw,
    /// To end.
    Quit,
    /// To end as by Ctrl-C.
    Interrupt,
    /// To stop, as by Ctrl-Z.
    Suspend,
    /// Nothing.
    Nothing,
}

/// How the screen is set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ui {
    /// No looks are taken.
    pub paused: bool,
    /// The help is shown.
    pub help: bool,
    /// What the table is sorted by.
    pub sort: Sort,
    /// Rows of the table that are scrolled out at its top.
    pub scroll: usize,
    /// Rows of the table that a screen holds, as it was last drawn.
    pub page: usize,
}

impl Ui {
    /// Does what a key means.
    pub fn press(&mut self, key: Key) -> Wanted {
        match key {
            Key::Ctrl('c') => return Wanted::Interrupt,
            Key::Ctrl('z') => return Wanted::Suspend,
            Key::Ctrl('l') => return Wanted::Redraw,
            Key::Char('q' | 'Q') => return Wanted::Quit,
            // With the help shown, any other key puts it away.
            _ if self.help => self.help = false,
            Key::Escape => return Wanted::Quit,
            Key::Char('?' | 'h') => self.help = true,
            Key::Char(' ') => self.paused = !self.paused,
            Key::Char('s') => self.sort = self.sort.next(),
            Key::Up | Key::Char('k') => self.scroll = self.scroll.saturating_sub(1),
            Key::Down | Key::Char('j') => self.scroll += 1,
            Key::PageUp => self.scroll = self.scroll.saturating_sub(self.page.max(1)),
            Key::PageDown => self.scroll += self.page.max(1),
            Key::Home => self.scroll = 0,
            Key::End => self.scroll = usize::MAX / 2,
            _ => return Wanted::Nothing,
        }
        Wanted::Draw
    }

    /// Takes note of what was drawn, and stays within it.
    pub fn drawn(&mut self, table: Table) {
        self.page = table.shown;
        self.scroll = self.scroll.min(table.rows.saturating_sub(table.shown));
    }
}

/// How a table was drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// Rows that there are.
    pub rows: usize,
    /// Rows that there is room for.
    pub shown: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_goes_away_by_any_key_and_q_quits_all_the_same() {
        let mut ui = Ui::default();
        assert_eq!(ui.press(Key::Char('?')), Wanted::Draw);
        assert!(ui.help);
        assert_eq!(ui.press(Key::Escape), Wanted::Draw);
        assert!(!ui.help);
        assert_eq!(ui.press(Key::Escape), Wanted::Quit);
        ui.help = true;
        assert_eq!(ui.press(Key::Char('q')), Wanted::Quit);
    }

    #[test]
    fn scrolling_stays_within_the_table() {
        let mut ui = Ui::default();
        let table = Table { rows: 10, shown: 4 };
        ui.drawn(table);
        for (key, scroll) in [
            (Key::Up, 0),
            (Key::Down, 1),
            (Key::PageDown, 5),
            (Key::PageDown, 6),
            (Key::Down, 6),
            (Key::PageUp, 2),
            (Key::End, 6),
            (Key::Home, 0),
        ] {
            ui.press(key);
            ui.drawn(table);
            assert_eq!(ui.scroll, scroll, "{key:?}");
        }
        ui.press(Key::End);
        ui.drawn(Table { rows: 2, shown: 4 });
        assert_eq!(ui.scroll, 0, "a table that has become short is shown whole");
    }

    #[test]
    fn sorting_comes_round() {
        let mut ui = Ui::default();
        for _ in 0..4 {
            ui.press(Key::Char('s'));
        }
        assert_eq!(ui.sort, Sort::Order);
    }
}
