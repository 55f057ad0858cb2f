//! Which buffer is free when: values that lie in one buffer, and when each is read for the last time.

use std::collections::HashMap;

use super::program::BufferId;
use crate::ir::{Graph, NodeId, Op, Value};

/// Liveness of a graph's values, and the activation buffers that are free.
pub(super) struct Memory {
    /// The node that reads each value for the last time; a result of the graph is read at the end.
    last_read: HashMap<Value, u32>,
    /// Views of a value: the value whose memory they look at, first column and width where known.
    looks_at: HashMap<Value, (Value, std::ops::Range<u32>)>,
    /// The buffer of each value that has one of its own.
    buffers: HashMap<Value, BufferId>,
    free: Vec<(u32, BufferId)>,
    lengths: HashMap<BufferId, u32>,
}

impl Memory {
    pub(super) fn new(graph: &Graph) -> Self {
        let mut last_read = HashMap::new();
        let mut looks_at: HashMap<Value, (Value, std::ops::Range<u32>)> = HashMap::new();
        for (i, node) in graph.nodes.iter().enumerate() {
            let view = matches!(node.op, Op::Slice { .. } | Op::Reshape(_));
            for input in &node.inputs {
                // A view reads nothing by itself; that it may turn out to need a copy is rare, and only keeps memory longer.
                if !view {
                    last_read.insert(*input, i as u32);
                }
            }
            if view {
                let value = NodeId(i as u32).value();
                let (root, range) = looks_at
                    .get(&node.inputs[0])
                    .cloned()
                    .unwrap_or_else(|| (node.inputs[0], 0..graph.fact(node.inputs[0]).width().unwrap_or(u32::MAX)));
                let range = match node.op {
                    Op::Slice { axis, start, len } if axis + 1 == node.facts[0].shape.len() => {
                        range.start.saturating_add(start)..range.start.saturating_add(start).saturating_add(len)
                    }
                    // Another shape: all of it.
                    _ => 0..u32::MAX,
                };
                looks_at.insert(value, (root, range));
                last_read.entry(value).or_insert(i as u32);
            }
        }
        for (_, value) in &graph.outputs {
            last_read.insert(*value, u32::MAX);
        }
        Self { last_read, looks_at, buffers: HashMap::new(), free: Vec::new(), lengths: HashMap::new() }
    }

    fn root(&self, value: Value) -> (Value, std::ops::Range<u32>) {
        self.looks_at.get(&value).cloned().unwrap_or((value, 0..u32::MAX))
    }

    /// Whether nothing after `node` reads the memory that a value lies in.
    pub(super) fn is_last_read(&self, value: Value, node: NodeId) -> bool {
        let (root, range) = self.root(value);
        let overlaps = |other: &std::ops::Range<u32>| other.start < range.end && range.start < other.end;
        let read_later = |v: &Value| self.last_read.get(v).is_some_and(|at| *at > node.0);
        let through_views = self.looks_at.iter().any(|(v, (r, range))| *r == root && overlaps(range) && read_later(v));
        !read_later(&root) && !through_views
    }

    /// A value that was written over another one.
    pub(super) fn alias(&mut self, value: Value, over: Value) {
        let at = self.root(over);
        // Views of the new value look at the same memory.
        for (root, _) in self.looks_at.values_mut() {
            if *root == value {
                *root = at.0;
            }
        }
        self.looks_at.insert(value, at);
    }

    /// A value with a buffer of its own.
    pub(super) fn own(&mut self, value: Value, buffer: BufferId) {
        self.buffers.insert(value, buffer);
    }

    /// A new buffer of this length.
    pub(super) fn made(&mut self, buffer: BufferId, len: u32) {
        self.lengths.insert(buffer, len);
    }

    /// The smallest free buffer that holds `len` words without being more than twice as long.
    pub(super) fn take(&mut self, len: u32) -> Option<BufferId> {
        let fits = |(n, _): &&(u32, BufferId)| *n >= len && u64::from(*n) <= 2 * u64::from(len);
        let best = *self.free.iter().filter(fits).min()?;
        self.free.retain(|f| *f != best);
        Some(best.1)
    }

    /// A buffer is free again.
    pub(super) fn give_back(&mut self, buffer: BufferId) {
        if let Some(len) = self.lengths.get(&buffer) {
            self.free.push((*len, buffer));
        }
    }

    /// Frees the buffers of values that node `id` read, or made, for the last time.
    pub(super) fn release(&mut self, id: NodeId) {
        let dead: Vec<Value> = self
            .buffers
            .keys()
            .copied()
            .filter(|root| {
                let over = |v: &Value| self.last_read.get(v).is_none_or(|at| *at <= id.0);
                root.node.0 <= id.0 && over(root) && self.looks_at.iter().all(|(v, (r, _))| r != root || over(v))
            })
            .collect();
        for value in dead {
            if let Some(buffer) = self.buffers.remove(&value) {
                self.give_back(buffer);
            }
        }
    }
}
