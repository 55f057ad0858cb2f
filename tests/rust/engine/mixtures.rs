//! Tiny models with experts whose logits were computed in numpy after transformers' modeling files (`tests/corpus/make/mixtures.py`):
//! kinds that the corpus of other programs' models does not have.

use std::path::Path;

use glassbox::session::{RunSettings, passes};

use super::support::{PLACES, block_on, ids, json, load, off_by, turn};

/// Folders, and whether the tests on a software GPU have them.
const MODELS: &[(&str, bool)] = &[
    ("deepseek_v2", false),
    ("deepseek_v3", true),
    ("dots1", false),
    ("ernie4_5_moe", false),
    ("glm4_moe", true),
    ("hunyuan_v1_moe", false),
    ("minimax_m2", false),
];

/// Per ten units of range.
const TOLERANCE: f64 = 2e-3;

#[test]
fn kinds_of_experts_give_what_numpy_computed() {
    let _turn = turn();
    let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/corpus/mixtures");
    let none: Vec<String> = passes().iter().map(|(name, _)| (*name).to_owned()).collect();
    for place in &PLACES {
        for (name, _) in MODELS.iter().filter(|(_, on_gpu)| *on_gpu || place.2.is_none()) {
            let folder = home.join(name);
            let reference = json(&folder.join("reference.json"));
            let rows = reference["logits"].as_array().unwrap().iter();
            let row = |row: &serde_json::Value| -> Vec<f32> {
                row.as_array().unwrap().iter().map(|v| v.as_f64().unwrap() as f32).collect()
            };
            let want: Vec<Vec<f32>> = rows.map(row).collect();
            for disabled in [Vec::new(), none.clone()] {
                let settings = RunSettings {
                    context: Some(64),
                    rows: 16,
                    outputs: 16,
                    disabled_passes: disabled,
                    ..RunSettings::default()
                };
                let Some(mut model) = load(&folder, place, &settings) else { return };
                let off = off_by(&block_on(model.prompt_logits(&ids(&reference["prompt"]))).unwrap(), &want);
                eprintln!("{name}, {}: off by {off:.1e}", place.0);
                assert!(off < TOLERANCE, "{name}, {}: off by {off:.1e}", place.0);
            }
        }
    }
}
