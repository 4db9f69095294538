//! What a user chooses of a ring: node count, node size, delivery, waiting.
//!
//! A geometry is checked where it is made from outside data: typed by a user
//! ([`Geometry::new`]) or read from a header ([`Geometry::from_header`]).

use super::layout::{Layout, MAX_NODE_SIZE, MAX_NODES, MIN_NODES};
use super::protocol::Reuse;
use crate::segment::{self, layout::DEFAULT_PARTICIPANTS, structure_offset};
use crate::sync::wait::WaitStrategy;

/// Who gets a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// Exactly one reader.
    Queue,
    /// Every reader.
    Broadcast,
}

impl Delivery {
    /// Both, by their number in a header.
    pub const ALL: [Delivery; 2] = [Delivery::Queue, Delivery::Broadcast];

    /// The name users type.
    pub fn as_str(self) -> &'static str {
        match self {
            Delivery::Queue => "queue",
            Delivery::Broadcast => "broadcast",
        }
    }
}

impl std::fmt::Display for Delivery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

impl std::str::FromStr for Delivery {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        let found = Self::ALL
            .into_iter()
            .find(|delivery| delivery.as_str() == s);
        found.ok_or_else(|| format!("unknown delivery '{s}'; one of queue, broadcast"))
    }
}

/// A ring's geometry. The default is that of `shm create ring`: 20 nodes of
/// 64 KiB, a queue, futexes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// Nodes, 2 to 1,048,576.
    pub nodes: u32,
    /// Payload bytes of a node, 1 to 2^30.
    pub node_size: u64,
    /// Who gets a node.
    pub delivery: Delivery,
    /// How its users wait.
    pub wait: WaitStrategy,
}

impl Default for Geometry {
    fn default() -> Self {
        Geometry {
            nodes: 20,
            node_size: 64 << 10,
            delivery: Delivery::Queue,
            wait: WaitStrategy::Futex,
        }
    }
}

/// Why there can be no such ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GeometryError {
    /// The node count is out of range.
    #[error("{0} nodes: a ring has 2 to 1,048,576")]
    Nodes(u64),
    /// The node size is out of range.
    #[error("nodes of {0} bytes: a node has 1 byte to 1 GiB")]
    NodeSize(u64),
    /// The whole would be larger than any address space.
    #[error("{nodes} nodes of {node_size} bytes: too large for any memory")]
    TooLarge {
        /// As asked.
        nodes: u64,
        /// As asked, bytes.
        node_size: u64,
    },
    /// One event for many readers.
    #[error("a broadcast ring cannot wait by events: they wake one reader only")]
    BroadcastByEvents,
}

impl Geometry {
    /// A checked geometry.
    ///
    /// # Errors
    ///
    /// Says which number is out of range.
    pub fn new(
        nodes: u64,
        node_size: u64,
        delivery: Delivery,
        wait: WaitStrategy,
    ) -> Result<Geometry, GeometryError> {
        let geometry = Geometry {
            nodes: nodes.min(u64::from(u32::MAX)) as u32,
            node_size,
            delivery,
            wait,
        };
        if !(MIN_NODES..=MAX_NODES).contains(&nodes) {
            return Err(GeometryError::Nodes(nodes));
        }
        geometry.check()?;
        Ok(geometry)
    }

    /// Checks the ranges: the fields are public.
    pub(super) fn check(&self) -> Result<Layout, GeometryError> {
        let nodes = u64::from(self.nodes);
        if !(MIN_NODES..=MAX_NODES).contains(&nodes) {
            return Err(GeometryError::Nodes(nodes));
        }
        if !(1..=MAX_NODE_SIZE).contains(&self.node_size) {
            return Err(GeometryError::NodeSize(self.node_size));
        }
        if self.delivery == Delivery::Broadcast && self.wait == WaitStrategy::Event {
            return Err(GeometryError::BroadcastByEvents);
        }
        self.layout(DEFAULT_PARTICIPANTS)
            .filter(|layout| isize::try_from(layout.total).is_ok())
            .ok_or(GeometryError::TooLarge {
                nodes,
                node_size: self.node_size,
            })
    }

    fn layout(&self, participants: u32) -> Option<Layout> {
        Layout::new(
            structure_offset(participants),
            u64::from(self.nodes),
            self.node_size,
        )
    }

    /// The geometry a validated header describes. All its offsets are
    /// computed anew and compared.
    ///
    /// # Errors
    ///
    /// Says what in the header is wrong.
    pub fn from_header(header: &segment::Header) -> Result<Geometry, String> {
        let [nodes, node_size, delivery, wait, ..] = header.geometry;
        let delivery = usize::try_from(delivery)
            .ok()
            .and_then(|delivery| Delivery::ALL.get(delivery))
            .ok_or_else(|| format!("unknown delivery {delivery}"))?;
        let wait = usize::try_from(wait)
            .ok()
            .and_then(|wait| WaitStrategy::ALL.get(wait))
            .ok_or_else(|| format!("unknown wait strategy {wait}"))?;
        let geometry =
            Geometry::new(nodes, node_size, *delivery, *wait).map_err(|e| e.to_string())?;
        let layout = geometry.layout_in(header)?;
        if header.payload_offset != layout.payload {
            return Err(format!(
                "payload at {}, not {}",
                header.payload_offset, layout.payload
            ));
        }
        if header.total_size != layout.total {
            return Err(format!(
                "{} bytes long, not {}",
                header.total_size, layout.total
            ));
        }
        Ok(geometry)
    }

    /// Where everything lies in a segment with that header.
    pub(super) fn layout_in(&self, header: &segment::Header) -> Result<Layout, String> {
        let layout = self.layout(header.participants);
        layout.ok_or_else(|| "its parts overflow".to_owned())
    }

    /// The words that describe it in a header.
    pub(super) fn words(&self) -> [u64; 8] {
        let wait = WaitStrategy::ALL
            .iter()
            .position(|w| *w == self.wait)
            .unwrap_or(0) as u64;
        let delivery = self.delivery as u64;
        [
            self.nodes.into(),
            self.node_size,
            delivery,
            wait,
            0,
            0,
            0,
            0,
        ]
    }

    /// Bytes of the whole segment; 0 if the geometry is out of range.
    pub fn total_size(&self) -> u64 {
        self.check().map_or(0, |layout| layout.total)
    }

    pub(super) fn reuse(&self) -> Reuse {
        Reuse::for_ring(self.nodes.into(), self.node_size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(nodes: u64, size: u64) -> Result<Geometry, GeometryError> {
        Geometry::new(nodes, size, Delivery::Queue, WaitStrategy::Futex)
    }

    #[test]
    fn numbers_out_of_range_are_named() {
        assert_eq!(new(1, 1), Err(GeometryError::Nodes(1)));
        assert_eq!(new(1 << 33, 1), Err(GeometryError::Nodes(1 << 33)));
        assert_eq!(new(2, 0), Err(GeometryError::NodeSize(0)));
        assert_eq!(
            new(2, (1 << 30) + 1),
            Err(GeometryError::NodeSize((1 << 30) + 1))
        );
        assert!(new(2, 1).is_ok());
        assert_eq!(
            Geometry::new(2, 1, Delivery::Broadcast, WaitStrategy::Event),
            Err(GeometryError::BroadcastByEvents)
        );
        assert!(
            new(1 << 20, 1 << 30).is_ok(),
            "a petabyte is absurd, but not out of range"
        );
    }
}
