//! The machine's stack, marks and memo, and what imports and calls leave in its tables.

use super::{CALLS_MOST, Call, Calls, Id, Import, MEMO_SLACK, Machine, Node, Status, UNKNOWN};

impl Machine {
    pub(super) fn trouble(&mut self, at: u64, what: impl Into<String>) {
        self.trouble.get_or_insert_with(|| (at, what.into()));
    }
    pub(super) fn broken(&mut self, at: u64, what: impl Into<String>) {
        self.trouble(at, what);
        self.status = Status::Broken;
        // What was built so far is still worth showing.
        self.result = self.stack.first().copied().unwrap_or(UNKNOWN);
    }
    pub(super) fn push(&mut self, node: Node) {
        let id = self.add(node);
        self.stack.push(id);
    }
    pub(super) fn add(&mut self, node: Node) -> Id {
        self.nodes.push(node);
        (self.nodes.len() - 1) as Id
    }
    pub(super) fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }
    pub(super) fn pop(&mut self, at: u64) -> Id {
        if self.stack.len() > self.floor() {
            return self.stack.pop().unwrap_or(UNKNOWN);
        }
        self.trouble(at, "a value expected on the stack, none found");
        UNKNOWN
    }
    pub(super) fn top(&mut self, at: u64) -> Id {
        if self.stack.len() > self.floor() {
            return self.stack.last().copied().unwrap_or(UNKNOWN);
        }
        self.trouble(at, "a value expected on the stack, none found");
        UNKNOWN
    }
    pub(super) fn pop_mark(&mut self, at: u64) -> Vec<Id> {
        match self.marks.pop() {
            Some(mark) => self.stack.split_off(mark.min(self.stack.len())),
            None => {
                self.trouble(at, "a mark expected on the stack, none found");
                std::mem::take(&mut self.stack)
            }
        }
    }
    pub(super) fn memo_put(&mut self, at: u64, key: u64) {
        if key > self.memo.len() as u64 + MEMO_SLACK {
            self.trouble(at, format!("memo number {key} after {} values", self.memo.len()));
        }
        let top = self.top(at);
        self.memo.insert(key, top);
    }
    pub(super) fn memo_get(&mut self, at: u64, key: u64) {
        let id = self.memo.get(&key).copied().unwrap_or(UNKNOWN);
        if id == UNKNOWN {
            self.trouble(at, format!("memo number {key}, which holds nothing"));
        }
        self.stack.push(id);
    }
    pub(super) fn import(&mut self, at: u64, op: &'static str, module: &str, name: &str) -> Id {
        let key = (module.into(), name.into());
        let id = match self.global_ids.get(&key) {
            Some(id) => *id,
            None => {
                let id = self.add(Node::Global(module.into(), name.into()));
                self.global_ids.insert(key, id);
                id
            }
        };
        let next = self.imports.len();
        let row = *self.import_rows.entry(id).or_insert(next);
        match self.imports.get_mut(row) {
            Some(import) => import.count += 1,
            None => self.imports.push(Import { node: id, op, at, count: 1 }),
        }
        id
    }
    pub(super) fn called(&mut self, at: u64, op: &'static str, callable: Id, args: Id) {
        let next = self.calls.len();
        let row = *self.call_rows.entry((callable, op)).or_insert(next);
        match self.calls.get_mut(row) {
            Some(calls) => calls.count += 1,
            None if next < CALLS_MOST => self.calls.push(Calls { callable, args, op, at, count: 1 }),
            None => self.calls_untold += 1,
        }
    }
    pub(super) fn call(&mut self, at: u64, op: &'static str, callable: Id, args: Id) {
        self.called(at, op, callable, args);
        let call = Call { callable, args, state: None, items: Vec::new(), pairs: Vec::new() };
        self.push(Node::Call(Box::new(call)));
    }
    pub(super) fn append(&mut self, at: u64, to: Id, mut items: Vec<Id>) {
        match self.nodes.get_mut(to as usize) {
            Some(Node::List(list) | Node::Set(list)) => list.append(&mut items),
            Some(Node::Call(call)) => call.items.append(&mut items),
            _ => self.trouble(at, "items for something that is not a list"),
        }
    }
    pub(super) fn set(&mut self, at: u64, to: Id, items: &[Id]) {
        let new = items.chunks_exact(2).map(|pair| (pair[0], pair[1]));
        match self.nodes.get_mut(to as usize) {
            Some(Node::Dict(pairs)) => pairs.extend(new),
            Some(Node::Call(call)) => call.pairs.extend(new),
            _ => self.trouble(at, "keys and values for something that is not a dict"),
        }
        if !items.len().is_multiple_of(2) {
            self.trouble(at, "a key without a value");
        }
    }
}
