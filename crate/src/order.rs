//! One sort for lists of any type.
//!
//! The standard library's sorts are compiled anew for every type and comparison, some 5 kB of wasm each. Lists that
//! are sorted once per file share this one instead; what is sorted in a loop keeps its own.

use std::cmp::Ordering;

/// The numbers `0..len` in stable order.
pub(crate) fn indices(len: usize, compare: &mut dyn FnMut(usize, usize) -> Ordering) -> Vec<usize> {
    let mut order: Vec<usize> = (0..len).collect();
    order.sort_by(|a, b| compare(*a, *b));
    order
}

/// Sorts a list; equal items keep their order.
pub(crate) fn sort_by<T>(list: &mut Vec<T>, mut compare: impl FnMut(&T, &T) -> Ordering) {
    let order = indices(list.len(), &mut |a, b| compare(&list[a], &list[b]));
    let mut items: Vec<Option<T>> = std::mem::take(list).into_iter().map(Some).collect();
    list.extend(order.into_iter().filter_map(|at| items[at].take()));
}

/// Sorts a list by a key; equal items keep their order.
pub(crate) fn sort_by_key<T, K: Ord>(list: &mut Vec<T>, key: impl Fn(&T) -> K) {
    sort_by(list, |a, b| key(a).cmp(&key(b)));
}

/// Sorts a list.
pub(crate) fn sort<T: Ord>(list: &mut Vec<T>) {
    sort_by(list, T::cmp);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn lists_are_sorted_as_by_the_standard_library_and_equal_items_keep_their_order(
            keys in proptest::collection::vec(0u8..20, 0..60)
        ) {
            let mut list: Vec<(u8, usize)> = keys.into_iter().enumerate().map(|(i, k)| (k, i)).collect();
            let mut expected = list.clone();
            expected.sort_by_key(|(key, _)| *key);
            super::sort_by_key(&mut list, |(key, _)| *key);
            prop_assert_eq!(&list, &expected);
            list.reverse();
            super::sort(&mut list);
            prop_assert_eq!(&list, &expected);
        }
    }
}
