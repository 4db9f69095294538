//! The nodes of a ring, a sign for each, or for some of them.
//!
//! With a node to a cell, a sign says what the node is: `·` free, `#` ready, `o`
//! orphan, and the letter of its holder, capital for the writer that fills it,
//! small for the reader that empties it. With more, a shade says how much of the
//! cell is committed and not yet read, and the colour what goes on in it.

use super::{Page, Tint};
use shmkit::inspect::{Cell, States, Survey};

/// Columns that stay free at both sides.
const MARGIN: u16 = 1;

/// Rows that a map may have on a screen of that height.
fn rows(height: u16) -> u16 {
    (height / 8).max(1)
}

/// Columns that a map has on a screen of that width.
fn columns(width: u16) -> u16 {
    width.saturating_sub(2 * MARGIN).max(1)
}

/// How many nodes a cell must stand for, for the map to fit into a screen of that
/// size: 1, 2, 5, 10, 20, 50, ...
pub fn nodes_per_cell(nodes: u32, width: u16, height: u16) -> u32 {
    let room = u32::from(rows(height)) * u32::from(columns(width));
    round_up(nodes.div_ceil(room))
}

/// The least of 1, 2, 5, 10, ... that is not below `number`.
pub fn round_up(number: u32) -> u32 {
    let mut power = 1u32;
    loop {
        for step in [1, 2, 5] {
            match power.checked_mul(step) {
                Some(round) if round >= number => return round,
                None => return number,
                _ => {}
            }
        }
        power = power.saturating_mul(10);
    }
}

/// Draws the map. `mark` is the letter of a participant's entry.
pub fn draw(page: &mut Page<'_>, survey: &Survey, height: u16, mark: impl Fn(u32) -> Option<char>) {
    let columns = columns(page.width());
    let most = usize::from(rows(height)) * usize::from(columns);
    // After the terminal has become smaller, until the next look.
    let together = survey.cells.len().div_ceil(most).max(1);
    let single = survey.nodes_per_cell == 1 && together == 1;
    // A gap between nodes, if they all fit into one row with it.
    let step = if single && 2 * survey.cells.len() <= usize::from(columns) + 1 {
        2
    } else {
        1
    };
    let per_row = usize::from(columns) / step;
    let cells: Vec<Cell> = survey.cells.chunks(together).map(sum).collect();
    for line in cells.chunks(per_row.max(1)) {
        for (i, cell) in line.iter().enumerate() {
            let (sign, tint) = match single {
                true => of_node(cell, &mark),
                false => of_cell(cell),
            };
            let x = MARGIN + (i * step) as u16;
            page.put(x, sign.encode_utf8(&mut [0; 4]), tint);
        }
        page.y += 1;
    }
}

/// What a cell stands for, in words.
pub fn scale(survey: &Survey, width: u16, height: u16) -> String {
    let most = usize::from(rows(height)) * usize::from(columns(width));
    let together = survey.cells.len().div_ceil(most).max(1) as u32;
    let looked_at = survey.looked_at_per_cell() * together;
    match survey.nodes_per_cell.saturating_mul(together) {
        1 => "a sign for each node".to_owned(),
        nodes if nodes > looked_at => {
            format!("a sign for {nodes} nodes, {looked_at} of them looked at")
        }
        nodes => format!("a sign for {nodes} nodes"),
    }
}

fn sum(cells: &[Cell]) -> Cell {
    cells.iter().fold(Cell::default(), |sum, cell| Cell {
        states: States {
            free: sum.states.free + cell.states.free,
            writing: sum.states.writing + cell.states.writing,
            ready: sum.states.ready + cell.states.ready,
            reading: sum.states.reading + cell.states.reading,
            orphan: sum.states.orphan + cell.states.orphan,
        },
        damaged: sum.damaged + cell.damaged,
        holder: sum.holder.or(cell.holder),
    })
}

/// The sign of one node.
fn of_node(cell: &Cell, mark: impl Fn(u32) -> Option<char>) -> (char, Tint) {
    let holder = || cell.holder.and_then(mark);
    let states = &cell.states;
    if states.free > 0 {
        ('·', Tint::Dim)
    } else if states.ready > 0 {
        ('#', Tint::Ready)
    } else if states.writing > 0 {
        (holder().unwrap_or('W'), Tint::Writer)
    } else if states.reading > 0 {
        (holder().unwrap_or('r'), Tint::Reader)
    } else if states.orphan > 0 {
        ('o', Tint::Wrong)
    } else {
        ('?', Tint::Wrong)
    }
}

/// The sign of several nodes.
fn of_cell(cell: &Cell) -> (char, Tint) {
    let states = &cell.states;
    let committed = u64::from(states.ready + states.reading + states.orphan);
    let seen = u64::from(cell.seen().max(1));
    let sign = match committed * 3 {
        0 => '·',
        thirds if thirds <= seen => '░',
        thirds if thirds <= 2 * seen => '▒',
        thirds if thirds < 3 * seen => '▓',
        _ => '█',
    };
    if cell.damaged > 0 {
        ('?', Tint::Wrong)
    } else if states.orphan > 0 {
        (sign, Tint::Wrong)
    } else if states.reading > 0 {
        (sign, Tint::Reader)
    } else if states.writing > 0 {
        // A node that is being filled is not nothing.
        (if sign == '·' { ':' } else { sign }, Tint::Writer)
    } else if committed > 0 {
        (sign, Tint::Ready)
    } else {
        (sign, Tint::Dim)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_stands_for_a_round_number_of_nodes_and_all_of_them_fit() {
        for nodes in [1, 2, 20, 77, 78, 79, 4096, 65_536, 1 << 20] {
            for (width, height) in [(40, 10), (80, 24), (120, 40), (1, 1), (3, 2)] {
                let each = nodes_per_cell(nodes, width, height);
                let room = u32::from(rows(height) * columns(width));
                assert!(nodes.div_ceil(each) <= room, "{nodes} {width}x{height}");
                let digits = each.to_string();
                assert!(["1", "2", "5"].contains(&digits.trim_end_matches('0')));
            }
        }
        assert_eq!(
            [0, 1, 2, 3, 6, 11, 1808, 4_000_000_000].map(round_up),
            [1, 1, 2, 5, 10, 20, 2000, 4_000_000_000]
        );
    }
}
