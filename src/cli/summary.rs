//! The summary of a transfer, for scripts as JSON and for people as a line.
//!
//! Both say the same. Field names are a promise to scripts; seconds are
//! numbers with a fraction, sizes are bytes, and `mb_per_s` is payload bytes
//! / 1,000,000 / s, each byte counted once.

use serde::Serialize;
use shmkit::segment::Size;

/// Which end of the segment a transfer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// `shm write`.
    Writer,
    /// `shm read`.
    Reader,
}

/// What one transfer has done, at its end or (`final` false) so far.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// The segment.
    pub name: String,
    /// Which end of it.
    pub role: Role,
    /// Payload bytes published, stored or read; a writer's with those that it
    /// dropped.
    pub bytes: u64,
    /// Nodes published or read: 0 where there are none; likewise.
    pub nodes: u64,
    /// Elements stored or read, of an array.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub elements: Option<u64>,
    /// Since the transfer attached.
    pub seconds: f64,
    /// `bytes` / 1,000,000 / `seconds`.
    pub mb_per_s: f64,
    /// Nodes committed and not yet read, now.
    pub diff_nodes: u64,
    /// The bytes in them.
    pub diff_bytes: u64,
    /// The largest `diff_nodes` seen.
    pub diff_max: u64,
    /// Times it had to wait for the ring, or for the lock.
    pub waits: u64,
    /// How long altogether.
    pub wait_seconds: f64,
    /// Nodes dropped because the ring was full, of whichever writer.
    pub dropped_nodes: u64,
    /// The bytes in them.
    pub dropped_bytes: u64,
    /// Nodes read that another reader had before, and gave back or died in.
    pub redelivered_nodes: u64,
    /// Nodes that were gone when this reader of a broadcast ring came to them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missed_nodes: Option<u64>,
    /// BLAKE3 of the bytes that went through, with `--hash`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
    /// No writer died, and nothing failed.
    pub clean: bool,
    /// Whether this is the end, or an interval's report.
    #[serde(rename = "final")]
    pub is_final: bool,
    /// Whether there are nodes to speak of.
    #[serde(skip)]
    pub ring: bool,
}

impl Summary {
    /// One line for people.
    pub fn line(&self) -> String {
        let did = match self.role {
            Role::Writer => "written",
            Role::Reader => "read",
        };
        let mut line = format!("{did} {:.2}", Size(self.bytes));
        if self.ring {
            line += &format!(" in {}", counted(self.nodes, "node"));
        }
        if let Some(elements) = self.elements {
            line += &format!(" in {}", counted(elements, "element"));
        }
        line += &format!(", {} MB/s", rate(self.mb_per_s));
        if self.ring {
            line += &format!(", diff {} (max {})", self.diff_nodes, self.diff_max);
        }
        line += &format!(", waits {} ({:.2} s)", self.waits, self.wait_seconds);
        if self.dropped_nodes > 0 {
            let (count, bytes) = (self.dropped_nodes, Size(self.dropped_bytes));
            line += &format!(", {count} dropped ({bytes:.2})");
        }
        if self.redelivered_nodes > 0 {
            line += &format!(", {} redelivered", self.redelivered_nodes);
        }
        if let Some(missed @ 1..) = self.missed_nodes {
            line += &format!(", {missed} missed");
        }
        if !self.clean {
            line += ", not complete";
        }
        line
    }

    /// One line of JSON for scripts.
    pub fn json(&self) -> String {
        // Numbers and strings only: serialising them cannot fail, and a
        // summary is no reason to.
        serde_json::to_string(self).unwrap_or_default()
    }
}

fn counted(count: u64, what: &str) -> String {
    let s = if count == 1 { "" } else { "s" };
    format!("{count} {what}{s}")
}

/// Three significant digits are enough for people.
pub fn rate(mb_per_s: f64) -> String {
    match mb_per_s {
        ..10.0 => format!("{mb_per_s:.2}"),
        ..100.0 => format!("{mb_per_s:.1}"),
        _ => format!("{mb_per_s:.0}"),
    }
}

/// Payload bytes / 1,000,000 / s.
pub fn mb_per_s(bytes: u64, seconds: f64) -> f64 {
    match seconds > 0.0 {
        true => bytes as f64 / 1e6 / seconds,
        false => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary() -> Summary {
        Summary {
            name: "r".into(),
            role: Role::Writer,
            bytes: 1 << 30,
            nodes: 1024,
            elements: None,
            seconds: 0.25,
            mb_per_s: 9120.4,
            diff_nodes: 0,
            diff_bytes: 0,
            diff_max: 20,
            waits: 12,
            wait_seconds: 0.03,
            dropped_nodes: 0,
            dropped_bytes: 0,
            redelivered_nodes: 0,
            missed_nodes: None,
            hash: None,
            clean: true,
            is_final: true,
            ring: true,
        }
    }

    fn of_an_array() -> Summary {
        Summary {
            bytes: 8000,
            nodes: 0,
            elements: Some(1000),
            diff_max: 0,
            ring: false,
            ..summary()
        }
    }

    #[test]
    fn a_line_for_people() {
        assert_eq!(
            summary().line(),
            "written 1.00 GiB in 1024 nodes, 9120 MB/s, diff 0 (max 20), waits 12 (0.03 s)"
        );
        let odd = Summary {
            role: Role::Reader,
            nodes: 1,
            bytes: 5,
            mb_per_s: 0.5,
            redelivered_nodes: 2,
            clean: false,
            ..summary()
        };
        assert_eq!(
            odd.line(),
            "read 5 B in 1 node, 0.50 MB/s, diff 0 (max 20), waits 12 (0.03 s), 2 redelivered, not complete"
        );
        assert_eq!(
            of_an_array().line(),
            "written 7.81 KiB in 1000 elements, 9120 MB/s, waits 12 (0.03 s)"
        );
        let dropping = Summary {
            dropped_nodes: 900,
            dropped_bytes: 900 << 20,
            ..summary()
        };
        assert_eq!(
            dropping.line(),
            "written 1.00 GiB in 1024 nodes, 9120 MB/s, diff 0 (max 20), waits 12 (0.03 s), 900 dropped (900.00 MiB)"
        );
        let overtaken = Summary {
            role: Role::Reader,
            missed_nodes: Some(37),
            ..summary()
        };
        assert!(overtaken.line().ends_with("(0.03 s), 37 missed"));
        let buffer = Summary {
            elements: None,
            ..of_an_array()
        };
        assert_eq!(
            buffer.line(),
            "written 7.81 KiB, 9120 MB/s, waits 12 (0.03 s)"
        );
    }

    #[test]
    fn an_object_for_scripts_with_the_promised_fields_in_order() {
        assert_eq!(
            summary().json(),
            concat!(
                r#"{"name":"r","role":"writer","bytes":1073741824,"nodes":1024,"seconds":0.25,"#,
                r#""mb_per_s":9120.4,"diff_nodes":0,"diff_bytes":0,"diff_max":20,"waits":12,"#,
                r#""wait_seconds":0.03,"dropped_nodes":0,"dropped_bytes":0,"redelivered_nodes":0,"clean":true,"final":true}"#
            )
        );
        assert!(
            of_an_array()
                .json()
                .contains(r#""nodes":0,"elements":1000,"seconds""#)
        );
        let of_a_broadcast = Summary {
            missed_nodes: Some(0),
            ..summary()
        };
        let json = of_a_broadcast.json();
        assert!(json.contains(r#""redelivered_nodes":0,"missed_nodes":0,"clean""#));
        let hashed = Summary {
            hash: Some("ab".into()),
            is_final: false,
            ..summary()
        };
        assert!(
            hashed
                .json()
                .ends_with(r#""hash":"ab","clean":true,"final":false}"#)
        );
    }

    #[test]
    fn a_transfer_that_took_no_time_has_no_rate() {
        assert_eq!(mb_per_s(1, 0.0), 0.0);
        assert_eq!(mb_per_s(2_000_000, 2.0), 1.0);
    }
}
