//! Weights that quantizers of folders keep in several tensors: which belong together, and what they are. A packing is a row of
//! [`PACKINGS`].

use std::collections::HashMap;

use super::{ModelFile, TensorEntry};
use crate::tensor::{
    Encoding, Shape,
    packed::{Layout, Spread},
};

mod rows;

/// What a tensor is to a packed weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PackedPart {
    /// The scales.
    Scales,
    /// What is subtracted from codes.
    Zeros,
    /// What is added behind the scale.
    Biases,
    /// The group of each input.
    Groups,
    /// A scale of scales, or what is known of scales that are codes themselves.
    Second,
    /// What codes mean.
    Table,
    /// What codes of scales mean.
    SecondTable,
    /// A description that is not needed.
    Other,
}

/// How zeros are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Zeros {
    /// There are none.
    None,
    /// The middle of the codes.
    Centre,
    /// Words `[groups, outputs * bits / 32]`, one less than they are where `true`.
    Rows(bool),
    /// AWQ's words.
    Woven,
    /// Words `[outputs * bits / 32, groups]`.
    Columns,
    /// Numbers that lie as the scales do.
    Plain,
}

/// What becomes of scales before they are used.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scaling {
    /// Times a number.
    Times(f32),
    /// Times the one value of [`PackedPart::Second`].
    BySecond,
    /// Divided by it.
    OverSecond,
    /// They are codes: an entry of [`PackedPart::SecondTable`] times a scale of [`PackedPart::Second`], plus an offset of the file.
    Nested,
    /// A power of two, by its exponent.
    Exponents,
}

/// A packed weight.
#[derive(Debug, Clone, PartialEq)]
pub struct Packed {
    /// Its name without what the packing adds: "model.layers.0.mlp.up_proj".
    pub stem: String,
    /// The packing's name, for people.
    pub packing: &'static str,
    /// How it is packed.
    pub layout: Layout,
    /// Its shape; `None` where only the number of values is known, which [`Layout`] then has as one row.
    pub shape: Option<Shape>,
    /// The blocks that hold it exactly where its scales allow; else F16 holds it nearly.
    pub blocks: Option<Encoding>,
    /// How zeros are kept.
    pub zeros: Zeros,
    /// What becomes of scales.
    pub scaling: Scaling,
    /// The tensor of the codes.
    pub main: usize,
    /// The others.
    pub parts: Vec<(PackedPart, usize)>,
}

impl Packed {
    /// The tensor of a part.
    pub fn part(&self, part: PackedPart) -> Option<usize> {
        self.parts.iter().find(|(p, _)| *p == part).map(|(_, i)| *i)
    }
    /// Values of the weight.
    pub fn elements(&self) -> Option<u64> {
        self.layout.rows.checked_mul(self.layout.row_len)
    }
    /// Inputs that share a scale, for people: "groups of 128".
    pub fn grouping(&self) -> String {
        match self.layout.spread {
            Spread::Flat { block } => format!("blocks of {block}"),
            Spread::Blocks { rows, columns, .. } if rows > 1 && columns < self.layout.row_len => {
                format!("blocks of {rows} x {columns}")
            }
            Spread::Blocks { rows, .. } if rows >= self.layout.rows && self.layout.rows > 1 => "one scale".into(),
            Spread::Blocks { columns, .. } | Spread::Turned { columns, .. } if columns >= self.layout.row_len => {
                "a scale a row".into()
            }
            Spread::Blocks { columns, .. } | Spread::Turned { columns, .. } => format!("groups of {columns}"),
        }
    }
}

/// A packing: how its tensors are named, and what they mean.
struct Packing {
    name: &'static str,
    /// What follows the stem in the name of the codes.
    main: &'static str,
    /// The other tensors: what they are, what follows the stem, and whether they must be there.
    parts: &'static [(PackedPart, &'static str, bool)],
    /// What the tensors' shapes and types say; `None` where they are not of this packing.
    read: fn(&Found<'_>) -> Option<Facts>,
}

/// The packings that are read; where several have the same names, the first whose tensors fit counts.
static PACKINGS: &[Packing] = &[
    Packing {
        name: "GPTQ",
        main: ".qweight",
        parts: &[
            (PackedPart::Scales, ".scales", true),
            (PackedPart::Zeros, ".qzeros", true),
            (PackedPart::Groups, ".g_idx", false),
        ],
        read: rows::gptq,
    },
    Packing {
        name: "AWQ",
        main: ".qweight",
        parts: &[(PackedPart::Scales, ".scales", true), (PackedPart::Zeros, ".qzeros", true)],
        read: rows::awq,
    },
    Packing {
        name: "NVFP4",
        main: ".weight_packed",
        parts: &[
            (PackedPart::Scales, ".weight_scale", true),
            (PackedPart::Second, ".weight_global_scale", true),
            (PackedPart::Other, ".input_global_scale", false),
        ],
        read: rows::nvfp4,
    },
    Packing {
        name: "MXFP4",
        main: ".weight_packed",
        parts: &[(PackedPart::Scales, ".weight_scale", true)],
        read: rows::mxfp4,
    },
    Packing {
        name: "compressed-tensors",
        main: ".weight_packed",
        parts: &[
            (PackedPart::Scales, ".weight_scale", true),
            (PackedPart::Zeros, ".weight_zero_point", false),
            (PackedPart::Groups, ".weight_g_idx", false),
            (PackedPart::Other, ".weight_shape", false),
        ],
        read: rows::pack_quantized,
    },
    Packing {
        name: "NVFP4",
        main: ".weight",
        parts: &[
            (PackedPart::Scales, ".weight_scale", true),
            (PackedPart::Second, ".weight_scale_2", true),
            (PackedPart::Other, ".input_scale", false),
        ],
        read: rows::nvfp4_of_modelopt,
    },
    Packing {
        name: "bitsandbytes",
        main: ".weight",
        parts: &[
            (PackedPart::Scales, ".weight.absmax", true),
            (PackedPart::Table, ".weight.quant_map", true),
            (PackedPart::Second, ".weight.nested_absmax", false),
            (PackedPart::SecondTable, ".weight.nested_quant_map", false),
            (PackedPart::Other, ".weight.quant_state.bitsandbytes__nf4", false),
            (PackedPart::Other, ".weight.quant_state.bitsandbytes__fp4", false),
        ],
        read: rows::bits_and_bytes,
    },
    Packing {
        name: "bitsandbytes",
        main: ".weight",
        parts: &[(PackedPart::Scales, ".SCB", true), (PackedPart::Other, ".weight_format", false)],
        read: rows::int8,
    },
    Packing {
        name: "MLX",
        main: ".weight",
        parts: &[(PackedPart::Scales, ".scales", true), (PackedPart::Biases, ".biases", true)],
        read: rows::mlx,
    },
    Packing {
        name: "MLX MXFP4",
        main: ".weight",
        parts: &[(PackedPart::Scales, ".scales", true)],
        read: rows::mlx_mxfp4,
    },
    Packing {
        name: "FP8",
        main: ".weight",
        parts: &[(PackedPart::Scales, ".weight_scale_inv", true), (PackedPart::Other, ".activation_scale", false)],
        read: rows::scaled,
    },
    Packing {
        name: "scaled",
        main: ".weight",
        parts: &[
            (PackedPart::Scales, ".weight_scale", true),
            (PackedPart::Zeros, ".weight_zero_point", false),
            (PackedPart::Other, ".input_scale", false),
        ],
        read: rows::scaled,
    },
];

/// The tensors of one weight.
struct Found<'a> {
    model: &'a ModelFile,
    stem: &'a str,
    main: &'a TensorEntry,
    parts: &'a [(PackedPart, usize)],
}

/// What is known of it.
struct Facts {
    layout: Layout,
    /// `None`: its shape is not known.
    shape: Option<Vec<u64>>,
    blocks: Option<Encoding>,
    zeros: Zeros,
    scaling: Scaling,
}

impl Found<'_> {
    fn part(&self, part: PackedPart) -> Option<&TensorEntry> {
        self.parts.iter().find(|(p, _)| *p == part).map(|(_, i)| &self.model.tensors[*i])
    }
    fn scales(&self) -> Option<&TensorEntry> {
        self.part(PackedPart::Scales)
    }
    /// A number of the quantizer's settings, of this weight's own where it has some.
    fn number(&self, key: &str) -> Option<u64> {
        let of = |prefix: &str| {
            let own = format!("{prefix}.{}.{key}", self.stem);
            self.model.metadata.unsigned(&own).or_else(|| self.model.metadata.unsigned(&format!("{prefix}.{key}")))
        };
        of("config.quantization_config").or_else(|| of("config.quantization"))
    }
    fn text(&self, key: &str) -> &str {
        self.model.metadata.string(&format!("config.quantization_config.{key}")).unwrap_or_default()
    }
}

impl ModelFile {
    /// The weights that the file keeps in several tensors, by the place of their codes.
    pub fn packed(&self) -> Vec<Packed> {
        // Most files have none, and nothing is looked up for them.
        let marks = [".scales", "weight_scale", ".absmax", ".SCB", "_scale_inv"];
        if !self.tensors.iter().any(|t| marks.iter().any(|mark| t.name.ends_with(mark))) {
            return Vec::new();
        }
        let by_name: HashMap<&str, usize> =
            self.tensors.iter().enumerate().map(|(i, t)| (t.name.as_str(), i)).collect();
        let mut all = Vec::new();
        for (i, tensor) in self.tensors.iter().enumerate() {
            all.extend(PACKINGS.iter().find_map(|row| self.packed_by(row, i, tensor, &by_name)));
        }
        all
    }
    fn packed_by(
        &self,
        row: &Packing,
        main: usize,
        tensor: &TensorEntry,
        by_name: &HashMap<&str, usize>,
    ) -> Option<Packed> {
        let stem = tensor.name.strip_suffix(row.main)?;
        let mut parts = Vec::new();
        for (part, end, needed) in row.parts {
            match by_name.get(format!("{stem}{end}").as_str()) {
                Some(i) => parts.push((*part, *i)),
                None if *needed => return None,
                None => {}
            }
        }
        let found = Found { model: self, stem, main: tensor, parts: &parts };
        let Facts { layout, shape, blocks, zeros, scaling } = (row.read)(&found)?;
        let fits = blocks.is_some_and(|b| layout.row_len % b.spec().map_or(1, |s| u64::from(s.block_len)) == 0);
        Some(Packed {
            stem: stem.to_owned(),
            packing: row.name,
            layout,
            shape: shape.map(Shape),
            blocks: blocks.filter(|_| fits),
            zeros,
            scaling,
            main,
            parts,
        })
    }
}
