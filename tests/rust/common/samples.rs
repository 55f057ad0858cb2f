//! A small file, or set of files, of every format and form that our own writers and scripts make.
#![allow(dead_code, unreachable_pub, reason = "each test uses its part")]

use std::path::Path;

use super::{
    containers::{
        checkpoint, checkpoint_packed, checkpoint_v1, dict, ggjt, graph_def, imatrix, llama2c, small_npy, small_npz,
        tar, text, tflite, torch_stream, torch_tar_members, torch_zip,
    },
    writers::{self, Gguf, Message, Plain, Value, onnx_model, small_onnx, small_safetensors},
};

/// Files that make one model.
#[derive(Clone)]
pub struct Sample {
    pub files: Vec<(String, Vec<u8>)>,
}

impl Sample {
    fn one(name: &str, bytes: Vec<u8>) -> Self {
        Self { files: vec![(name.to_owned(), bytes)] }
    }
    /// The first file's name says which sample it is.
    pub fn name(&self) -> &str {
        &self.files[0].0
    }
    /// The same with one file's bytes replaced.
    pub fn with(&self, file: usize, bytes: Vec<u8>) -> Self {
        let mut other = self.clone();
        other.files[file].1 = bytes;
        other
    }
}

fn committed(folder: &str, name: &str) -> Vec<u8> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/corpus");
    std::fs::read(root.join(folder).join(name)).expect("the sample is in the repository")
}

/// Two safetensors shards with their index.
pub fn sharded() -> Sample {
    let shard = |name: &str, value: u8| {
        let header = format!(r#"{{"{name}":{{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}}}"#);
        writers::safetensors(&format!("{header:<width$}", width = header.len().next_multiple_of(8)), &[value; 2])
    };
    let index = r#"{"metadata":{"total_size":4},"weight_map":{"x":"m-00001-of-00002.safetensors","y":"m-00002-of-00002.safetensors"}}"#;
    Sample {
        files: vec![
            ("m.safetensors.index.json".into(), index.into()),
            ("m-00001-of-00002.safetensors".into(), shard("x", 1)),
            ("m-00002-of-00002.safetensors".into(), shard("y", 2)),
        ],
    }
}

/// A GGUF in two splits.
pub fn splits() -> Sample {
    let part = |no: u16| {
        let mut file = Gguf::small();
        file.tensors.truncate(1);
        file.tensors[0].name = format!("t{no}");
        if no > 0 {
            file.entries.clear();
        }
        file.set("split.no", Value(2, no.to_le_bytes().to_vec()));
        file.set("split.count", Value(2, 2u16.to_le_bytes().to_vec()));
        file.set("split.tensors.count", Value(5, 2i32.to_le_bytes().to_vec()));
        (format!("s-{:05}-of-00002.gguf", no + 1), file.bytes())
    };
    Sample { files: vec![part(0), part(1)] }
}

/// An ONNX model with external data.
pub fn external() -> Sample {
    let pair = |key: &str, value: &str| Message::new().bytes(1, key).bytes(2, value);
    let tensor = Message::new().int(1, 4).int(2, 2).bytes(8, "w").message(13, &pair("location", "w.bin"));
    let graph = Message::new().message(5, &tensor.message(13, &pair("length", "4")).int(14, 1));
    Sample { files: vec![("e.onnx".into(), onnx_model(&graph).0), ("w.bin".into(), vec![5; 4])] }
}

/// Tokenizers in files of their own, one of each kind.
pub fn tokenizers() -> Vec<Sample> {
    let json = r#"{"version":"1.0","truncation":null,"padding":null,"added_tokens":[{"id":2,"content":"<s>","special":true}],"normalizer":null,"pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"ByteLevel"}]},"model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":3},"merges":["a b"]}}"#;
    let tekken = r#"{"config":{"pattern":"[a-z]+","default_vocab_size":3,"default_num_special_tokens":1,"version":"v3"},"vocab":[{"rank":0,"token_bytes":"YQ==","token_str":"a"}],"special_tokens":[{"rank":0,"token_str":"<s>"}]}"#;
    let lists: Vec<String> = (0..40u8)
        .map(|n| format!("\"{}\":{n}", char::from(b'A' + n % 26).to_string().repeat(1 + usize::from(n / 26))))
        .collect();
    let ranks: String = (0..12).map(|n| format!("SGVsbG8= {n}\n")).collect();
    vec![
        Sample::one("word.spm", committed("sentencepiece", "word.spm")),
        Sample::one("unigram.spm", committed("sentencepiece", "unigram.spm")),
        Sample::one("any.json", json.into()),
        Sample::one("tekken.json", tekken.into()),
        Sample::one("vocab.json", format!("{{{}}}", lists.join(",")).into()),
        Sample::one("ranks.tiktoken", ranks.into()),
        Sample::one("vocab.txt", b"[PAD]\n[UNK]\n[CLS]\nhello\n##s\n".to_vec()),
    ]
}

/// A small sample of every format.
pub fn all() -> Vec<Sample> {
    let mut every = Gguf::small();
    for (key, value) in Value::one_of_each() {
        every.set(key, value);
    }
    let (index, shard) = checkpoint();
    let packed = vec![("p.index".into(), checkpoint_packed()), ("p.data-00000-of-00001".into(), shard.clone())];
    let mut samples = vec![
        Sample::one("small.gguf", Gguf::small().bytes()),
        Sample::one("every.gguf", every.bytes()),
        Sample::one("old.gguf", Plain::file(1, false)),
        Sample::one("swapped.gguf", Plain::file(3, true)),
        Sample::one("small.safetensors", small_safetensors()),
        Sample::one("small.onnx", small_onnx()),
        Sample::one("zip.pt", torch_zip()),
        Sample::one("stream.pth", torch_stream()),
        Sample::one("tar.pt", tar(&torch_tar_members())),
        Sample::one("plain.pkl", dict(&[("a", text("b")), ("c", b"]q\0(K\x01K\x02e".to_vec())])),
        Sample::one("x.npy", small_npy()),
        Sample::one("x.npz", small_npz()),
        Sample::one("ggjt1.bin", ggjt(1, 2, &[1; 20])),
        Sample::one("ggjt3.bin", ggjt(3, 2, &[1; 18])),
        Sample::one("llama2c.bin", llama2c()),
        Sample::one("imatrix.dat", imatrix()),
        Sample::one("graph.pb", graph_def()),
        Sample { files: vec![("c.index".into(), index), ("c.data-00000-of-00001".into(), shard)] },
        Sample { files: packed },
        Sample::one("v1.ckpt", checkpoint_v1(false)),
        Sample::one("v1-packed.ckpt", checkpoint_v1(true)),
        Sample::one("small.tflite", tflite()),
        sharded(),
        splits(),
        external(),
    ];
    for name in ["old.h5", "new.h5", "tiny.keras", "chunks.h5", "chunks_new.h5"] {
        samples.push(Sample::one(name, committed("containers", name)));
    }
    samples.extend(tokenizers());
    samples
}

/// The trained sample in the forms that are committed: a MiB and more each, weights included.
pub fn trained() -> Vec<Sample> {
    let mut samples: Vec<_> = ["gguf/sample-f16.gguf", "gguf/sample-q4_k_m.gguf", "sample.onnx", "sample.pt"]
        .iter()
        .map(|name| Sample::one(name.rsplit('/').next().expect("a name"), committed("sample", name)))
        .collect();
    let folder =
        ["model.safetensors.index.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
    let files = folder.iter().map(|name| ((*name).to_owned(), committed("sample/hf", name))).collect();
    samples.push(Sample { files });
    samples
}
