//! `glassbox quantize` as a user meets it.

use std::{fs, process::Command};

use super::{glassbox, json, path, sample};

fn said(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn quantize_writes_a_model_that_runs_and_says_how_far_its_values_moved() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("q4.gguf");
    let source = sample("gguf/sample-f16.gguf");
    let report = json(&["quantize", path(&source), path(&file), "--type", "Q4_K_M", "--json"]);
    assert_eq!(report["output_bytes"].as_u64().unwrap(), fs::metadata(&file).unwrap().len());
    assert!(report["bytes_after"].as_u64() < report["bytes_before"].as_u64());
    let down = &report["tensors"].as_array().unwrap().iter().find(|t| t["name"] == "blk.0.ffn_up.weight").unwrap();
    assert_eq!((down["to"].as_str(), down["why"].as_str()), (Some("Q4_K"), Some("mix")));
    let error = down["relative_error"].as_f64().unwrap();
    assert!(error > 0.01 && error < 0.2, "{error}");
    let inspected = json(&["inspect", path(&file), "--json"]);
    assert!(inspected["notes"].as_array().unwrap().iter().all(|n| n["severity"] == "info"), "{}", inspected["notes"]);
    let said = json(&["run", path(&file), "-p", "Once", "-n", "4", "--temp", "0", "--device", "cpu", "--json"]);
    assert!(!said["text"].as_str().unwrap().is_empty());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_trial_shows_the_plan_and_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("none.gguf");
    let source = sample("gguf/sample-f16.gguf");
    let trial = json(&["quantize", path(&source), path(&file), "--type", "Q5_K_S", "--dry-run", "--json"]);
    assert!(trial["output"].is_null() && !file.exists());
    let real = json(&["quantize", path(&source), path(&file), "--type", "Q5_K_S", "--json"]);
    for (a, b) in trial["tensors"].as_array().unwrap().iter().zip(real["tensors"].as_array().unwrap()) {
        assert_eq!((&a["name"], &a["to"], &a["bytes_after"]), (&b["name"], &b["to"], &b["bytes_after"]));
    }
    let text = glassbox(&["quantize", path(&source), "--type", "IQ4_XS", "--dry-run"]);
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    assert!(
        text.contains("Nothing was written") && text.contains("-> IQ4_XS") && text.contains("bits for each"),
        "{text}"
    );
}

#[test]
fn what_quantize_cannot_do_is_told_with_an_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("out.gguf");
    let (f16, q8) = (sample("gguf/sample-f16.gguf"), sample("gguf/sample-q8_0.gguf"));
    for (args, code, words) in [
        (vec!["quantize", path(&f16), path(&file), "--type", "IQ2_XXS"], 1, "needs an importance matrix"),
        (vec!["quantize", path(&f16), path(&file), "--type", "Q4"], 2, "no type is called \"Q4\""),
        (vec!["quantize", path(&f16), path(&file), "--tensor", "attn"], 2, "PATTERN=TYPE"),
        (vec!["quantize", path(&f16)], 2, "required"),
        (vec!["quantize", path(&q8), path(&file)], 2, "--allow-requantize"),
        (vec!["quantize", path(&f16), path(folder.path())], 2, "a folder or a device found"),
    ] {
        let output = glassbox(&args);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {}", said(&output));
        assert!(said(&output).contains(words), "{args:?}: {}", said(&output));
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// The shell limits how long a file may grow, which a full disk would do as well.
#[cfg(unix)]
#[test]
fn a_file_that_cannot_be_written_whole_leaves_the_old_one_and_nothing_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("model.gguf");
    fs::write(&file, "old").unwrap();
    let script = "trap '' XFSZ; ulimit -f 64; exec \"$0\" \"$@\"";
    let source = sample("gguf/sample-f16.gguf");
    let output = Command::new("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_glassbox"), "quantize", path(&source), path(&file), "--type", "Q8_0"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    assert!(said(&output).contains("model.gguf: cannot be written"), "{}", said(&output));
    assert_eq!(fs::read(&file).unwrap(), b"old");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}
