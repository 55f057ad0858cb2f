//! Hugging Face folders: classes, quantization methods, parts of models, missing weights.

use super::*;

const LLAMA_CONFIG: &str = r#"{"architectures":["LlamaForCausalLM"],"model_type":"llama","hidden_size":8,"intermediate_size":16,"num_hidden_layers":1,"num_attention_heads":2,"num_key_value_heads":2,"vocab_size":4,"max_position_embeddings":16,"rms_norm_eps":1e-5,"tie_word_embeddings":true}"#;

/// Safetensors with tensors of these names and shapes, of F32.
fn weights(tensors: &[(&str, &[u64])]) -> Vec<u8> {
    let (mut header, mut at) = (String::from("{"), 0);
    for (i, (name, shape)) in tensors.iter().enumerate() {
        let bytes = shape.iter().product::<u64>() * 4;
        let comma = if i > 0 { "," } else { "" };
        header +=
            &format!(r#"{comma}"{name}":{{"dtype":"F32","shape":{shape:?},"data_offsets":[{at},{}]}}"#, at + bytes);
        at += bytes;
    }
    safetensors(&(header + "}"), &vec![0; at as usize])
}

fn llama_weights() -> Vec<u8> {
    let layer = |n: &'static str| format!("model.layers.0.{n}.weight");
    let names: Vec<(String, Vec<u64>)> = vec![
        ("model.embed_tokens.weight".into(), vec![4, 8]),
        ("model.norm.weight".into(), vec![8]),
        (layer("input_layernorm"), vec![8]),
        (layer("post_attention_layernorm"), vec![8]),
        (layer("self_attn.q_proj"), vec![8, 8]),
        (layer("self_attn.k_proj"), vec![8, 8]),
        (layer("self_attn.v_proj"), vec![8, 8]),
        (layer("self_attn.o_proj"), vec![8, 8]),
        (layer("mlp.gate_proj"), vec![16, 8]),
        (layer("mlp.up_proj"), vec![16, 8]),
        (layer("mlp.down_proj"), vec![8, 16]),
    ];
    let named: Vec<(&str, &[u64])> = names.iter().map(|(n, s)| (n.as_str(), s.as_slice())).collect();
    weights(&named)
}

const TOKENIZER: &[u8] = br#"{"version":"1.0","truncation":null,"padding":null,"added_tokens":[],"model":{"type":"BPE","vocab":{"a":0,"b":1,"c":2,"d":3},"merges":[]}}"#;

fn folder(config: &str, more: &[(&str, &[u8])]) -> Json {
    let model = llama_weights();
    let mut files: Vec<(&str, &[u8])> = vec![("model.safetensors", &model)];
    if !config.is_empty() {
        files.push(("config.json", config.as_bytes()));
    }
    files.extend(more);
    report(in_memory(&files))
}

/// The configuration with members added, or put in the place of others.
fn config(change: &str) -> String {
    let mut base: Json = serde_json::from_str(LLAMA_CONFIG).expect("is JSON");
    let change: Json = serde_json::from_str(change).expect("is JSON");
    for (key, value) in change.as_object().expect("an object") {
        base[key] = value.clone();
    }
    base.to_string()
}

const TRANSFORMERS: &str = "PyTorch with transformers";

#[test]
fn a_whole_folder_runs_where_its_class_is_known() {
    let whole = folder(LLAMA_CONFIG, &[("tokenizer.json", TOKENIZER)]);
    for program in [TRANSFORMERS, "vLLM", "MLX", "LM Studio", "Glassbox"] {
        assert_ruling(&whole, program, "yes", "", "a whole folder");
    }
    assert_ruling(&whole, "llama.cpp", "no", "convert_hf_to_gguf.py converts LlamaForCausalLM", "a whole folder");
    assert_ruling(&whole, "sentence-transformers", "no", "modules.json", "a decoder");
    let silent = folder(LLAMA_CONFIG, &[]);
    for program in [TRANSFORMERS, "vLLM", "MLX", "Glassbox"] {
        assert_ruling(&silent, program, "partly", "tokenizer", "a folder without its tokenizer");
    }
}

#[test]
fn folders_that_transformers_refuses_are_refused_in_its_words() {
    let unknown = config(r#"{"model_type":"foobar9","architectures":["Foobar9ForCausalLM"]}"#);
    let coded = config(
        r#"{"model_type":"foobar9","architectures":["Foobar9ForCausalLM"],"auto_map":{"AutoConfig":"configuration_foobar9.Foobar9Config","AutoModelForCausalLM":"modeling_foobar9.Foobar9ForCausalLM"}}"#,
    );
    let tokenizer: (&str, &[u8]) = ("tokenizer.json", TOKENIZER);
    let report = folder(&unknown, &[tokenizer]);
    assert_ruling(&report, TRANSFORMERS, "no", "foobar9", "an unknown model type");
    assert_ruling(&report, "vLLM", "no", "foobar9", "an unknown model type");
    assert_ruling(&report, "MLX", "no", "Model type foobar9 not supported", "an unknown model type");
    let report = folder(&coded, &[tokenizer]);
    assert_ruling(&report, TRANSFORMERS, "partly", "trust_remote_code", "its own code");
    assert_ruling(&report, TRANSFORMERS, "partly", "configuration_foobar9.py is not here", "code that is not here");
    let nameless = folder(r#"{"hidden_size":8}"#, &[tokenizer]);
    assert_ruling(&nameless, TRANSFORMERS, "no", "model_type", "no model type");
    assert_ruling(&folder("", &[]), TRANSFORMERS, "partly", "config.json", "weights alone");
    // A tensor is not there, or of another shape.
    let half = weights(&[("model.embed_tokens.weight", &[4, 8]), ("model.layers.0.input_layernorm.weight", &[8])]);
    let lacking =
        self::report(in_memory(&[("model.safetensors", &half), ("config.json", LLAMA_CONFIG.as_bytes()), tokenizer]));
    assert_ruling(&lacking, TRANSFORMERS, "no", "model.norm.weight", "tensors are missing");
    let wide = folder(&config(r#"{"intermediate_size":32}"#), &[tokenizer]);
    assert_ruling(&wide, TRANSFORMERS, "no", "shape", "tensors of another shape");
}

#[test]
fn quantized_folders_need_their_package_or_another_program() {
    let tokenizer: (&str, &[u8]) = ("tokenizer.json", TOKENIZER);
    let quantized = |settings: &str| folder(&config(&format!(r#"{{"quantization_config":{settings}}}"#)), &[tokenizer]);
    for (settings, words) in [
        (r#"{"quant_method":"gptq","bits":4,"group_size":128}"#, "gptqmodel"),
        (r#"{"quant_method":"awq","bits":4}"#, "gptqmodel"),
        (r#"{"quant_method":"bitsandbytes","load_in_4bit":true}"#, "bitsandbytes"),
        (r#"{"quant_method":"fp8","weight_block_size":[128,128]}"#, "FP8"),
        (r#"{"quant_method":"compressed-tensors"}"#, "compressed-tensors"),
        (r#"{"quant_method":"mxfp4"}"#, "kernels"),
    ] {
        let report = quantized(settings);
        assert_ruling(&report, TRANSFORMERS, "partly", words, settings);
        assert_ruling(&report, "vLLM", "yes", "LlamaForCausalLM", settings);
    }
    let exl2 = quantized(r#"{"quant_method":"exl2","bits":4.0}"#);
    assert_ruling(&exl2, TRANSFORMERS, "no", "Unknown quantization type, got exl2", "EXL2");
    assert_ruling(&exl2, "ExLlama", "yes", "ExLlamaV2", "EXL2");
    assert_ruling(&exl2, "vLLM", "no", "exl2", "EXL2");
    let mlx = r#"{"group_size":64,"bits":4}"#;
    let mlx = folder(&config(&format!(r#"{{"quantization":{mlx},"quantization_config":{mlx}}}"#)), &[tokenizer]);
    assert_ruling(&mlx, TRANSFORMERS, "no", "MLX", "quantized by MLX");
    assert_ruling(&mlx, "MLX", "yes", "Apple", "quantized by MLX");
    assert_ruling(&mlx, "vLLM", "no", "mlx", "quantized by MLX");
}

#[test]
fn parts_of_models_in_folders_need_the_rest() {
    let low_rank = weights(&[
        ("base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight", &[2, 8]),
        ("base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight", &[8, 2]),
    ]);
    let peft = br#"{"peft_type":"LORA","r":2,"lora_alpha":4,"base_model_name_or_path":"org/base"}"#;
    let report = report(in_memory(&[("adapter_model.safetensors", &low_rank), ("adapter_config.json", peft)]));
    assert_ruling(&report, TRANSFORMERS, "partly", "org/base", "a PEFT adapter");
    assert_ruling(&report, "vLLM", "partly", "--enable-lora", "a PEFT adapter");
    assert_ruling(&report, "llama.cpp", "no", "convert_lora_to_gguf.py", "a PEFT adapter");
    assert_ruling(&report, "Glassbox", "no", "adapter", "a PEFT adapter");
    let draft = config(r#"{"architectures":["LlamaForCausalLMEagle3"]}"#);
    let report = folder(&draft, &[]);
    assert_ruling(&report, TRANSFORMERS, "no", "draft head", "a head of EAGLE 3");
    assert_ruling(&report, "vLLM", "partly", "target model", "a head of EAGLE 3");
    // Without a word in the configuration, by its tensors.
    let eagle = weights(&[("fc.weight", &[8, 16]), ("layers.0.self_attn.q_proj.weight", &[8, 8])]);
    let report = self::report(in_memory(&[("model.safetensors", &eagle), ("config.json", LLAMA_CONFIG.as_bytes())]));
    assert_ruling(&report, "vLLM", "partly", "target model", "a head of EAGLE");
    // A pipeline, and what lies elsewhere.
    let index = br#"{"_class_name":"StableDiffusionPipeline","unet":["diffusers","UNet2DConditionModel"],"vae":["diffusers","AutoencoderKL"],"safety_checker":[null,null]}"#;
    let unet = weights(&[("conv_in.weight", &[4, 4, 3, 3])]);
    let files: [(&str, &[u8]); 3] = [
        ("model_index.json", index),
        ("unet/diffusion_pytorch_model.safetensors", &unet),
        ("unet/config.json", br#"{"_class_name":"UNet2DConditionModel"}"#),
    ];
    let report = self::report(in_memory(&files));
    assert_ruling(&report, TRANSFORMERS, "no", "diffusers", "a pipeline");
    assert_ruling(&report, "diffusers", "partly", "vae", "a pipeline without a part");
}

#[test]
fn weights_that_are_not_here_run_nowhere() {
    let index = br#"{"metadata":{"total_size":64},"weight_map":{"a":"model-00001-of-00002.safetensors","b":"model-00002-of-00002.safetensors"}}"#;
    let report =
        report(in_memory(&[("config.json", LLAMA_CONFIG.as_bytes()), ("model.safetensors.index.json", index)]));
    for program in ["Glassbox", TRANSFORMERS, "vLLM", "MLX"] {
        assert_ruling(&report, program, "no", "model-00001-of-00002.safetensors", "an index alone");
    }
}
