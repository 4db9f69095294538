//! The help, over whatever is on the screen.

use super::{Page, Palette, Tint};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// What keys do, on every screen.
const KEYS: &[&str] = &[
    "q  Esc  Ctrl-C   quit",
    "space            pause, go on",
    "s                sort by the next column",
    "↑ ↓  PgUp PgDn   scroll the table",
    "?                this help; any key closes it",
];

/// What the signs of a ring's screen mean.
pub const RING: &[&str] = &[
    "",
    "·  free          A  a writer fills it",
    "#  ready         b  a reader empties it",
    "o  its reader died or gave it back",
    "░▒▓█  how much of several nodes is unread",
    "",
    "in, out  MB/s written and read",
    "diff     nodes written and not yet read",
    "LAG      how far a reader is behind",
    "HOLDS    nodes that it fills or empties now",
    "WAITS/s  times per second that it slept",
];

/// What the words of an array's or a buffer's screen mean.
pub const LOCK: &[&str] = &[
    "",
    "in, out  MB/s written and read",
    "locks    times per second that it was locked",
    "HOLDS    locks that it has now",
    "WAITS/s  times per second that it slept",
];

/// What the words of the list mean.
pub const LIST: &[&str] = &[
    "",
    "+  has appeared   -  has vanished",
    "!  cannot be used, or is damaged",
    "IN, OUT  MB/s written and read",
    "DIFF     nodes written and not yet read",
];

/// Draws it in the middle of the page.
pub fn draw(buffer: &mut Buffer, palette: Palette, signs: &[&str]) {
    let whole = buffer.area;
    let lines: Vec<&str> = KEYS.iter().chain(signs).copied().collect();
    let longest = lines.iter().map(|line| line.chars().count()).max();
    let width = (longest.unwrap_or(0) as u16 + 4).min(whole.width);
    let height = (lines.len() as u16 + 2).min(whole.height);
    let (x, y) = ((whole.width - width) / 2, (whole.height - height) / 2);
    let area = Rect::new(x, y, width, height);
    let mut inner = Buffer::empty(area);
    let mut page = Page::new(&mut inner, palette);
    let edge = |left, right| {
        format!(
            "{left}{}{right}",
            "─".repeat(usize::from(width.saturating_sub(2)))
        )
    };
    for row in 0..height {
        page.y = y + row;
        if row == 0 {
            page.buffer
                .set_string(x, page.y, edge("╭", "╮"), palette.style(Tint::Strong));
        } else if row == height - 1 {
            page.buffer
                .set_string(x, page.y, edge("╰", "╯"), palette.style(Tint::Strong));
        } else {
            let blank = " ".repeat(usize::from(width.saturating_sub(2)));
            let line = lines.get(usize::from(row - 1)).copied().unwrap_or_default();
            let room = usize::from(width.saturating_sub(4));
            let strong = palette.style(Tint::Strong);
            page.buffer
                .set_string(x, page.y, format!("│{blank}│"), strong);
            let plain = palette.style(Tint::Plain);
            page.buffer.set_stringn(x + 2, page.y, line, room, plain);
        }
    }
    for position in area.positions() {
        buffer[position] = inner[position].clone();
    }
}
