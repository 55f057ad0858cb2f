//! Who is next: clients take turns, and each client's requests keep their order.

use std::collections::VecDeque;

/// What waits, by client.
#[derive(Debug)]
pub(super) struct Queue<T> {
    /// The first lane is next; none is empty.
    lanes: VecDeque<(u64, VecDeque<T>)>,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { lanes: VecDeque::new() }
    }
}

impl<T> Queue<T> {
    pub(super) fn is_empty(&self) -> bool {
        self.lanes.is_empty()
    }
    /// Behind what this client asked before.
    pub(super) fn push(&mut self, client: u64, item: T) {
        match self.lanes.iter_mut().find(|(lane, _)| *lane == client) {
            Some((_, items)) => items.push_back(item),
            None => self.lanes.push_back((client, VecDeque::from([item]))),
        }
    }
    /// What is next.
    pub(super) fn peek(&self) -> Option<&T> {
        self.lanes.front()?.1.front()
    }
    /// Takes what is next; its client goes behind the others.
    pub(super) fn pop(&mut self) -> Option<T> {
        let (client, mut items) = self.lanes.pop_front()?;
        let item = items.pop_front();
        if !items.is_empty() {
            self.lanes.push_back((client, items));
        }
        item
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_with_many_requests_waits_for_one_with_few() {
        let mut queue = Queue::default();
        for n in 0..4 {
            queue.push(1, ("a", n));
        }
        queue.push(2, ("b", 0));
        queue.push(3, ("c", 0));
        queue.push(2, ("b", 1));
        assert_eq!(queue.peek(), Some(&("a", 0)));
        let order: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(order, [("a", 0), ("b", 0), ("c", 0), ("a", 1), ("b", 1), ("a", 2), ("a", 3)]);
        assert!(queue.is_empty());
    }
}
