//! Which pages of the states each sequence sees: a page is read by as many sequences as begin with its tokens, and written by one.

use crate::engine::program::PAGE_ROWS;

/// The page tables of all sequences.
#[derive(Debug)]
pub(super) struct Pages {
    /// Of each sequence, a page for each run of [`PAGE_ROWS`] positions.
    tables: Vec<Vec<u32>>,
    /// How many tables name each page.
    users: Vec<u32>,
    /// Pages that no table names.
    spare: Vec<u32>,
}

impl Pages {
    /// Every sequence has pages of its own.
    pub(super) fn new(sequences: u32, pages: u32) -> Self {
        let tables = (0..sequences).map(|s| (s * pages..(s + 1) * pages).collect()).collect();
        Self { tables, users: vec![1; (sequences * pages) as usize], spare: Vec::new() }
    }
    /// The pages of a sequence.
    pub(super) fn of(&self, sequence: usize) -> &[u32] {
        &self.tables[sequence]
    }
    /// Has a sequence see the first `rows` rows of another, whole pages, and write the rest into pages of its own.
    pub(super) fn share(&mut self, sequence: usize, from: usize, rows: usize) {
        let pages = rows / PAGE_ROWS as usize;
        self.seat(sequence, self.tables[from][..pages].to_vec());
    }
    /// Has a sequence keep its first `rows` rows, and gives it pages of its own for the rest; how many it keeps: none of a page that it
    /// would write into and others see.
    pub(super) fn keep(&mut self, sequence: usize, rows: usize) -> usize {
        let whole = rows / PAGE_ROWS as usize;
        let table = &self.tables[sequence];
        let has_part = rows % PAGE_ROWS as usize > 0;
        let keeps_part = has_part && self.users[table[whole] as usize] == 1;
        self.seat(sequence, table[..whole + usize::from(keeps_part)].to_vec());
        if has_part && !keeps_part { whole * PAGE_ROWS as usize } else { rows }
    }
    fn seat(&mut self, sequence: usize, mut table: Vec<u32>) {
        table.iter().for_each(|page| self.users[*page as usize] += 1);
        let old = std::mem::take(&mut self.tables[sequence]);
        let pages = old.len();
        for page in old.into_iter().rev() {
            let users = &mut self.users[page as usize];
            *users -= 1;
            if *users == 0 {
                self.spare.push(page);
            }
        }
        // There are as many pages as all tables name without sharing, so that enough are spare.
        while table.len() < pages
            && let Some(page) = self.spare.pop()
        {
            self.users[page as usize] = 1;
            table.push(page);
        }
        self.tables[sequence] = table;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every page is named as often as it is counted, and no page that is written has two users.
    fn check(pages: &Pages) {
        for (page, users) in pages.users.iter().enumerate() {
            let named = pages.tables.iter().flatten().filter(|p| **p == page as u32).count();
            assert_eq!(named, *users as usize, "page {page} of {pages:?}");
            assert_eq!(pages.spare.contains(&(page as u32)), *users == 0);
        }
        assert!(pages.tables.iter().all(|t| t.len() == pages.tables[0].len()), "{pages:?}");
    }

    #[test]
    fn what_another_sees_is_not_written_and_no_page_is_lost() {
        let mut pages = Pages::new(3, 4);
        pages.share(1, 0, 48);
        check(&pages);
        assert_eq!(pages.of(1)[..3], pages.of(0)[..3]);
        assert_ne!(pages.of(1)[3], pages.of(0)[3]);
        // The first one begins anew from within a page that the second one sees.
        assert_eq!(pages.keep(0, 20), 16);
        check(&pages);
        assert_eq!(pages.of(1)[0], pages.of(0)[0]);
        assert!(pages.of(1)[1..].iter().all(|p| !pages.of(0)[1..].contains(p)));
        // Its own part of a page it keeps.
        let last = pages.of(2)[1];
        assert_eq!(pages.keep(2, 20), 20);
        assert_eq!(pages.of(2)[1], last);
        for (sequence, from, rows) in [(2, 1, 64), (0, 2, 64), (1, 0, 16), (2, 0, 0), (0, 1, 32)] {
            pages.share(sequence, from, rows);
            check(&pages);
        }
        assert_eq!(pages.keep(1, 64), 64);
        check(&pages);
    }
}
