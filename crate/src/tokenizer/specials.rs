//! Finding special tokens that are written out in a text, as llama.cpp does
//! (`tokenizer_st_partition` in `src/llama-vocab.cpp`): the longest token first, each over what
//! the earlier ones left.

use std::{collections::HashSet, ops::Range};

use super::{PieceKind, table::Table};

/// Ids that are looked for, longest text first.
#[derive(Debug, Default)]
pub(super) struct Specials {
    ids: Vec<u32>,
    /// Those that take the white space before them, which then is in no token.
    pub strip_left: HashSet<u32>,
    /// ... and after them.
    pub strip_right: HashSet<u32>,
}

/// A stretch of the text: ordinary, or one special token.
pub(super) struct Fragment {
    pub span: Range<usize>,
    pub special: Option<u32>,
}

/// C's `isspace` in the default locale.
fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t'..='\r')
}

impl Specials {
    /// All control, unknown and user-defined tokens of a table.
    pub(super) fn of(table: &Table) -> Self {
        let is_special = |kind| matches!(kind, PieceKind::Control | PieceKind::Unknown | PieceKind::UserDefined);
        let mut ids: Vec<u32> = (0..)
            .zip(table.entries())
            .filter(|(_, entry)| is_special(entry.kind) && !entry.text.is_empty())
            .map(|(id, _)| id)
            .collect();
        crate::order::sort_by_key(&mut ids, |id| std::cmp::Reverse(table.get(*id).map_or(0, |entry| entry.text.len())));
        Self { ids, ..Self::default() }
    }

    /// All control and unknown tokens: user-defined ones are found by the kind's own rules.
    pub(super) fn but_user_defined(table: &Table) -> Self {
        let mut all = Self::of(table);
        all.ids.retain(|id| table.get(*id).is_some_and(|entry| entry.kind != PieceKind::UserDefined));
        all
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = u32> + '_ {
        self.ids.iter().copied()
    }

    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }

    /// Cuts a text; without `parse_special` only user-defined tokens are found.
    pub(super) fn cut(&self, table: &Table, text: &str, parse_special: bool) -> Vec<Fragment> {
        let mut fragments = vec![Fragment { span: 0..text.len(), special: None }];
        let wanted = |kind| parse_special || kind == PieceKind::UserDefined;
        for (id, entry) in self.ids.iter().filter_map(|id| Some((*id, table.get(*id)?))) {
            if !wanted(entry.kind) || !text.contains(&*entry.text) {
                continue;
            }
            let mut finer = Vec::with_capacity(fragments.len() + 2);
            for fragment in fragments {
                if fragment.special.is_some() {
                    finer.push(fragment);
                    continue;
                }
                let mut done = fragment.span.start;
                for (at, found) in text[fragment.span.clone()].match_indices(&*entry.text) {
                    let start = fragment.span.start + at;
                    if start < done {
                        continue;
                    }
                    let mut before = &text[done..start];
                    if self.strip_left.contains(&id) {
                        before = before.trim_end_matches(is_space);
                    }
                    finer.push(Fragment { span: done..done + before.len(), special: None });
                    done = start + found.len();
                    finer.push(Fragment { span: start..done, special: Some(id) });
                    if self.strip_right.contains(&id) {
                        let after = &text[done..fragment.span.end];
                        done += after.len() - after.trim_start_matches(is_space).len();
                    }
                }
                finer.push(Fragment { span: done..fragment.span.end, special: None });
            }
            finer.retain(|fragment| !fragment.span.is_empty());
            fragments = finer;
        }
        fragments
    }
}
