//! Arrays of joblib (`joblib/numpy_pickle.py`): the pickle describes one, and its values stand between two opcodes.
//!
//! ```text
//! ... BUILD of a NumpyArrayWrapper | [n, n bytes of padding, where it names an alignment] | values ...
//! ... BUILD of a NumpyArrayWrapper | a pickle of its own, where the elements are objects ...
//! ```
//! A loader that knows no joblib reads these values as opcodes; that reading is followed too.

use super::{Call, Id, Import, Machine, NESTED_DEEPEST, NESTED_MOST, Node, SECOND_MOST, Status, names_well};
use crate::source::{Stop, Window};

impl Machine {
    /// Does the `BUILD` to come give an array's wrapper its state?
    pub(super) fn wraps_array(&self) -> bool {
        if self.is_plain {
            return false;
        }
        let target = self.stack.len().checked_sub(2).and_then(|at| self.stack.get(at));
        match target.map(|id| self.node(*id)) {
            Some(Node::Call(call)) => self.is_wrapper(call.callable) || self.restores_wrapper(call),
            _ => false,
        }
    }
    fn is_wrapper(&self, class: Id) -> bool {
        self.global(class) == Some(("joblib.numpy_pickle", "NumpyArrayWrapper"))
    }
    /// Protocols 0 and 1 make objects by a function: `copyreg._reconstructor(class, object, None)`.
    fn restores_wrapper(&self, call: &Call) -> bool {
        let by = matches!(self.global(call.callable), Some(("copyreg" | "copy_reg", "_reconstructor")));
        by && self.tuple(call.args).and_then(|args| args.first()).is_some_and(|class| self.is_wrapper(*class))
    }
    /// Passes over the values behind such a `BUILD`; where the next opcode stands. `None` (and broken) where their
    /// length is not understood. Nothing changes before all bytes are there.
    pub(super) fn array_values(&mut self, file: &Window, at: u64) -> Result<Option<u64>, Stop> {
        let [.., target, state] = self.stack[..] else { return Ok(Some(at)) };
        if !self.second_reading(file, at)? {
            return Ok(None);
        }
        let field = |name: &str| match self.node(state) {
            Node::Dict(pairs) => pairs.iter().find(|(k, _)| self.text(*k) == Some(name)).map(|(_, v)| *v),
            _ => None,
        };
        let sizes = field("shape").and_then(|s| self.tuple(s));
        let count = sizes.and_then(|s| {
            s.iter().try_fold(1u64, |n, d| n.checked_mul(self.int(*d).and_then(|d| u64::try_from(d).ok())?))
        });
        let item = field("dtype").and_then(|d| self.item(d));
        let aligned = field("numpy_array_alignment_bytes").is_some_and(|a| self.int(a).is_some());
        let (Some(count), Some(item)) = (count, item) else {
            self.broken(at, "the values of an array of joblib follow, of a type or shape that is not understood");
            return Ok(None);
        };
        let Item::Bytes(width) = item else { return self.array_of_objects(file, at) };
        let mut start = at;
        if aligned {
            let padding = if at < self.end { file.bytes(at..at + 1)?.first().copied().unwrap_or(0) } else { 0 };
            start = at + 1 + u64::from(padding);
        }
        let Some(end) = count.checked_mul(width).and_then(|n| start.checked_add(n)).filter(|end| *end <= self.end)
        else {
            let left = self.end.saturating_sub(start);
            self.broken(at, format!("an array of {count} elements of {width} bytes announced, {left} bytes left"));
            return Ok(None);
        };
        let values = self.add(Node::Bytes(Some(start..end), None));
        if let Some(Node::Call(call)) = self.nodes.get_mut(target as usize) {
            call.items.push(values);
        }
        Ok(Some(end))
    }
    /// `pickle.load` knows nothing of joblib: it would take an array's values for opcodes. What they would import is kept
    /// as a pickle within this one. The walk from opcode to opcode does not depend on the stack, so a fresh machine tells
    /// whether there is any import; only then the stack and memo as they are here are tried.
    fn second_reading(&mut self, file: &Window, at: u64) -> Result<bool, Stop> {
        let mut fresh = Self { is_plain: true, ..Self::new(at, self.end) };
        while fresh.status == Status::Running && fresh.imports.is_empty() && fresh.extensions.is_empty() {
            if self.second + fresh.opcodes > SECOND_MOST {
                self.broken(at, format!("more than {SECOND_MOST} opcodes in the values of arrays; the limit"));
                return Ok(false);
            }
            fresh.step(file)?;
        }
        if fresh.imports.is_empty() && fresh.extensions.is_empty() {
            self.second += fresh.opcodes;
            return Ok(true);
        }
        let mut other = self.clone();
        (other.at, other.is_plain) = (at, true);
        // The wrapper's BUILD itself.
        other.stack.pop();
        while other.status == Status::Running && other.opcodes < self.opcodes + SECOND_MOST {
            let known = other.imports.len();
            other.step(file)?;
            // Python stops at a name that is an object: what such bytes would do after it does not come to pass.
            if other.imports.get(known).is_some_and(|i| other.named_by_object(i)) {
                other.imports.truncate(known);
                break;
            }
        }
        other.start = at;
        other.nested.clear();
        other.trouble = None;
        other.imports.retain(|i| i.at >= at);
        let told = other.imports.iter().any(|i| names_well(&other, i));
        other.calls.retain(|c| c.at >= at);
        other.extensions.retain(|(place, _)| *place >= at);
        self.second += fresh.opcodes;
        if !told {
            return Ok(true);
        }
        if self.nested.len() >= NESTED_MOST {
            self.broken(at, "more arrays whose values read as opcodes than are followed");
            return Ok(false);
        }
        self.nested.push(other);
        Ok(true)
    }
    /// Is the module's or the attribute's name an object that a class's constructor gave, and so no text?
    fn named_by_object(&self, import: &Import) -> bool {
        let Some((module, name)) = self.global(import.node) else { return false };
        [module, name].iter().any(|part| {
            let class = part.strip_prefix('<').and_then(|p| p.strip_suffix(">")).and_then(|p| p.split_once('('));
            let last = class.and_then(|(path, _)| path.rsplit('.').next());
            last.is_some_and(|name| name.starts_with(|c: char| c.is_ascii_uppercase()))
        })
    }
    /// Follows the pickle that holds an array of objects.
    fn array_of_objects(&mut self, file: &Window, at: u64) -> Result<Option<u64>, Stop> {
        if self.depth >= NESTED_DEEPEST || self.nested.len() >= NESTED_MOST {
            self.broken(at, "more arrays of objects than are followed");
            return Ok(None);
        }
        let mut inner = Self::new(at, self.end);
        inner.depth = self.depth + 1;
        inner.run(file)?;
        let end = inner.at;
        self.nested.push(inner);
        Ok(Some(end))
    }
    /// What one element of a `numpy.dtype(...)` takes.
    fn item(&self, dtype: Id) -> Option<Item> {
        let Node::Call(call) = self.node(dtype) else { return None };
        let name = self.text(*self.tuple(call.args)?.first()?)?;
        // (version, byte order, subtype, names, fields, bytes, alignment, flags); the lowest flag says that there are objects.
        let state = call.state.and_then(|s| self.tuple(s)).unwrap_or(&[]);
        let objects = state.get(7).and_then(|flags| self.int(*flags)).is_some_and(|flags| flags & 1 != 0);
        let (letter, digits) = (name.get(..1)?, name.get(1..)?);
        if letter == "O" || objects {
            return Some(Item::Object);
        }
        let n: u64 = digits.parse().ok()?;
        Some(Item::Bytes(match letter {
            "U" => n.checked_mul(4)?,
            "b" | "i" | "u" | "f" | "c" | "S" | "V" | "M" | "m" => n,
            _ => return None,
        }))
    }
}

/// An element: so many bytes, or a pickled object.
enum Item {
    Bytes(u64),
    Object,
}
