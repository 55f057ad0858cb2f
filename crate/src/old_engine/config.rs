//! A decoder's numbers, read from a model's metadata.

use crate::{
    fault::{Fault, Result},
    model::{FormatId, MetaValue, Metadata, ModelFile},
};

/// The numbers of a decoder-only transformer.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The architecture as the file names it: "llama", "qwen2".
    pub architecture: String,
    /// Blocks.
    pub layers: u32,
    /// Width of the residual stream.
    pub width: u32,
    /// Query heads.
    pub heads: u32,
    /// Key and value heads; `heads` is a multiple.
    pub kv_heads: u32,
    /// Width of a head.
    pub head_dim: u32,
    /// Width of the feed-forward layer.
    pub ffn: u32,
    /// Tokens in the vocabulary.
    pub vocab: u32,
    /// The longest sequence the model was made for (or its sliding window, where that is shorter).
    pub context: u32,
    /// Added to the mean square in norms.
    pub norm_eps: f32,
    /// Rotary positions.
    pub rope: Rope,
}

/// Rotary position embedding.
#[derive(Debug, Clone, PartialEq)]
pub struct Rope {
    /// Rotated values per head; the rest of the head passes through.
    pub dims: u32,
    /// Base of the frequencies.
    pub theta: f64,
    /// Pairs (i, i + dims/2) instead of (2i, 2i + 1).
    pub neox: bool,
    /// What is done to the frequencies.
    pub scaling: RopeScaling,
}

/// Changes to the rotary frequencies that stretch the context.
#[derive(Debug, Clone, PartialEq)]
pub enum RopeScaling {
    /// None.
    None,
    /// All frequencies divided by this.
    Linear(f64),
    /// Llama 3's: low frequencies divided, high ones kept, a ramp between.
    Llama3 {
        /// Divides the low frequencies.
        factor: f64,
        /// Wavelengths above `original / low` are divided in full.
        low: f64,
        /// Wavelengths below `original / high` are kept.
        high: f64,
        /// The context before stretching.
        original: f64,
    },
    /// Each frequency divided by its own factor, given by a tensor (`rope_freqs.weight`).
    Factors(Vec<f32>),
}

impl Config {
    /// Width of a row of queries.
    pub fn q_width(&self) -> u32 {
        self.heads * self.head_dim
    }
    /// Width of a row of keys or of values.
    pub fn kv_width(&self) -> u32 {
        self.kv_heads * self.head_dim
    }
}

impl Rope {
    /// Frequencies after scaling, radians per position, `[dims / 2]`.
    ///
    /// # Errors
    /// The number of given factors is not `dims / 2`.
    pub fn frequencies(&self) -> Result<Vec<f64>> {
        let half = self.dims / 2;
        let plain = (0..half).map(|i| self.theta.powf(-2.0 * f64::from(i) / f64::from(self.dims)));
        Ok(match &self.scaling {
            RopeScaling::None => plain.collect(),
            RopeScaling::Linear(factor) => plain.map(|f| f / factor).collect(),
            RopeScaling::Llama3 { factor, low, high, original } => plain
                .map(|f| {
                    let turns = original * f / std::f64::consts::TAU;
                    let keep = ((turns - low) / (high - low)).clamp(0.0, 1.0);
                    (1.0 - keep) * f / factor + keep * f
                })
                .collect(),
            RopeScaling::Factors(by) if by.len() == half as usize && by.iter().all(|f| f.is_finite() && *f > 0.0) => {
                plain.zip(by).map(|(f, by)| f / f64::from(*by)).collect()
            }
            RopeScaling::Factors(by) => {
                return Err(Fault::new(
                    crate::fault::Blame::File,
                    format!(
                        "{half} rotary factors above zero expected, {} given: {:.8?}",
                        by.len(),
                        &by[..by.len().min(8)]
                    ),
                ));
            }
        })
    }
    /// Cosine and sine of every position and pair, `[context, dims / 2, 2]`; angles in f64.
    ///
    /// # Errors
    /// As [`Rope::frequencies`].
    pub fn table(&self, context: u32) -> Result<Vec<f32>> {
        let frequencies = self.frequencies()?;
        let mut table = Vec::with_capacity(context as usize * frequencies.len() * 2);
        for pos in 0..context {
            for f in &frequencies {
                let (sin, cos) = (f64::from(pos) * f).sin_cos();
                table.extend([cos as f32, sin as f32]);
            }
        }
        Ok(table)
    }
}

/// The architecture's name as the file states it.
///
/// # Errors
/// The file states none, or is of a kind that holds no named architecture.
pub fn architecture_name(model: &ModelFile) -> Result<&str> {
    match model.format {
        FormatId::Gguf => model.metadata.string("general.architecture").ok_or_else(|| {
            Fault::unsupported("the file has no general.architecture, so nothing says what it computes")
        }),
        FormatId::Safetensors => model.metadata.string("config.model_type").ok_or_else(|| {
            Fault::unsupported(
                "no config.json with a model_type came with the weights: open the whole folder to run it",
            )
        }),
        FormatId::Onnx => Err(Fault::unsupported("operator graphs cannot be run yet")),
        other => Err(Fault::unsupported(format!(
            "{} files are inspected, not run: a GGUF file or a Hugging Face folder with safetensors can be run",
            other.name()
        ))),
    }
}

/// Metadata under a prefix, with faults that name the key.
pub struct Keys<'a> {
    metadata: &'a Metadata,
    prefix: String,
}

impl<'a> Keys<'a> {
    /// Keys that start with `prefix`.
    pub fn new(metadata: &'a Metadata, prefix: impl Into<String>) -> Self {
        Self { metadata, prefix: prefix.into() }
    }
    fn key(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }
    /// The value, where there is one; JSON's null counts as none.
    pub fn get(&self, name: &str) -> Option<&'a MetaValue> {
        self.metadata.get(&self.key(name))
    }
    /// A string.
    pub fn string(&self, name: &str) -> Option<&'a str> {
        self.metadata.string(&self.key(name))
    }
    /// A boolean.
    pub fn boolean(&self, name: &str) -> Option<bool> {
        self.metadata.boolean(&self.key(name))
    }
    /// A finite number above zero.
    ///
    /// # Errors
    /// The value is there and is not such a number.
    pub fn positive(&self, name: &str) -> Result<Option<f64>> {
        let Some(value) = self.get(name) else { return Ok(None) };
        if matches!(value, MetaValue::String(text) if text == "null") {
            return Ok(None);
        }
        match self.metadata.number(&self.key(name)) {
            Some(n) if n.is_finite() && n > 0.0 => Ok(Some(n)),
            _ => Err(wrong(&self.key(name), "a number above zero", value)),
        }
    }
    /// A whole number from 1 to 2^31 - 1. An array counts where all its items are equal.
    ///
    /// # Errors
    /// The value is there and is not such a number; an array's items differ (layers that differ cannot be run).
    pub fn count(&self, name: &str) -> Result<Option<u32>> {
        let Some(mut value) = self.get(name) else { return Ok(None) };
        if matches!(value, MetaValue::String(text) if text == "null") {
            return Ok(None);
        }
        if let MetaValue::Array(array) = value {
            match array.head.split_first() {
                Some((first, rest)) if array.place.is_none() && rest.iter().all(|v| v == first) => value = first,
                _ => return Err(Fault::unsupported(format!("{} differs between layers", self.key(name)))),
            }
        }
        let n = match value {
            MetaValue::Unsigned(n, _) => u32::try_from(*n).ok(),
            MetaValue::Signed(n, _) => u32::try_from(*n).ok(),
            _ => None,
        };
        match n {
            Some(n) if n > 0 && n < 1 << 31 => Ok(Some(n)),
            _ => Err(wrong(&self.key(name), "a whole number above zero", value)),
        }
    }
    /// As [`Keys::count`], required.
    ///
    /// # Errors
    /// Also when the key is missing.
    pub fn need(&self, name: &str) -> Result<u32> {
        self.count(name)?.ok_or_else(|| self.missing(name))
    }
    /// The fault of a missing key.
    pub fn missing(&self, name: &str) -> Fault {
        Fault::unsupported(format!("the metadata has no {}", self.key(name)))
    }
}

fn wrong(key: &str, wanted: &str, found: &MetaValue) -> Fault {
    let found = match found {
        MetaValue::Unsigned(n, _) => n.to_string(),
        MetaValue::Signed(n, _) => n.to_string(),
        MetaValue::Float(n, _) => n.to_string(),
        MetaValue::Bool(b) => b.to_string(),
        MetaValue::String(s) => format!("{:?}", s.chars().take(40).collect::<String>()),
        MetaValue::Array(a) => format!("an array of {}", a.len),
    };
    Fault::new(crate::fault::Blame::File, format!("{key}: {wanted} expected, {found} found"))
}

/// Checks the relations between the numbers; the tensors' shapes are checked where the graph is built.
///
/// # Errors
/// The numbers contradict each other.
pub fn check(c: &Config) -> Result<()> {
    let bad = |what: String| Err(Fault::new(crate::fault::Blame::File, what));
    if c.head_dim == 0 {
        return bad(format!("{} heads in a width of {}", c.heads, c.width));
    }
    if c.heads % c.kv_heads != 0 {
        return bad(format!("{} query heads cannot share {} key heads evenly", c.heads, c.kv_heads));
    }
    if c.rope.dims % 2 != 0 || c.rope.dims > c.head_dim {
        return bad(format!(
            "{} rotated values in heads of {}: an even number up to it expected",
            c.rope.dims, c.head_dim
        ));
    }
    let widest = [u64::from(c.heads) * u64::from(c.head_dim), u64::from(c.width), u64::from(c.ffn)];
    match widest.into_iter().max() {
        Some(n) if n >= 1 << 24 => bad(format!("rows of {n} values are beyond what is run")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::MetaType;

    fn rope(scaling: RopeScaling) -> Rope {
        Rope { dims: 8, theta: 10000.0, neox: false, scaling }
    }

    #[test]
    fn frequencies_fall_from_one_by_powers_of_the_base() {
        let f = rope(RopeScaling::None).frequencies().unwrap();
        for (f, want) in f.iter().zip([1.0, 0.1, 0.01, 0.001]) {
            assert!((f - want).abs() < 1e-12, "{f} {want}");
        }
    }

    #[test]
    fn llama3_scaling_keeps_high_frequencies_and_divides_low_ones() {
        let scaling = RopeScaling::Llama3 { factor: 8.0, low: 1.0, high: 4.0, original: 8192.0 };
        let rope = Rope { dims: 128, theta: 500000.0, neox: false, scaling };
        let plain = Rope { scaling: RopeScaling::None, ..rope.clone() }.frequencies().unwrap();
        let f = rope.frequencies().unwrap();
        assert_eq!(f[0], plain[0]);
        assert_eq!(f[63], plain[63] / 8.0);
        assert!(f.windows(2).all(|w| w[0] > w[1]), "frequencies must fall");
    }

    #[test]
    fn too_few_rotary_factors_are_a_fault() {
        assert!(rope(RopeScaling::Factors(vec![1.0; 3])).table(2).is_err());
    }

    #[test]
    fn a_layer_array_counts_only_where_its_items_are_equal() {
        let array = |items: &[u64]| {
            MetaValue::Array(crate::model::MetaArray {
                item: MetaType::U32,
                len: items.len() as u64,
                head: items.iter().map(|n| MetaValue::Unsigned(*n, MetaType::U32)).collect(),
                place: None,
            })
        };
        let mut m = Metadata::default();
        m.push("a.same", array(&[4, 4]));
        m.push("a.differs", array(&[4, 2]));
        let keys = Keys::new(&m, "a.");
        assert_eq!(keys.count("same").unwrap(), Some(4));
        assert!(keys.count("differs").unwrap_err().what.contains("a.differs"));
    }
}
