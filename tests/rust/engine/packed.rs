//! Weights that quantizers keep in several tensors: each packing against what its own library unpacks
//! (`tests/corpus/make/packed.py`), then whole models against the same models with their weights unpacked.

use std::{collections::BTreeMap, path::Path, rc::Rc};

use glassbox::{
    model::Severity,
    session::{Generation, Inspection, RunSettings, Sampling, unpacked_rows},
    source::{ByteSource, MemorySource, SourceSet},
};
use serde_json::{Value, json as object};

use super::support::{
    PLACES, block_on, corpus, everything, generate, gpu_options, json, off_by, on_device, open, options, turn,
};
use crate::common::writers::safetensors;

/// Per ten units of range. Both sides are ours and have the same weights; f32 sums in another order.
const TOLERANCE: f64 = 2e-4;

/// A tensor of a file: its type, its shape, its bytes.
type Stored = (&'static str, Vec<u64>, Vec<u8>);

fn written<'a>(tensors: impl Iterator<Item = (String, &'a str, &'a [u64], &'a [u8])>) -> Vec<u8> {
    let (mut header, mut data) = (serde_json::Map::new(), Vec::new());
    for (name, dtype, shape, bytes) in tensors {
        let from = data.len();
        data.extend_from_slice(bytes);
        header.insert(name, object!({"dtype": dtype, "shape": shape, "data_offsets": [from, data.len()]}));
    }
    safetensors(&Value::Object(header).to_string(), &data)
}

fn bytes_of(hex: &Value) -> Vec<u8> {
    let hex = hex.as_str().unwrap();
    (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect()
}

fn in_memory(config: &Value, weights: Vec<u8>) -> Inspection {
    let config = config.to_string().into_bytes();
    let files = [("model.safetensors", weights), ("config.json", config)];
    let files = files.map(|(name, bytes)| Rc::new(MemorySource::new(name, bytes)) as Rc<dyn ByteSource>);
    block_on(Inspection::open(SourceSet::new(files))).unwrap()
}

/// A case of the libraries' own file.
fn opened(case: &Value) -> Inspection {
    let tensors = case["tensors"].as_object().unwrap();
    let parts: Vec<(String, &str, Vec<u64>, Vec<u8>)> = tensors
        .iter()
        .map(|(name, t)| {
            let shape = t["shape"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).collect();
            (name.clone(), t["dtype"].as_str().unwrap(), shape, bytes_of(&t["hex"]))
        })
        .collect();
    in_memory(&case["config"], written(parts.iter().map(|(n, d, s, b)| (n.clone(), *d, s.as_slice(), b.as_slice()))))
}

fn cases() -> serde_json::Map<String, Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/corpus/packed/packed.json");
    json(&path).as_object().unwrap().clone()
}

#[test]
fn every_packing_unpacks_to_what_its_own_library_makes_of_it() {
    for (name, case) in cases() {
        let inspection = opened(&case);
        let packed = inspection.model().packed();
        let [one] = packed.as_slice() else { panic!("{name}: {} packed weights found", packed.len()) };
        let shape: Vec<u64> = case["shape"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).collect();
        assert_eq!(one.stem, "x", "{name}");
        assert!(one.shape.as_ref().is_none_or(|s| s.0 == shape), "{name}: {:?}", one.shape);
        assert_eq!(inspection.model().parameters(), shape[0] * shape[1], "{name}: values are counted, not tensors");
        let [rows, row_len] = [shape[0] as u32, shape[1] as u32];
        let got = block_on(unpacked_rows(&inspection, one.main, [rows, row_len], 0..rows)).unwrap();
        let want = bytes_of(&case["values"]);
        let want: Vec<f32> = want.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
        // Some libraries round what they unpack to the type of the scales.
        let rounded = case["tensors"].as_object().unwrap().iter().find(|(n, _)| n.contains("scale"));
        let own = match rounded.map(|(_, t)| t["dtype"].as_str().unwrap()) {
            _ if name.starts_with("GPTQ") || name.starts_with("MLX") => 1e-6,
            _ if name.contains("fp4-pack") => 1.0 / 256.0,
            Some("BF16") => 1.0 / 256.0,
            Some("F16") => 1.0 / 1024.0,
            _ => 1e-6,
        };
        let sampled: Vec<f32> = got.iter().step_by(13).copied().collect();
        assert_eq!(sampled.len(), want.len(), "{name}");
        for (i, (got, want)) in sampled.iter().zip(&want).enumerate() {
            assert!(
                (got - want).abs() <= own * want.abs().max(1e-3),
                "{name}, value {}: {got}, {want} expected",
                13 * i
            );
        }
        // Single rows are those of all.
        let row = block_on(unpacked_rows(&inspection, one.main, [rows, row_len], 1..2)).unwrap();
        assert_eq!(row, got[row_len as usize..2 * row_len as usize], "{name}");
    }
}

#[test]
fn damaged_packings_are_refused_or_not_taken_for_packings() {
    for (name, case) in cases() {
        // Without its scales nothing is packed; with one of them left out, nothing fits.
        for part in
            case["tensors"].as_object().unwrap().keys().filter(|k| k.ends_with("scales") || k.ends_with("absmax"))
        {
            let mut without = case.clone();
            without["tensors"].as_object_mut().unwrap().remove(part);
            let left = opened(&without);
            assert!(left.model().packed().is_empty(), "{name} without {part}");
        }
        let Some(groups) = case["tensors"].get("x.g_idx") else { continue };
        let mut beyond = case.clone();
        let n = groups["shape"][0].as_u64().unwrap() as usize;
        beyond["tensors"]["x.g_idx"]["hex"] = "e8030000".repeat(n).into();
        let inspection = opened(&beyond);
        let main = inspection.model().packed()[0].main;
        let shape = [beyond["shape"][0].as_u64().unwrap() as u32, beyond["shape"][1].as_u64().unwrap() as u32];
        let fault = block_on(unpacked_rows(&inspection, main, shape, 0..1)).unwrap_err().to_string();
        assert!(fault.contains("group 1000"), "{name}: {fault}");
    }
}

/// A matrix `[outputs, inputs]` and how its inputs are grouped.
struct Matrix<'a> {
    values: &'a [f32],
    outputs: usize,
    inputs: usize,
    group_of: &'a dyn Fn(usize) -> usize,
}

fn half(value: f32) -> u16 {
    glassbox::tensor::float::to_f16(value)
}

impl Matrix<'_> {
    fn groups(&self) -> usize {
        self.inputs / 32
    }
    /// Scales `[outputs][groups]` as halves, and codes from 0 to 15 of which 8 is zero.
    fn coded(&self) -> (Vec<Vec<f32>>, Vec<Vec<u32>>) {
        let rows = self.values.chunks_exact(self.inputs);
        rows.map(|row| {
            let most = |g: usize| {
                (0..self.inputs).filter(|i| (self.group_of)(*i) == g).map(|i| row[i].abs()).fold(1e-4f32, f32::max)
            };
            let scales: Vec<f32> =
                (0..self.groups()).map(|g| glassbox::tensor::float::f16(half(most(g) / 7.0))).collect();
            let code = |i: usize| ((row[i] / scales[(self.group_of)(i)]).round() + 8.0).clamp(0.0, 15.0) as u32;
            let codes = (0..self.inputs).map(code).collect();
            (scales, codes)
        })
        .unzip()
    }
    /// `[groups, outputs]` halves.
    fn turned(&self, scales: &[Vec<f32>]) -> Stored {
        let all =
            (0..self.groups()).flat_map(|g| scales.iter().flat_map(move |row| half(row[g]).to_le_bytes())).collect();
        ("F16", vec![self.groups() as u64, self.outputs as u64], all)
    }
    fn gptq(&self, name: &str, out: &mut BTreeMap<String, Stored>) {
        let (scales, codes) = self.coded();
        let (outputs, groups) = (self.outputs as u64, self.groups() as u64);
        let word = |w: usize, o: usize| (0..8).map(|k| codes[o][8 * w + k] << (4 * k)).sum::<u32>().to_le_bytes();
        let words = (0..self.inputs / 8).flat_map(|w| (0..self.outputs).flat_map(move |o| word(w, o))).collect();
        out.insert(format!("{name}.qweight"), ("I32", vec![self.inputs as u64 / 8, outputs], words));
        // The first format keeps zeros one less than they are.
        let zeros = vec![0x77; (groups * outputs / 2) as usize];
        out.insert(format!("{name}.qzeros"), ("I32", vec![groups, outputs / 8], zeros));
        out.insert(format!("{name}.scales"), self.turned(&scales));
        let order = (0..self.inputs).flat_map(|i| ((self.group_of)(i) as u32).to_le_bytes()).collect();
        out.insert(format!("{name}.g_idx"), ("I32", vec![self.inputs as u64], order));
    }
    fn awq(&self, name: &str, out: &mut BTreeMap<String, Stored>) {
        const ORDER: [usize; 8] = [0, 2, 4, 6, 1, 3, 5, 7];
        let (scales, codes) = self.coded();
        let (outputs, groups) = (self.outputs as u64, self.groups() as u64);
        let word =
            |i: usize, w: usize| (0..8).map(|k| codes[8 * w + ORDER[k]][i] << (4 * k)).sum::<u32>().to_le_bytes();
        let words = (0..self.inputs).flat_map(|i| (0..self.outputs / 8).flat_map(move |w| word(i, w))).collect();
        out.insert(format!("{name}.qweight"), ("I32", vec![self.inputs as u64, outputs / 8], words));
        out.insert(
            format!("{name}.qzeros"),
            ("I32", vec![groups, outputs / 8], vec![0x88; (groups * outputs / 2) as usize]),
        );
        out.insert(format!("{name}.scales"), self.turned(&scales));
    }
    fn mlx(&self, name: &str, out: &mut BTreeMap<String, Stored>) {
        let (scales, codes) = self.coded();
        let shape = |n: usize| vec![self.outputs as u64, n as u64];
        let words = codes.iter().flat_map(|row| row.chunks(2).map(|c| (c[0] | c[1] << 4) as u8)).collect();
        out.insert(format!("{name}.weight"), ("U32", shape(self.inputs / 8), words));
        let halves = |by: f32| scales.iter().flatten().flat_map(|s| half(s * by).to_le_bytes()).collect::<Vec<u8>>();
        out.insert(format!("{name}.scales"), ("F16", shape(self.groups()), halves(1.0)));
        out.insert(format!("{name}.biases"), ("F16", shape(self.groups()), halves(-8.0)));
    }
    fn bits_and_bytes(&self, name: &str, out: &mut BTreeMap<String, Stored>) {
        // Any table will do; the library's own is in the cases above.
        let table: Vec<f32> = (0..16).map(|i| (i as f32 - 7.5) / 7.5).collect();
        let (mut most, mut codes) = (Vec::new(), Vec::new());
        for block in self.values.chunks(64) {
            let scale = block.iter().fold(1e-6f32, |m, v| m.max(v.abs()));
            most.push(scale);
            codes.extend(block.iter().map(|v| (v / scale * 7.5 + 7.5).round() as u8));
        }
        let pairs: Vec<u8> = codes.chunks(2).map(|c| c[0] << 4 | c[1]).collect();
        let floats = |v: &[f32]| v.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
        out.insert(format!("{name}.weight"), ("U8", vec![pairs.len() as u64, 1], pairs));
        out.insert(format!("{name}.weight.absmax"), ("F32", vec![most.len() as u64], floats(&most)));
        out.insert(format!("{name}.weight.quant_map"), ("F32", vec![16], floats(&table)));
    }
}

/// How a model is packed: its name, what packs a matrix, its settings, what becomes of it, whether exactly.
type Packer = fn(&Matrix<'_>, &str, &mut BTreeMap<String, Stored>);

#[test]
fn packed_folders_give_the_logits_of_the_same_models_unpacked() {
    let _turn = turn();
    let Some(corpus) = corpus("a tiny llama") else { return };
    let base = corpus.join("arch/llama/hf");
    let plain = |i: usize| i / 32;
    let woven = |i: usize| i % 2;
    let settings = |method: &str| object!({"quant_method": method, "bits": 4, "group_size": 32});
    type Order<'a> = &'a dyn Fn(usize) -> usize;
    let packers: [(&str, Packer, Value, Order<'_>, &str, bool); 5] = [
        ("GPTQ", |m, name, out| m.gptq(name, out), settings("gptq"), &plain, "kept as Q4_0, exactly", true),
        (
            "GPTQ in an order of its own",
            |m, name, out| m.gptq(name, out),
            settings("gptq"),
            &woven,
            "widened to F16",
            false,
        ),
        ("AWQ", |m, name, out| m.awq(name, out), settings("awq"), &plain, "kept as Q4_0, exactly", true),
        (
            "MLX",
            |m, name, out| m.mlx(name, out),
            object!({"group_size": 32, "bits": 4}),
            &plain,
            "kept as Q4_1, exactly",
            true,
        ),
        (
            "bitsandbytes",
            |m, name, out| m.bits_and_bytes(name, out),
            settings("bitsandbytes"),
            &plain,
            "widened to F16",
            false,
        ),
    ];
    for (what, pack, settings, order, told, exact) in packers {
        let folders = packed_and_plain(&base, pack, &settings, order, exact);
        for place in PLACES.iter().filter(|p| p.2 != Some("subgroup") || everything()) {
            let [packed, plain] = [&folders[0], &folders[1]].map(|f| loaded(f.path(), place));
            let (Some(mut packed), Some(mut plain)) = (packed, plain) else { continue };
            let prompt: Vec<u32> = (0..11).map(|i| (i * 37 + 5) % 380).collect();
            let want = block_on(plain.prompt_logits(&prompt)).unwrap();
            let off = off_by(&block_on(packed.prompt_logits(&prompt)).unwrap(), &want);
            eprintln!("{what}, {}: off by {off:.1e}", place.0);
            assert!(off < TOLERANCE, "{what}, {}: off by {off:.1e}", place.0);
            let notes = generate(&mut packed, &prompt, &options(1, Sampling::greedy())).notes;
            assert!(notes.iter().any(|n| n.contains(told)), "{what}: {told:?} is not in {notes:?}");
        }
    }
}

fn loaded(path: &Path, place: &super::support::Place) -> Option<Generation> {
    let settings = RunSettings { context: Some(64), rows: 16, outputs: 16, ..RunSettings::default() };
    let loaded = block_on(Generation::load(open(path), place.1.clone(), gpu_options(place), &settings, &mut |_| {}));
    on_device(loaded, &path.display().to_string(), place)
}

/// A model's folder with its matrices packed, and one with what they unpack to.
fn packed_and_plain(
    base: &Path,
    pack: Packer,
    settings: &Value,
    order: &dyn Fn(usize) -> usize,
    exact: bool,
) -> [tempfile::TempDir; 2] {
    let from = open(base);
    let mut tensors: BTreeMap<String, Stored> = BTreeMap::new();
    for (i, t) in from.model().tensors.iter().enumerate() {
        let values = block_on(from.peek(i, 0..u64::MAX, false, &mut |_| {})).unwrap().values;
        match (t.name.strip_suffix(".weight").filter(|n| n.ends_with("_proj")), t.shape.0.as_slice()) {
            (Some(stem), &[outputs, inputs]) => {
                let (outputs, inputs) = (outputs as usize, inputs as usize);
                let group_of = |i: usize| order(i) % (inputs / 32);
                pack(&Matrix { values: &values, outputs, inputs, group_of: &group_of }, stem, &mut tensors);
            }
            _ => {
                let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
                tensors.insert(t.name.clone(), ("F32", t.shape.0.clone(), bytes));
            }
        }
    }
    let mut config = json(&base.join("config.json"));
    let plain = folder(&config, &BTreeMap::new());
    let key = if settings.get("quant_method").is_some() { "quantization_config" } else { "quantization" };
    config[key] = settings.clone();
    let packed = folder(&config, &tensors);
    let inspection = open(packed.path());
    assert!(inspection.support().is_ok(), "{:?}", inspection.support());
    assert_eq!(inspection.model().parameters(), from.model().parameters());
    let errors: Vec<_> = inspection.findings().iter().filter(|n| n.severity >= Severity::Warning).collect();
    assert!(errors.is_empty(), "{errors:?}");
    let mut unpacked: BTreeMap<String, Stored> = tensors
        .iter()
        .filter(|(name, _)| !name.contains("_proj"))
        .map(|(name, stored)| (name.clone(), stored.clone()))
        .collect();
    for one in inspection.model().packed() {
        let name = format!("{}.weight", one.stem);
        let shape = from.model().tensor(&name).unwrap().shape.0.clone();
        let [rows, row_len] = [shape[0] as u32, shape[1] as u32];
        let values = block_on(unpacked_rows(&inspection, one.main, [rows, row_len], 0..rows)).unwrap();
        // What is widened is rounded to halves: the rest of the way is to be exact.
        let kept = |v: &f32| if exact { *v } else { glassbox::tensor::float::f16(half(*v)) };
        unpacked.insert(name, ("F32", shape, values.iter().flat_map(|v| kept(v).to_le_bytes()).collect()));
    }
    std::fs::write(plain.path().join("model.safetensors"), weights(&unpacked)).unwrap();
    [packed, plain]
}

fn weights(tensors: &BTreeMap<String, Stored>) -> Vec<u8> {
    written(tensors.iter().map(|(n, (d, s, b))| (n.clone(), *d, s.as_slice(), b.as_slice())))
}

fn folder(config: &Value, tensors: &BTreeMap<String, Stored>) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    std::fs::write(folder.path().join("model.safetensors"), weights(tensors)).unwrap();
    folder
}
