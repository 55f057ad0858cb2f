//! Python pickles as data: a symbolic machine that builds a graph of what the opcodes say and calls nothing.
//!
//! Every opcode of protocols 0 to 5 is followed as Python's own machine would, except that an import gives a node
//! with a name, and a call a node with a callable and its arguments. Nodes lie in an arena and name each other by
//! number, so shared and cyclic values cost nothing. What Python would stop at is noted as trouble, and the walk goes
//! on as far as it can: what would import or call must be seen, even behind a mistake made on purpose.

mod joblib;
mod opcodes;
mod stack;
mod text;
pub(in crate::formats) mod torch_names;

use std::{collections::HashMap, ops::Range};

use crate::source::{Stop, Window};

/// Opcodes of one pickle, at most: each can put 4 bytes on the stack.
const OPCODES_MOST: u64 = 16_000_000;
/// Values of one pickle, at most.
const NODES_MOST: usize = 2_000_000;
/// Longest text that is kept; longer ones stay in the file.
const TEXT_KEPT: u64 = 64 << 10;
/// Longest line of a text opcode (protocol 0).
const LINE_MOST: u64 = 64 << 20;
/// Different callables told apart.
const CALLS_MOST: usize = 4096;
/// Highest memo number that a pickle may use without having put as many values.
const MEMO_SLACK: u64 = 1 << 20;

/// Opcodes read in the values of joblib's arrays, at most (see `joblib.rs`).
const SECOND_MOST: u64 = 1_000_000;

/// Pickles within pickles are followed this deep, and this many of each.
const NESTED_DEEPEST: u32 = 4;
const NESTED_MOST: usize = 64;

/// A value's number in [`Machine::nodes`].
pub(in crate::formats) type Id = u32;

/// Nothing, and what stands for anything that could not be followed.
const UNKNOWN: Id = 0;

/// One value.
#[derive(Debug, Clone)]
pub(in crate::formats) enum Node {
    /// What an empty stack or an unknown memo number gives: not followed.
    Unknown,
    None,
    Bool(bool),
    Int(i64),
    /// A whole number of more than 64 bits: its bytes.
    Huge(u64),
    Float(f64),
    /// Text; `None` where it is long and stays at its place.
    Text(Option<Box<str>>, Range<u64>),
    /// Bytes (and Python 2's strings); their place, unless they were escaped.
    Bytes(Option<Range<u64>>, Option<Box<str>>),
    List(Vec<Id>),
    Tuple(Vec<Id>),
    Set(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    /// What an import would give.
    Global(Box<str>, Box<str>),
    /// What a call would give.
    Call(Box<Call>),
    /// What the reader's own table gives for an identity.
    Persistent(Id),
}

/// A call that the pickle asks for.
#[derive(Debug, Clone)]
pub(in crate::formats) struct Call {
    pub(in crate::formats) callable: Id,
    /// A tuple.
    pub(in crate::formats) args: Id,
    /// What `BUILD` would hand to `__setstate__` or write as attributes.
    pub(in crate::formats) state: Option<Id>,
    /// What `APPEND` would add.
    pub(in crate::formats) items: Vec<Id>,
    /// What `SETITEM` would set.
    pub(in crate::formats) pairs: Vec<(Id, Id)>,
}

/// An import by `GLOBAL`, `STACK_GLOBAL` or `INST`.
#[derive(Debug, Clone)]
pub(in crate::formats) struct Import {
    pub(in crate::formats) node: Id,
    pub(in crate::formats) op: &'static str,
    /// Byte offset of the first.
    pub(in crate::formats) at: u64,
    pub(in crate::formats) count: u64,
}

/// Calls of one callable by one opcode.
#[derive(Debug, Clone)]
pub(in crate::formats) struct Calls {
    pub(in crate::formats) callable: Id,
    /// The first call's arguments (the state for `BUILD`).
    pub(in crate::formats) args: Id,
    /// The opcode; a `BUILD` of what the callable gave is told from one of the callable itself.
    pub(in crate::formats) op: &'static str,
    pub(in crate::formats) at: u64,
    pub(in crate::formats) count: u64,
}

/// Where the machine is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::formats) enum Status {
    Running,
    /// At `STOP`.
    Stopped,
    /// At something that no pickle holds, or at a limit.
    Broken,
}

/// The machine: one pickle.
#[derive(Debug, Clone)]
pub(in crate::formats) struct Machine {
    /// Offset of the next opcode.
    pub(in crate::formats) at: u64,
    /// Where the pickle's bytes end at the latest.
    end: u64,
    pub(in crate::formats) start: u64,
    pub(in crate::formats) status: Status,
    pub(in crate::formats) nodes: Vec<Node>,
    pub(in crate::formats) opcodes: u64,
    pub(in crate::formats) protocol: u8,
    pub(in crate::formats) imports: Vec<Import>,
    pub(in crate::formats) calls: Vec<Calls>,
    /// Extension registry codes used, and persistent ids seen.
    pub(in crate::formats) extensions: Vec<(u64, u64)>,
    pub(in crate::formats) persistent: u64,
    /// The first thing that Python would not accept, or that was not followed.
    pub(in crate::formats) trouble: Option<(u64, String)>,
    /// Calls of callables beyond [`CALLS_MOST`].
    pub(in crate::formats) calls_untold: u64,
    pub(in crate::formats) result: Id,
    /// Pickles that lie in this one's byte strings and would import something.
    pub(in crate::formats) nested: Vec<Machine>,
    /// Pickles around this one.
    depth: u32,
    /// Values looked into for such pickles, and the one at hand.
    looked: usize,
    inner: Option<Box<Machine>>,
    /// Opcodes read in the values of arrays, as a loader that knows no joblib would.
    second: u64,
    /// Where the frame at hand ends: Python's readers in C and in Python differ where an opcode crosses it.
    frame_end: u64,
    /// An opcode crosses the end of its frame, or a frame lies within another.
    pub(in crate::formats) is_misframed: bool,
    /// Read as `pickle.load` does, which knows no arrays of joblib.
    pub(in crate::formats) is_plain: bool,
    stack: Vec<Id>,
    marks: Vec<usize>,
    memo: HashMap<u64, Id>,
    global_ids: HashMap<(Box<str>, Box<str>), Id>,
    import_rows: HashMap<Id, usize>,
    call_rows: HashMap<(Id, &'static str), usize>,
}

impl Machine {
    /// A machine at a pickle's first byte; `end` is where its bytes end at the latest.
    pub(in crate::formats) fn new(start: u64, end: u64) -> Self {
        Self {
            at: start,
            end,
            start,
            status: Status::Running,
            nodes: vec![Node::Unknown, Node::None, Node::Bool(false), Node::Bool(true)],
            opcodes: 0,
            protocol: 0,
            imports: Vec::new(),
            calls: Vec::new(),
            extensions: Vec::new(),
            persistent: 0,
            trouble: None,
            calls_untold: 0,
            result: UNKNOWN,
            nested: Vec::new(),
            depth: 0,
            looked: 0,
            inner: None,
            second: 0,
            frame_end: 0,
            is_misframed: false,
            is_plain: false,
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
            global_ids: HashMap::new(),
            import_rows: HashMap::new(),
            call_rows: HashMap::new(),
        }
    }
    /// Runs to `STOP` or to what cannot be followed.
    ///
    /// # Errors
    /// Only `Need`; what is wrong is kept as trouble.
    pub(in crate::formats) fn run(&mut self, file: &Window) -> Result<(), Stop> {
        while self.status == Status::Running {
            if self.opcodes >= OPCODES_MOST {
                self.broken(self.at, format!("more than {OPCODES_MOST} opcodes; the limit"));
                break;
            }
            if self.nodes.len() >= NODES_MOST {
                self.broken(self.at, format!("more than {NODES_MOST} values; the limit"));
                break;
            }
            self.step(file)?;
        }
        Ok(())
    }
    /// Follows the pickles that lie in byte strings of this one: code may unpickle them in turn.
    ///
    /// # Errors
    /// Only `Need`.
    pub(in crate::formats) fn look_within(&mut self, file: &Window) -> Result<(), Stop> {
        while let Some(node) = self.nodes.get(self.looked) {
            if let (Node::Bytes(Some(at), _), true) = (node, self.depth < NESTED_DEEPEST) {
                let at = at.clone();
                if self.inner.is_none() && self.nested.len() < NESTED_MOST && starts(file, &at)? {
                    let mut inner = Self::new(at.start, at.end);
                    inner.depth = self.depth + 1;
                    self.inner = Some(Box::new(inner));
                }
                if let Some(inner) = &mut self.inner {
                    inner.run(file)?;
                    inner.look_within(file)?;
                }
                if let Some(inner) = self.inner.take()
                    && !(inner.imports.is_empty() && inner.nested.is_empty())
                {
                    self.nested.push(*inner);
                }
            }
            self.looked += 1;
        }
        Ok(())
    }
    pub(in crate::formats) fn node(&self, id: Id) -> &Node {
        self.nodes.get(id as usize).unwrap_or(&Node::Unknown)
    }
    /// Text, or Python 2's strings where they are text.
    pub(in crate::formats) fn text(&self, id: Id) -> Option<&str> {
        match self.node(id) {
            Node::Text(text, _) | Node::Bytes(_, text) => text.as_deref(),
            _ => None,
        }
    }
    pub(in crate::formats) fn int(&self, id: Id) -> Option<i64> {
        match self.node(id) {
            Node::Int(n) => Some(*n),
            Node::Bool(b) => Some(i64::from(*b)),
            _ => None,
        }
    }
    pub(in crate::formats) fn tuple(&self, id: Id) -> Option<&[Id]> {
        match self.node(id) {
            Node::Tuple(items) | Node::List(items) => Some(items),
            _ => None,
        }
    }
    /// "module.name" of a global.
    pub(in crate::formats) fn global(&self, id: Id) -> Option<(&str, &str)> {
        match self.node(id) {
            Node::Global(module, name) => Some((module, name)),
            _ => None,
        }
    }
}

/// May these bytes be a pickle? The protocol says so, or, for short ones of protocol 0 and 1, all of it.
fn starts(file: &Window, at: &Range<u64>) -> Result<bool, Stop> {
    let len = at.end - at.start;
    if len < 4 {
        return Ok(false);
    }
    if len <= TEXT_KEPT {
        return Ok(plausible(file.bytes(at.clone())?, true));
    }
    Ok(matches!(file.bytes(at.start..at.start + 2)?, [0x80, 2..=5]))
}

/// Do these first bytes of a file (all of it where `whole`) read as a pickle?
pub(in crate::formats) fn plausible(head: &[u8], whole: bool) -> bool {
    let mut window = Window::new("head", head.len() as u64);
    window.insert(0, head.to_vec());
    let mut machine = Machine::new(0, head.len() as u64);
    if machine.run(&window).is_err() {
        return false;
    }
    let marked = head.first() == Some(&0x80) && machine.protocol <= 5 && machine.opcodes > 1;
    let telling = machine.imports.first().is_some_and(|i| names_well(&machine, i)) || machine.opcodes > 8;
    match machine.status {
        Status::Stopped => machine.trouble.is_none() || marked || !machine.imports.is_empty(),
        // Cut by the head's end, or wrong: the protocol mark or an import speaks for it.
        _ if marked || names_first(&machine, head) => true,
        _ => !whole && telling && machine.at + 4096 > head.len() as u64 && clean_so_far(&machine, head.len() as u64),
    }
}

/// An import of a well-formed name is the very first opcode, or the first after marks: no text starts so.
fn names_first(machine: &Machine, head: &[u8]) -> bool {
    machine.imports.first().is_some_and(|i| {
        names_well(machine, i) && head.get(..i.at as usize).is_some_and(|before| before.iter().all(|b| *b == b'('))
    })
}

/// Module and attribute are such names as Python's own; a line of a program that starts with a "c" is none.
fn names_well(machine: &Machine, import: &Import) -> bool {
    let name = |t: &str| !t.is_empty() && t.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '.'));
    machine.global(import.node).is_some_and(|(module, attribute)| name(module) && name(attribute))
}

/// Nothing was wrong before the bytes ended.
fn clean_so_far(machine: &Machine, len: u64) -> bool {
    machine.trouble.as_ref().is_none_or(|(at, _)| *at >= machine.at && machine.at < len)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(bytes: &[u8]) -> Machine {
        let mut window = Window::new("f", bytes.len() as u64);
        window.insert(0, bytes.to_vec());
        let mut machine = Machine::new(0, bytes.len() as u64);
        machine.run(&window).expect("all bytes are there");
        machine
    }

    #[test]
    fn a_line_of_python_is_no_import() {
        let program = b"class Identity(Module):\n  __parameters__ = []\n  __buffers__ = []\n  training : bool\n";
        assert!(!plausible(&program[..64], false) && !plausible(program, true));
        assert!(plausible(b"cos\nsystem\n(S'true'\ntR.", true) && plausible(b"cos\nsystem\n(S'tr", false));
    }
    #[test]
    fn values_of_every_protocol_read_as_python_wrote_them() {
        // pickletools' spelling of [1, -2, 300, 2**40, 1.5, "é", b"b", True, None, (1,), {"k": 2}]
        let bytes = b"\x80\x02]q\x00(K\x01J\xfe\xff\xff\xffM\x2c\x01\x8a\x06\x00\x00\x00\x00\x00\x01G?\xf8\x00\x00\x00\x00\x00\x00X\x02\x00\x00\x00\xc3\xa9U\x01b\x88NK\x01\x85}X\x01\x00\x00\x00kK\x02se.";
        let machine = run(bytes);
        assert_eq!((machine.status, &machine.trouble), (Status::Stopped, &None));
        assert_eq!(machine.describe(machine.result), "[1, -2, 300, 1099511627776, 1.5, 'é', 'b', True, …]");
        let old = run(b"(lp0\nI1\naL-5L\naF2.5\naVx\\u00e9\np1\naS'a\\'b\\n'\naI01\na.");
        assert_eq!(old.describe(old.result), "[1, -5, 2.5, 'xé', 'a'b\\n', True]");
    }

    #[test]
    fn a_call_is_told_though_its_result_is_dropped_or_its_name_comes_from_the_memo() {
        let machine = run(b"Vos\np2\n0Vsystem\np3\n0g2\ng3\n\x93(Vls\ntR0N.");
        assert_eq!(machine.status, Status::Stopped);
        assert_eq!(machine.describe(machine.imports[0].node), "os.system");
        assert_eq!((machine.calls[0].op, machine.calls[0].at), ("REDUCE", 33));
        assert_eq!(machine.describe(machine.calls[0].args), "('ls',)");
    }

    #[test]
    fn a_pickle_of_a_few_bytes_that_doubles_itself_stays_small() {
        let mut bytes = b"]q\x00".to_vec();
        for _ in 0..60 {
            bytes.extend(b"]h\x00ah\x00aq\x00");
        }
        bytes.push(b'.');
        let machine = run(&bytes);
        assert_eq!(machine.status, Status::Stopped);
        assert!(machine.nodes.len() < 100);
        assert!(machine.describe(machine.result).len() < 400);
    }

    #[test]
    fn what_is_missing_is_named_and_the_walk_goes_on() {
        let machine = run(b"R0cposix\nsystem\n(Vls\ntR.");
        assert_eq!(machine.trouble.as_ref().map(|t| t.0), Some(0));
        assert_eq!(machine.imports.len(), 1);
        let cut = run(b"\x80\x04\x8c\x20abc");
        assert_eq!(cut.trouble, Some((3, "a string of 32 bytes announced, 3 left".into())));
    }
}
