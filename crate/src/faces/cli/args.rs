//! Arguments and their help.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand};

#[cfg(feature = "chat")]
use crate::session::Data;
use crate::session::{CacheType, DeviceChoice, GenerationOptions, GpuOptions, Pooling, Sampling, Sort, TokenType};

/// Look inside model files, preview their tokenization, run them on your own GPU.
#[derive(Parser)]
#[command(
    name = "glassbox",
    version,
    about,
    after_help = "Examples:\n  glassbox inspect model.gguf\n  glassbox inspect my-model-folder --tensors\n  glassbox check my-model-folder\n  glassbox inspect https://host.example/model.gguf\n  glassbox peek model.gguf token_embd.weight --rows 0..4 --stats\n  glassbox tokenize model.gguf \"Hello, world\"\n  glassbox run model.gguf -p \"Once upon a time\" -n 100\n\nFiles are read in pieces and never executed; nothing is sent anywhere. Of a file at an address the host that you name\nsees which parts are read.\nExit codes: 0 fine, 1 the file has errors, 2 wrong usage, 3 device or I/O failure."
)]
pub(super) struct Args {
    /// Print one JSON object on standard output and nothing else.
    #[arg(long, global = true)]
    pub(super) json: bool,
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Subcommand)]
pub(super) enum Command {
    /// Identify and describe a model: one file, several, or a folder.
    Inspect(InspectArgs),
    /// What is wrong with a model, why it matters and what to do; what of it is missing.
    Check(CheckArgs),
    /// What differs between two models of any formats: settings, tokenizer, chat template, tensors.
    #[cfg(feature = "compare")]
    Diff(DiffArgs),
    /// Decoded values, statistics and histogram of one tensor.
    Peek(PeekArgs),
    /// What lies where in the files: headers, metadata, tensors, padding, gaps, overlaps, trailing bytes.
    Map(MapArgs),
    /// Bytes of a file as they are.
    Hex(HexArgs),
    /// How a model's tokenizer splits a text.
    Tokenize(TokenizeArgs),
    /// Look through a tokenizer's vocabulary.
    Vocab(VocabArgs),
    /// A conversation as the model's chat template writes it, and its token ids.
    #[cfg(feature = "chat")]
    ChatTemplate(ChatArgs),
    /// Generate text.
    Run(RunArgs),
    /// Talk with a model: at a terminal, or a message a line from a pipe.
    #[cfg(feature = "talk")]
    Chat(super::talk::TalkArgs),
    /// Serve models over HTTP, by the API that OpenAI's clients speak.
    #[cfg(feature = "serve")]
    Serve(Box<super::serve::ServeArgs>),
    /// How well a model predicts a text: perplexity, and divergence from another model.
    Eval(EvalArgs),
    /// Turn texts into vectors with an encoder.
    Embed(EmbedArgs),
    /// Give texts the labels of a classifier, with scores.
    Classify(ClassifyArgs),
    /// Order texts by how well they answer a query, with a reranker.
    Rank(RankArgs),
    /// Print what a model computes, operation by operation.
    Graph(GraphArgs),
    /// The GPUs of this machine, their tiers and limits, and the CPU.
    Devices,
    /// Measure prefill and decode speed.
    Bench(BenchArgs),
    /// Compare every GPU kernel with the operation it stands for.
    TestOps(TestOpsArgs),
    /// Run node tests in the form of ONNX's own: a case's folder, or a folder of cases.
    #[cfg(feature = "onnx")]
    TestOnnx(TestOnnxArgs),
    /// Write the folder of a model as GGUF, as llama.cpp's converter does.
    #[cfg(feature = "convert")]
    Convert(super::convert::ConvertArgs),
    /// Write a GGUF model in smaller encodings, the very file that llama.cpp writes.
    #[cfg(feature = "convert")]
    Quantize(super::quantize::QuantizeArgs),
    /// Set or remove metadata of a GGUF model, or give it another chat template.
    #[cfg(feature = "convert")]
    Edit(super::rewrite::EditArgs),
    /// Write a GGUF model in several files.
    #[cfg(feature = "convert")]
    Split(super::rewrite::SplitArgs),
    /// Write a GGUF model of several files as one.
    #[cfg(feature = "convert")]
    Merge(super::rewrite::MergeArgs),
    /// Write some tensors of a model into a file of their own.
    #[cfg(feature = "convert")]
    Extract(super::rewrite::ExtractArgs),
    /// Write a model of real shape with random weights, for benchmarks.
    Synth(SynthArgs),
    /// Measure the time between dependent dispatches of a GPU.
    #[command(hide = true)]
    Gap(TestOpsArgs),
    /// Measure how long reading a model's headers takes.
    #[command(hide = true)]
    TimeOpen(TimeOpenArgs),
    /// Measure how fast a tokenizer encodes texts.
    #[command(hide = true)]
    TimeTokenize(TimeTokenizeArgs),
}

#[derive(ClapArgs)]
#[command(
    after_help = "Examples:\n  glassbox inspect model.gguf\n  glassbox inspect model-00001-of-00002.safetensors model-00002-of-00002.safetensors\n  glassbox inspect hf-folder --tensors --json"
)]
pub(super) struct InspectArgs {
    /// Files, folders, or http(s) addresses of files.
    #[arg(required = true)]
    pub(super) paths: Vec<PathBuf>,
    /// List every tensor.
    #[arg(long)]
    pub(super) tensors: bool,
    /// List every metadata entry.
    #[arg(long)]
    pub(super) metadata: bool,
}

#[derive(ClapArgs)]
#[command(
    after_help = "Examples:\n  glassbox check model.gguf\n  glassbox check hf-folder --json\n  glassbox check model-00001-of-00002.gguf model-00002-of-00002.gguf\n\nExit codes: 0 no error was found, 1 there are errors."
)]
pub(super) struct CheckArgs {
    /// Files, folders, or http(s) addresses of files, of one model.
    #[arg(required = true)]
    pub(super) paths: Vec<PathBuf>,
}

impl Command {
    /// True where exit code 1 says that two things differ, and nothing else.
    pub(super) fn compares(&self) -> bool {
        #[cfg(feature = "compare")]
        if let Self::Diff(_) = self {
            return true;
        }
        false
    }
}

#[cfg(feature = "compare")]
#[derive(ClapArgs)]
#[command(
    after_help = "Examples:\n  glassbox diff hf-folder model-f16.gguf\n  glassbox diff base-folder tuned-folder --values\n  glassbox diff model-q8_0.gguf model-q4_k_m.gguf --values --json\n  glassbox diff model.pt model.safetensors\n\nExit codes: 0 no difference, 1 the models differ, 2 they could not be compared."
)]
pub(super) struct DiffArgs {
    /// The first model: a file, a folder, or the address of a file.
    pub(super) a: PathBuf,
    /// The second.
    pub(super) b: PathBuf,
    /// Measure all values: relative error, cosine, largest change; without it reading a tensor ends where it is settled.
    #[arg(long)]
    pub(super) values: bool,
    /// Compare headers alone: no values are read.
    #[arg(long, conflicts_with = "values")]
    pub(super) headers: bool,
    /// Count what other encodings round as no difference.
    #[arg(long)]
    pub(super) allow_rounding: bool,
    /// How many weights are listed, and rows of each other list.
    #[arg(long, default_value_t = 20)]
    pub(super) limit: usize,
}

#[derive(ClapArgs)]
#[command(after_help = "Example:\n  glassbox peek model.gguf blk.0.attn_q.weight --rows 0..2 --stats")]
pub(super) struct PeekArgs {
    /// File, folder, or http(s) address of a file.
    pub(super) path: PathBuf,
    /// Tensor name.
    pub(super) tensor: String,
    /// Rows to decode, first..end.
    #[arg(long, default_value = "0..4", value_parser = rows)]
    pub(super) rows: std::ops::Range<u64>,
    /// Read the whole tensor for statistics and a histogram.
    #[arg(long)]
    pub(super) stats: bool,
}

#[derive(ClapArgs)]
#[command(after_help = "Example:\n  glassbox map model.gguf")]
pub(super) struct MapArgs {
    /// Files, folders, or http(s) addresses of files, of one model.
    #[arg(required = true)]
    pub(super) paths: Vec<PathBuf>,
}

#[derive(ClapArgs)]
#[command(
    after_help = "Examples:\n  glassbox hex model.gguf\n  glassbox hex model.gguf --at 0x1ba480 --bytes 64\n  glassbox hex hf-folder --file model-00001-of-00002.safetensors"
)]
pub(super) struct HexArgs {
    /// File, folder, or http(s) address of a file.
    pub(super) path: PathBuf,
    /// First byte: 1811584, 1,811,584 or 0x1ba480.
    #[arg(long, default_value = "0", value_parser = offset)]
    pub(super) at: u64,
    /// How many.
    #[arg(long, default_value = "256", value_parser = offset)]
    pub(super) bytes: u64,
    /// Which file of a folder.
    #[arg(long)]
    pub(super) file: Option<String>,
}

fn offset(text: &str) -> Result<u64, String> {
    let plain: String = text.chars().filter(|c| !matches!(c, ',' | '_')).collect();
    let read = match plain.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16),
        None => plain.parse(),
    };
    read.map_err(|_| format!("\"{text}\" is not a byte offset such as 1811584 or 0x1ba480"))
}

#[derive(ClapArgs)]
#[command(
    after_help = "Examples:\n  glassbox tokenize model.gguf \"Hello, world\"\n  cat text.txt | glassbox tokenize tokenizer.json -\n  glassbox tokenize model.gguf \"Hello, world\" --explain\n  glassbox tokenize model.gguf --with tokenizer.json \"Hello, world\"\n\nWith --with, the exit code is 1 where the ids differ."
)]
pub(super) struct TokenizeArgs {
    /// A model, a folder, the address of either's file, or a tokenizer file: tokenizer.json, tekken.json, vocab.txt, a SentencePiece .model, a tiktoken rank file.
    pub(super) path: PathBuf,
    /// The text; - reads it from standard input.
    #[arg(default_value = "-")]
    pub(super) text: String,
    /// Add BOS, EOS and the like, as the tokenizer's rules say.
    #[arg(long)]
    pub(super) add_special: bool,
    /// Recognise special tokens written in the text.
    #[arg(long)]
    pub(super) parse_special: bool,
    /// Show step by step how the text becomes ids: normalized form, splits, merges or matches.
    #[arg(long)]
    pub(super) explain: bool,
    /// Compare with another tokenizer: a model, a folder or a tokenizer file.
    #[arg(long, value_name = "PATH", conflicts_with = "explain")]
    pub(super) with: Option<PathBuf>,
}

#[derive(ClapArgs)]
#[command(
    after_help = "Examples:\n  glassbox vocab model.gguf hello\n  glassbox vocab model.gguf \"#42\"\n  glassbox vocab model.gguf \"0xE2 82\"\n  glassbox vocab tokenizer.json --sort length --limit 20\n  glassbox vocab model.gguf --type control"
)]
pub(super) struct VocabArgs {
    /// A model, a folder, or a tokenizer file, as for `tokenize`.
    pub(super) path: PathBuf,
    /// A part of a token's text; #ID is one id, 0xE282 a part of its bytes. Without it all are listed.
    #[arg(default_value = "")]
    pub(super) search: String,
    /// Only tokens of a type: normal, control, user-defined, unknown, byte, unused, hole.
    #[arg(long = "type", value_parser = token_type)]
    pub(super) kind: Option<TokenType>,
    /// id, length (the longest first) or score (the best score or lowest rank first).
    #[arg(long, default_value = "id", value_parser = sort)]
    pub(super) sort: Sort,
    /// The other way round.
    #[arg(long)]
    pub(super) reverse: bool,
    /// The first of the tokens found that is listed.
    #[arg(long, default_value_t = 0)]
    pub(super) first: usize,
    /// How many are listed.
    #[arg(long, default_value_t = 50)]
    pub(super) limit: usize,
}

fn token_type(text: &str) -> Result<TokenType, String> {
    TokenType::named(text).ok_or_else(|| {
        let names: Vec<&str> = TokenType::ALL.iter().map(|kind| kind.name()).collect();
        format!("\"{text}\" is not one of {}", names.join(", "))
    })
}

fn sort(text: &str) -> Result<Sort, String> {
    match text {
        "id" => Ok(Sort::Id),
        "length" => Ok(Sort::Length),
        "score" => Ok(Sort::Score),
        other => Err(format!("\"{other}\" is not one of id, length, score")),
    }
}

#[cfg(feature = "chat")]
#[derive(ClapArgs)]
#[command(
    after_help = "Examples:\n  glassbox chat-template model.gguf --user \"Hello\"\n  glassbox chat-template hf-folder --messages chat.json --tools tools.json --name tool_use\n  glassbox chat-template tokenizer_config.json --set enable_thinking=false\n  glassbox chat-template model.gguf --diff tool_use\n  glassbox chat-template model.gguf --diff hf-folder\n  glassbox chat-template model.gguf --conversations --diff hf-folder\n\nWith --diff the exit code is 1 where anything differs."
)]
pub(super) struct ChatArgs {
    /// A model, a folder, or a tokenizer_config.json or .jinja file; also by its http(s) address.
    pub(super) path: PathBuf,
    /// JSON file with the messages, a list of objects with role and content; - reads standard input.
    #[arg(long, conflicts_with = "user")]
    pub(super) messages: Option<String>,
    /// One message of a user, instead of a file.
    #[arg(long)]
    pub(super) user: Option<String>,
    /// JSON file with a list of tools.
    #[arg(long)]
    pub(super) tools: Option<String>,
    /// Leave out the mark after which the model speaks.
    #[arg(long)]
    pub(super) no_generation_prompt: bool,
    /// Which template, where there are several.
    #[arg(long)]
    pub(super) name: Option<String>,
    /// Another variable of the template, NAME=JSON; may be repeated.
    #[arg(long, value_parser = variable)]
    pub(super) set: Vec<(String, Data)>,
    /// Compare with another template: its name, or the file or folder that holds it.
    #[arg(long)]
    pub(super) diff: Option<String>,
    /// Render a set of conversations (system prompt, tools, content in parts, thinking...) as transformers and as llama.cpp do,
    /// and say where the texts differ; with --diff also beside the other template.
    #[arg(long, conflicts_with_all = ["messages", "user", "tools", "set", "no_generation_prompt"])]
    pub(super) conversations: bool,
}

#[cfg(feature = "chat")]
pub(super) fn variable(text: &str) -> Result<(String, Data), String> {
    let (name, value) = text.split_once('=').ok_or_else(|| format!("\"{text}\" is not of the form NAME=JSON"))?;
    let value = Data::parse(value).unwrap_or_else(|_| Data::text(value));
    Ok((name.to_owned(), value))
}

#[derive(ClapArgs)]
#[command(
    after_help = "Examples:\n  glassbox run model.gguf -p \"Once upon a time\"\n  glassbox run model.gguf -p \"Once upon a time\" --temp 0.8 --top-p 0.95 --seed 7 -n 200\n  glassbox run model.onnx --inputs inputs.npz --outputs outputs.npz\n  glassbox run model.onnx --random 7"
)]
pub(super) struct RunArgs {
    /// File, folder, or http(s) address of a file.
    pub(super) path: PathBuf,
    /// The text to continue.
    #[arg(short, long)]
    #[cfg_attr(
        feature = "chat",
        arg(required_unless_present_any = ["chat", "prompt_ids", "inputs", "random"], conflicts_with = "chat", default_value = "")
    )]
    #[cfg_attr(not(feature = "chat"), arg(required_unless_present_any = ["prompt_ids", "inputs", "random"], default_value = ""))]
    pub(super) prompt: String,
    /// The prompt as token ids, separated by commas: 1,2,3. Works without a tokenizer.
    #[arg(long, value_delimiter = ',', num_args = 1.., conflicts_with = "prompt")]
    pub(super) prompt_ids: Vec<u32>,
    /// A message to answer: the model's chat template writes the prompt.
    #[cfg(feature = "chat")]
    #[arg(long)]
    pub(super) chat: Option<String>,
    /// Inputs of an ONNX graph: FILE.npz, FILE.json, FILE.npy, NAME=FILE.npy or NAME=VALUE; several may follow.
    #[arg(long, num_args = 1.., value_name = "INPUT", conflicts_with_all = ["prompt", "prompt_ids"])]
    pub(super) inputs: Vec<String>,
    /// Where the outputs of an ONNX graph are written: FILE.npz.
    #[arg(long, value_name = "FILE")]
    pub(super) outputs: Option<PathBuf>,
    /// Draw the inputs of an ONNX graph that are not given from this seed.
    #[arg(long, value_name = "SEED")]
    pub(super) random: Option<u64>,
    /// The most tokens to generate.
    #[arg(short = 'n', long, default_value_t = 128)]
    pub(super) tokens: u32,
    #[command(flatten)]
    pub(super) sampling: SamplingArgs,
    /// How many texts to generate at once, each with the next seed; the prompt is read once for all.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=64), conflicts_with = "logits")]
    pub(super) samples: u32,
    /// Put the logits of the last prompt position into the JSON; `-n 0` gives them alone.
    #[arg(long)]
    pub(super) logits: bool,
    #[command(flatten)]
    pub(super) lora: super::lora::LoraArgs,
    #[command(flatten)]
    pub(super) program: ProgramArgs,
    #[command(flatten)]
    pub(super) device: DeviceArgs,
}

/// How tokens are chosen.
#[derive(ClapArgs)]
pub(super) struct SamplingArgs {
    /// Temperature; 0 always takes the likeliest token.
    #[arg(long, default_value_t = 0.0)]
    pub(super) temp: f32,
    /// Keep only the k likeliest tokens; 0 keeps all.
    #[arg(long, default_value_t = 40)]
    pub(super) top_k: u32,
    /// Keep the likeliest tokens whose probabilities reach this sum.
    #[arg(long, default_value_t = 0.95)]
    pub(super) top_p: f32,
    /// Drop tokens less likely than this share of the likeliest.
    #[arg(long, default_value_t = 0.05)]
    pub(super) min_p: f32,
    /// The same seed gives the same text on every device.
    #[arg(long, default_value_t = 0)]
    pub(super) seed: u64,
    /// Divide the logits of tokens that have occurred by this; 1 changes nothing.
    #[arg(long, default_value_t = 1.0)]
    pub(super) repetition_penalty: f32,
    /// Subtract this from the logits of tokens that have occurred.
    #[arg(long, default_value_t = 0.0, allow_negative_numbers = true)]
    pub(super) presence_penalty: f32,
    /// Subtract this from the logits of tokens for each time that they have occurred.
    #[arg(long, default_value_t = 0.0, allow_negative_numbers = true)]
    pub(super) frequency_penalty: f32,
    /// A text that ends the generation and is not part of it; may be repeated.
    #[arg(long, value_name = "TEXT")]
    pub(super) stop: Vec<String>,
    /// Add VALUE to the logit of token ID: -100 hardly ever lets it come; may be repeated.
    #[arg(long, value_name = "ID=VALUE", value_parser = logit_bias, allow_hyphen_values = true)]
    pub(super) logit_bias: Vec<(u32, f32)>,
}

fn logit_bias(text: &str) -> Result<(u32, f32), String> {
    let read = |text: &str| {
        let (id, value) = text.split_once('=')?;
        Some((id.trim().parse().ok()?, value.trim().parse().ok()?))
    };
    read(text).ok_or_else(|| format!("\"{text}\" is not of the form ID=VALUE, such as 42=-5.5"))
}

impl SamplingArgs {
    /// As the session takes them.
    pub(super) fn options(&self, max_tokens: u32) -> GenerationOptions {
        GenerationOptions {
            max_tokens,
            sampling: Sampling {
                temperature: self.temp,
                top_k: self.top_k as usize,
                top_p: self.top_p,
                min_p: self.min_p,
                seed: self.seed,
                repetition_penalty: self.repetition_penalty,
                presence_penalty: self.presence_penalty,
                frequency_penalty: self.frequency_penalty,
            },
            stop: self.stop.clone(),
            logit_bias: self.logit_bias.clone(),
            ..GenerationOptions::default()
        }
    }
}

/// How the graph becomes a program.
#[derive(ClapArgs)]
pub(super) struct ProgramArgs {
    /// Element type of the KV cache: f32, f16 or q8_0.
    #[arg(long, default_value = "f32", value_parser = cache_type)]
    pub(super) cache_type: CacheType,
    /// Leave out a pass over the graph, by its name (`glassbox graph --passes` lists them); may be repeated.
    #[arg(long, value_name = "NAME")]
    pub(super) disable_pass: Vec<String>,
}

fn cache_type(text: &str) -> Result<CacheType, String> {
    CacheType::parse(text).ok_or_else(|| format!("\"{text}\" is not one of f32, f16, q8_0"))
}

#[derive(ClapArgs)]
#[command(
    after_help = "Examples:\n  glassbox eval model-q4_k_m.gguf --text wiki.test.raw\n  glassbox eval model-q4_k_m.gguf --text wiki.test.raw --against model-f16.gguf\n  glassbox eval hf-folder --text text.txt --context 256 --json\n\nThe text is cut into chunks of --context tokens (512, or what the model was made for); tokens in the second half of each count."
)]
pub(super) struct EvalArgs {
    /// File, folder, or http(s) address of a file.
    pub(super) path: PathBuf,
    /// The text; - reads it from standard input.
    #[arg(long, value_name = "FILE")]
    pub(super) text: PathBuf,
    /// The model whose predictions these are held against: the original of a quantization.
    #[arg(long, value_name = "PATH")]
    pub(super) against: Option<PathBuf>,
    /// Only the first so many chunks.
    #[arg(long, value_name = "N")]
    pub(super) chunks: Option<usize>,
    #[command(flatten)]
    pub(super) lora: super::lora::LoraArgs,
    #[command(flatten)]
    pub(super) device: DeviceArgs,
}

/// Texts of a command.
#[derive(ClapArgs)]
pub(super) struct TextArgs {
    /// Texts; "-" reads one a line from standard input.
    pub(super) texts: Vec<String>,
    /// A file of texts, one a line.
    #[arg(long, value_name = "FILE")]
    pub(super) file: Option<PathBuf>,
}

#[derive(ClapArgs)]
#[command(
    after_help = "Examples:\n  glassbox embed my-encoder \"A sentence.\" \"Another one.\" --json\n  glassbox embed my-encoder --file texts.txt --prompt-name query --json\n  cat texts.txt | glassbox embed my-encoder - --json\n  glassbox embed my-encoder --prompt-ids 101,7592,102 --pooling cls --json"
)]
pub(super) struct EmbedArgs {
    /// File, folder, or http(s) address of a file.
    pub(super) path: PathBuf,
    #[command(flatten)]
    pub(super) texts: TextArgs,
    /// One text as token ids, separated by commas; may be repeated.
    #[arg(long, value_parser = ids)]
    pub(super) prompt_ids: Vec<Ids>,
    /// The prompt of this name, of those that the model's files have, is put before each text.
    #[arg(long, value_name = "NAME")]
    pub(super) prompt_name: Option<String>,
    /// A text that is put before each text.
    #[arg(long, value_name = "TEXT", conflicts_with = "prompt_name")]
    pub(super) prompt: Option<String>,
    /// How the hidden states become one vector: mean, cls, last, max, mean-sqrt-len or weighted-mean; the default is what the model's files say, else mean.
    #[arg(long, value_parser = pooling)]
    pub(super) pooling: Option<Pooling>,
    /// Whether vectors are scaled to length 1: true or false; the default is what the model's files say, else true.
    #[arg(long, value_name = "BOOL")]
    pub(super) normalize: Option<bool>,
    #[command(flatten)]
    pub(super) lora: super::lora::LoraArgs,
    #[command(flatten)]
    pub(super) device: DeviceArgs,
}

#[derive(ClapArgs)]
#[command(
    after_help = "Examples:\n  glassbox classify my-classifier \"A sentence.\"\n  glassbox classify my-classifier --file texts.txt --json"
)]
pub(super) struct ClassifyArgs {
    /// File, folder, or http(s) address of a file.
    pub(super) path: PathBuf,
    #[command(flatten)]
    pub(super) texts: TextArgs,
    #[command(flatten)]
    pub(super) device: DeviceArgs,
}

#[derive(ClapArgs)]
#[command(
    after_help = "Examples:\n  glassbox rank my-reranker \"What is a fox?\" \"An animal.\" \"A tree.\"\n  glassbox rank my-reranker \"What is a fox?\" --file texts.txt --json"
)]
pub(super) struct RankArgs {
    /// File, folder, or http(s) address of a file.
    pub(super) path: PathBuf,
    /// What the texts are to answer.
    pub(super) query: String,
    #[command(flatten)]
    pub(super) texts: TextArgs,
    #[command(flatten)]
    pub(super) device: DeviceArgs,
}

/// Token ids of one text.
#[derive(Clone)]
pub(super) struct Ids(pub(super) Vec<u32>);

fn ids(text: &str) -> Result<Ids, String> {
    let number = |t: &str| t.trim().parse().map_err(|_| format!("\"{t}\" is not a token id"));
    text.split(',').map(number).collect::<Result<_, _>>().map(Ids)
}

fn pooling(text: &str) -> Result<Pooling, String> {
    let known = "mean, cls, last, max, mean-sqrt-len, weighted-mean";
    Pooling::parse(text).ok_or_else(|| format!("\"{text}\" is not one of {known}"))
}

#[derive(ClapArgs)]
#[command(
    after_help = "Examples:\n  glassbox graph model.gguf\n  glassbox graph model.gguf --disable-pass fuse\n  glassbox graph model.gguf --program"
)]
pub(super) struct GraphArgs {
    /// File, folder, or http(s) address of a file.
    #[arg(required_unless_present = "passes")]
    pub(super) path: Option<PathBuf>,
    /// Print the graph as the architecture writes it, before any pass.
    #[arg(long)]
    pub(super) plain: bool,
    /// Print the steps that a device runs instead.
    #[arg(long, conflicts_with = "plain")]
    pub(super) program: bool,
    /// List the passes.
    #[arg(long)]
    pub(super) passes: bool,
    /// Leave out a pass, by its name; may be repeated.
    #[arg(long, value_name = "NAME")]
    pub(super) disable_pass: Vec<String>,
}

#[derive(ClapArgs)]
#[command(
    after_help = "Example:\n  glassbox synth --size 135m --quant Q8_0 -o m.gguf && glassbox bench m.gguf -p 128 -n 32"
)]
pub(super) struct BenchArgs {
    /// File, folder, or http(s) address of a file.
    pub(super) path: PathBuf,
    /// Prompt tokens.
    #[arg(short, long, default_value_t = 512)]
    pub(super) prefill: u32,
    /// Tokens to decode.
    #[arg(short = 'n', long, default_value_t = 128)]
    pub(super) decode: u32,
    /// Repetitions, after one warm-up; medians are printed.
    #[arg(short, long, default_value_t = 3)]
    pub(super) repetitions: u32,
    #[command(flatten)]
    pub(super) program: ProgramArgs,
    #[command(flatten)]
    pub(super) device: DeviceArgs,
}

#[cfg(feature = "onnx")]
#[derive(ClapArgs)]
#[command(
    after_help = "A case is a folder with model.onnx and test_data_set_0/input_0.pb, output_0.pb and so on.\n\nExit codes: 0 no case failed (cases with operators that are not supported are refused by name), 1 a case failed."
)]
pub(super) struct TestOnnxArgs {
    /// A case's folder, or a folder of cases.
    #[arg(required_unless_present = "operators")]
    pub(super) path: Option<PathBuf>,
    /// List the operators that run, with the versions at which each appeared or changed.
    #[arg(long, conflicts_with = "path")]
    pub(super) operators: bool,
    /// Only cases whose name contains this.
    #[arg(long, default_value = "")]
    pub(super) only: String,
}

#[derive(ClapArgs)]
pub(super) struct TestOpsArgs {
    /// Only kernels whose name contains this.
    #[arg(long, default_value = "")]
    pub(super) only: String,
    #[command(flatten)]
    pub(super) device: DeviceArgs,
}

#[derive(ClapArgs)]
#[command(
    after_help = "Sizes: tiny, 135m (SmolLM2), k256-138m (all rows cut by 256), 0.5b (Qwen2.5), 1.1b (TinyLlama), 1b (Llama 3.2), 3b, 8b.\nQuantizations: F32 F16 BF16 Q8_0 Q4_0 Q4_1 Q5_0 Q5_1 Q2_K Q3_K Q4_K Q5_K Q6_K IQ4_NL."
)]
pub(super) struct SynthArgs {
    /// Architecture.
    #[arg(long, default_value = "llama")]
    pub(super) arch: String,
    /// Which shape.
    #[arg(long, default_value = "135m")]
    pub(super) size: String,
    /// Encoding of the matrices.
    #[arg(long, default_value = "Q8_0")]
    pub(super) quant: String,
    /// File to write.
    #[arg(short, long)]
    pub(super) output: PathBuf,
}

#[derive(ClapArgs)]
pub(super) struct TimeOpenArgs {
    /// Files, folders, or http(s) addresses of files, of one model.
    #[arg(required = true)]
    pub(super) paths: Vec<PathBuf>,
    /// Repetitions, after one warm-up.
    #[arg(short, long, default_value_t = 9)]
    pub(super) repetitions: u32,
}

#[derive(ClapArgs)]
pub(super) struct TimeTokenizeArgs {
    /// A model, folder or tokenizer file.
    pub(super) path: PathBuf,
    /// Files of text, each encoded as one string.
    #[arg(required = true)]
    pub(super) texts: Vec<PathBuf>,
    /// Repetitions, after one warm-up.
    #[arg(short, long, default_value_t = 9)]
    pub(super) repetitions: u32,
}

/// Where to run.
#[derive(ClapArgs)]
pub(super) struct DeviceArgs {
    /// auto (a real GPU, else the CPU), gpu (also a software one), cpu, or a number from `glassbox devices`.
    #[arg(long, default_value = "auto", value_parser = device)]
    pub(super) device: DeviceChoice,
    /// Threads of the CPU path; 0 takes one per core.
    #[arg(long, default_value_t = 0)]
    pub(super) threads: usize,
    /// Keep activations in f32 on the CPU path instead of rounding them to 8 bits where weights are quantized: slower.
    #[arg(long)]
    pub(super) exact: bool,
    /// Longest sequence in tokens; the default is the model's own, at most 4096.
    #[arg(long)]
    pub(super) context: Option<u32>,
}

impl DeviceArgs {
    /// What the session needs to open the device; `GLASSBOX_TIER` forces a tier.
    pub(super) fn options(&self) -> GpuOptions {
        GpuOptions {
            tier: std::env::var("GLASSBOX_TIER").ok(),
            threads: self.threads,
            exact: self.exact,
            ..GpuOptions::default()
        }
    }
}

fn device(text: &str) -> Result<DeviceChoice, String> {
    DeviceChoice::parse(text).ok_or_else(|| format!("\"{text}\" is not one of auto, gpu, cpu or an adapter's number"))
}

fn rows(text: &str) -> Result<std::ops::Range<u64>, String> {
    let wrong = || format!("\"{text}\" is not of the form first..end, such as 0..4");
    let (first, end) = text.split_once("..").ok_or_else(wrong)?;
    let first = if first.is_empty() { 0 } else { first.parse().map_err(|_| wrong())? };
    let end = if end.is_empty() { u64::MAX } else { end.parse().map_err(|_| wrong())? };
    if first > end { Err(wrong()) } else { Ok(first..end) }
}
