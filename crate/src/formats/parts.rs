//! What else a file's model consists of, by the names that the file states or has: for addresses, whose folder
//! nobody can list.

use super::{
    merge::{Index, ShardName},
    recognise,
    side::SIDE_MOST,
};
use crate::{
    fault::Result,
    model::FormatId,
    source::{Feed, Limits, SourceFile},
};

/// The other files of a model, as one of its files tells them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parts {
    /// Of the weights; none where the file holds no weights and names none.
    pub format: Option<FormatId>,
    /// The other files of the weights, by their names in the same folder.
    pub others: Vec<String>,
    /// The index that would lie beside a shard, by the names that transformers gives.
    pub index: Option<String>,
    /// Which of them holds which tensor, where an index says so.
    pub tensors: Vec<(String, String)>,
}

/// Reads what one file tells of the others: a shard index names them all, a shard's own name gives its neighbours'.
///
/// # Errors
/// The file cannot be read.
pub async fn parts(file: &SourceFile) -> Result<Parts> {
    let feed = Feed::open(file, &Limits::default()).await?;
    let head = feed.window().rest(0);
    if let Some(format) = recognise(head, file.name(), file.len()) {
        let id = format.id();
        let shard = ShardName::parse(file.name()).filter(|s| s.total > 1 && id != FormatId::Onnx);
        let index = shard.as_ref().and_then(|shard| shard.index(id));
        let others = shard.map_or_else(Vec::new, |shard| {
            let all = (1..=shard.total.min(super::merge::SHARDS_MOST)).map(|number| shard.with_number(number));
            all.filter(|name| name != file.name()).collect()
        });
        return Ok(Parts { format: Some(id), others, index, tensors: Vec::new() });
    }
    let is_index = head.trim_ascii_start().starts_with(b"{") && file.name().ends_with(".index.json");
    if is_index
        && file.len() <= SIDE_MOST
        && let Some(index) = Index::parse(&file.read(0..file.len()).await?)
    {
        let others = index.files();
        return Ok(Parts { format: Some(index.format), others, index: None, tensors: index.into_tensors() });
    }
    Ok(Parts::default())
}
