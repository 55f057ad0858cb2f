//! What a program costs, and what it looks like: for plans, benchmarks and people.

use std::fmt;

use super::program::{BufferKind, Operand, Program, Step, Want};
use crate::ir::{Fused, Op};

/// Bytes a program makes a device hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Memory {
    /// Weights.
    pub weights: u64,
    /// What sequences remember: keys and values, and what recurrences carry.
    pub states: u64,
    /// Activations, constants, tables, the step's inputs.
    pub scratch: u64,
}

impl Program {
    /// Bytes of the buffers by use; weights as in the file's encoding.
    pub fn memory(&self) -> Memory {
        let mut m = Memory::default();
        for buffer in &self.buffers {
            let bytes = buffer.kind.words() * 4;
            match buffer.kind {
                BufferKind::Weight { .. } | BufferKind::Vector { .. } => m.weights += bytes,
                BufferKind::State { .. } | BufferKind::Carried { .. } => m.states += bytes,
                _ => m.scratch += bytes,
            }
        }
        m
    }

    /// Weight and state bytes that one decoded token reads when `position` tokens came before; an embedding row, not its table.
    pub fn bytes_per_token(&self, position: u32) -> u64 {
        let buffer_bytes = |id| self.buffer(id).kind.words() * 4;
        let read = |operand: &Operand| match operand {
            Operand::Matrix { parts, .. } => parts.iter().map(|p| buffer_bytes(p.buffer)).sum(),
            Operand::State(id) => match self.buffer(*id).kind {
                BufferKind::State { cache, width, rows, .. } => {
                    let seen = u64::from(position + 1).min(u64::from(rows / self.layout.sequences.max(1)));
                    seen * u64::from(cache.row_words(width)) * 4
                }
                BufferKind::Carried { width, .. } => u64::from(width) * 4,
                _ => 0,
            },
            Operand::View(view) if matches!(self.buffer(view.buffer).kind, BufferKind::Vector { .. }) => {
                buffer_bytes(view.buffer)
            }
            _ => 0,
        };
        let reads = self.plan(Want::Choice).filter(|s| !matches!(s.op, Op::Embed));
        reads.flat_map(|s| &s.inputs).map(read).sum()
    }

    fn operand(&self, operand: &Operand) -> String {
        match operand {
            Operand::View(v) => {
                let name = &self.buffer(v.buffer).name;
                let width = v.fact.width().unwrap_or(1);
                if v.offset == 0 && v.stride == width {
                    name.to_string()
                } else {
                    format!("{name}[{}..{}]", v.offset, v.offset + width)
                }
            }
            Operand::Matrix { encoding, rows, row_len, parts } => {
                let first = parts.first().map_or("?", |p| &self.buffer(p.buffer).name);
                let split = if parts.len() > 1 { format!(" in {} parts", parts.len()) } else { String::new() };
                format!("{first} {encoding} {rows} x {row_len}{split}")
            }
            Operand::State(id) => self.buffer(*id).name.to_string(),
            Operand::Input(input) => format!("{input:?}").to_lowercase(),
        }
    }
}

/// A short name of an operation, with the numbers that change its work.
fn name(step: &Step) -> String {
    match &step.op {
        Op::Fused(Fused::Chain(links)) => format!("chain of {}", links.len()),
        Op::Fused(Fused::LinearAdd) => "linear +=".to_owned(),
        Op::Fused(Fused::GatedLinear(f)) => format!("gated linear ({f:?})"),
        Op::Fused(Fused::RopeWrite { .. }) => "rope and write".to_owned(),
        Op::Attention(a) => {
            let window = a.window.map_or(String::new(), |w| format!(", window {w}"));
            format!("attention ({} heads on {}{window})", a.heads, a.kv_heads)
        }
        Op::RmsNorm { group, .. } => format!("rms norm of {group}"),
        Op::LayerNorm { .. } => "layer norm".to_owned(),
        Op::StateWrite(_) => "write".to_owned(),
        Op::Recur(recur) => format!("{:?}", recur.rule).to_lowercase(),
        Op::Rope(_) => "rope".to_owned(),
        Op::Slice { .. } => "copy".to_owned(),
        Op::Unary(f) => format!("{f:?}").to_lowercase(),
        Op::Binary(f) => format!("{f:?}").to_lowercase(),
        other => {
            let text = format!("{other:?}");
            text.split([' ', '(', '{']).next().unwrap_or_default().to_lowercase()
        }
    }
}

impl fmt::Display for Program {
    /// The plans as text, one step a line: `operation: inputs -> outputs`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let m = self.memory();
        let l = self.layout;
        writeln!(f, "context {}, rows {}, outputs {}, sequences {}", self.context, l.rows, l.outputs, l.sequences)?;
        writeln!(f, "bytes: weights {}, states {}, scratch {}", m.weights, m.states, m.scratch)?;
        for (title, want) in [("states", Want::States), ("results", Want::Results), ("choice", Want::Choice)] {
            let count = self.plan(want).count();
            if count == 0 {
                continue;
            }
            writeln!(f, "\n{title}: {count} steps")?;
            for step in self.plan(want) {
                let list =
                    |operands: &[Operand]| operands.iter().map(|o| self.operand(o)).collect::<Vec<_>>().join(", ");
                writeln!(f, "  {}: {} -> {}", name(step), list(&step.inputs), list(&step.outputs))?;
            }
        }
        Ok(())
    }
}
