//! Strings.

use std::rc::Rc;

use super::zip;
use crate::{
    fault::Result,
    onnx::{
        run::{Call, Outputs, bad, one},
        value::{Data, Tensor, Type, room},
    },
};

pub(in crate::onnx) fn concat(call: &mut Call<'_, '_>) -> Outputs {
    let (a, b) = (call.tensor(0)?, call.tensor(1)?);
    let (dims, out) = zip((a.strs()?, a.dims()), (b.strs()?, b.dims()), |x, y| Rc::<str>::from([&**x, &**y].concat()))?;
    one(Tensor::of(dims, Data::Str(out))?)
}

/// A text at a delimiter, at most `most` times; without one at runs of white space.
fn split_text(text: &str, delimiter: &str, most: Option<usize>) -> Vec<Rc<str>> {
    if !delimiter.is_empty() {
        return match most {
            Some(n) => text.splitn(n.saturating_add(1), delimiter).map(Rc::from).collect(),
            None => text.split(delimiter).map(Rc::from).collect(),
        };
    }
    let mut out = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        if most.is_some_and(|n| out.len() >= n) {
            out.push(Rc::from(rest.trim_end()));
            break;
        }
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        out.push(Rc::from(&rest[..end]));
        rest = rest[end..].trim_start();
    }
    out
}

pub(in crate::onnx) fn split(call: &mut Call<'_, '_>) -> Outputs {
    let x = call.tensor(0)?;
    let delimiter = call.text("delimiter", "")?;
    let most = call.int_opt("maxsplit")?.and_then(|n| usize::try_from(n).ok());
    let parts: Vec<Vec<Rc<str>>> = x.strs()?.iter().map(|s| split_text(s, &delimiter, most)).collect();
    let wide = parts.iter().map(Vec::len).max().unwrap_or(0);
    let dims = [x.dims(), &[wide]].concat();
    let n = room(&dims, 16)?;
    let counts = parts.iter().map(|p| p.len() as i64).collect();
    let empty: Rc<str> = Rc::from("");
    let mut out = Vec::with_capacity(n);
    for p in parts {
        let missing = wide - p.len();
        out.extend(p);
        out.extend(std::iter::repeat_n(Rc::clone(&empty), missing));
    }
    Ok(vec![Tensor::of(dims, Data::Str(out))?.into(), x.with(Data::I64(counts))?.into()])
}

pub(in crate::onnx) fn normalize(call: &mut Call<'_, '_>) -> Outputs {
    let x = call.tensor(0)?;
    let change = call.text("case_change_action", "NONE")?;
    let sensitive = call.flag("is_case_sensitive", false)?;
    let stop = call.texts("stopwords")?.unwrap_or_else(|| Rc::from([]));
    if !(x.rank() == 1 || (x.rank() == 2 && x.dims()[0] == 1)) {
        return Err(bad(format!("a list of strings expected, {} found", x.told())));
    }
    let same = |a: &str, b: &str| if sensitive { a == b } else { a.to_lowercase() == b.to_lowercase() };
    let mut out: Vec<Rc<str>> = x
        .strs()?
        .iter()
        .filter(|s| !stop.iter().any(|w| same(s, w)))
        .map(|s| match change.as_str() {
            "LOWER" => Rc::from(s.to_lowercase()),
            "UPPER" => Rc::from(s.to_uppercase()),
            _ => Rc::clone(s),
        })
        .collect();
    if out.is_empty() {
        out.push(Rc::from(""));
    }
    let n = out.len();
    one(Tensor::of(if x.rank() == 2 { vec![1, n] } else { vec![n] }, Data::Str(out))?)
}

pub(in crate::onnx) fn regex_full_match(call: &mut Call<'_, '_>) -> Outputs {
    let x = call.tensor(0)?;
    let pattern = call.text("pattern", "")?;
    // Without groups that look around, the engine runs in time linear in the text.
    let regex = fancy_regex::RegexBuilder::new(&format!("^(?:{pattern})$"))
        .backtrack_limit(1_000_000)
        .build()
        .map_err(|e| bad(format!("the pattern {pattern:?} is not understood: {e}")))?;
    let hits: Result<Vec<bool>> = x
        .strs()?
        .iter()
        // "$" also stands before a last line break.
        .map(|s| {
            let found = regex.find(s).map_err(|e| bad(format!("the pattern {pattern:?}: {e}")))?;
            Ok(found.is_some_and(|m| m.start() == 0 && m.end() == s.len()))
        })
        .collect();
    one(x.with(Data::Bool(hits?))?)
}

pub(in crate::onnx) fn tf_idf(call: &mut Call<'_, '_>) -> Outputs {
    let x = call.tensor(0)?;
    let need = |name: &str| {
        call.int_opt(name).and_then(|v| v.ok_or_else(|| bad(format!("the attribute \"{name}\" expected"))))
    };
    let (least, most, skips) = (
        super::size(need("min_gram_length")?)?,
        super::size(need("max_gram_length")?)?,
        super::size(need("max_skip_count")?)?,
    );
    let list =
        |name: &str| call.ints(name).and_then(|v| v.ok_or_else(|| bad(format!("the attribute \"{name}\" expected"))));
    let (starts, places) = (super::sizes(&list("ngram_counts")?)?, super::sizes(&list("ngram_indexes")?)?);
    let weights = call.floats("weights")?;
    let mode = call.text("mode", "TF")?;
    let text = x.kind() == Type::Str;
    let words: Vec<String> = if text {
        x.strs()?.iter().map(|s| s.to_string()).collect()
    } else {
        x.to_i64s()?.iter().map(i64::to_string).collect()
    };
    let pool: Vec<String> = match (call.texts("pool_strings")?, call.ints("pool_int64s")?) {
        (Some(s), _) if !s.is_empty() => s.iter().map(|s| s.to_string()).collect(),
        (_, Some(n)) => n.iter().map(i64::to_string).collect(),
        _ => return Err(bad("a pool of words or numbers expected")),
    };
    let (rows, len) = match x.dims()[..] {
        [n] => (1, n),
        [b, n] => (b, n),
        _ => return Err(bad(format!("1 or 2 dimensions expected, {} found", x.told()))),
    };
    // Number of each n-gram, by its words.
    let mut grams: std::collections::HashMap<Vec<&str>, usize> = std::collections::HashMap::new();
    for (i, start) in starts.iter().enumerate() {
        let n = i + 1;
        let end = starts.get(n).copied().unwrap_or(pool.len());
        let Some(part) = pool.get(*start..end) else { return Err(bad("ngram_counts beyond the pool")) };
        let before: usize = starts[..=i].windows(2).enumerate().map(|(j, w)| w[1].saturating_sub(w[0]) / (j + 1)).sum();
        for (j, gram) in part.chunks_exact(n).enumerate() {
            grams.insert(gram.iter().map(String::as_str).collect(), before + j);
        }
    }
    let wide = places.iter().max().map_or(0, |p| p + 1);
    let dims = if x.rank() == 1 { vec![wide] } else { vec![rows, wide] };
    let total = room(&dims, 4)?;
    if most > 64 || least == 0 {
        return Err(bad(format!("n-grams of {least} to {most} words")));
    }
    call.spend(rows.saturating_mul(len).saturating_mul(skips.min(len) + 1).saturating_mul(most))?;
    let mut out = vec![0.0f32; total];
    for r in 0..rows {
        let line = &words[r * len..(r + 1) * len];
        for n in least..=most {
            for skip in 0..=skips.min(len) {
                // Single words have nothing to skip.
                if n == 1 && skip > 0 {
                    break;
                }
                for at in 0..len {
                    if at + (n - 1) * (skip + 1) >= len {
                        break;
                    }
                    let gram: Vec<&str> = (0..n).map(|k| line[at + k * (skip + 1)].as_str()).collect();
                    if let Some(place) = grams.get(&gram).and_then(|i| places.get(*i)) {
                        out[r * wide + place] += 1.0;
                    }
                }
            }
        }
    }
    if mode != "TF" {
        let mut by_place = vec![1.0f32; wide];
        if let Some(w) = &weights {
            for (place, w) in places.iter().zip(w.iter()) {
                by_place[*place] = *w;
            }
        }
        for (i, v) in out.iter_mut().enumerate() {
            let w = by_place[i % wide];
            *v = match mode.as_str() {
                "IDF" => {
                    if *v > 0.0 {
                        w
                    } else {
                        0.0
                    }
                }
                _ => *v * w,
            };
        }
    }
    one(Tensor::of(dims, Data::F32(out))?)
}
