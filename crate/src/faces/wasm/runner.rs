//! Tokenizing and generating.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    rc::Rc,
};

use js_sys::{Function, JsString, Promise};
use serde::Deserialize;
use wasm_bindgen::{JsCast, JsValue, prelude::wasm_bindgen};
use wasm_bindgen_futures::JsFuture;

use crate::{
    fault::{Blame, Fault, LocalFuture},
    report::{
        ChatReport, CompareReport, DeviceReport, DevicesReport, EmbedReport, EmbedderReport, ExplainReport,
        GeneratedReport, OpsReport, PiecesReport, ProgressReport, RunReport, TemplateDiffReport, TemplatesReport,
        TokensReport, VocabularyReport,
    },
    session::{
        self, Catalog, Chat, Comparison, Conversation, Data, DeviceChoice, EmbedOptions, Embedder, EncodeOptions,
        Generation, GenerationOptions, GpuOptions, Inspection, Progress, RunSettings, Sampling, Search, Sort,
        TokenQuery, TokenType, Tokenized, Vocabulary,
    },
};

use super::{inspect, json, sources, throw};

/// Tokens that the first answer about a text tells one by one; the page asks for others when it shows them.
const FIRST: usize = 2048;
/// Texts that may share a step of an encoder.
const TOGETHER: u32 = 8;

thread_local! {
    static SUBGROUPS: Cell<bool> = const { Cell::new(false) };
}

/// To be called once, before a device is asked for: whether the page's shim has got the `subgroups` feature granted.
#[wasm_bindgen]
pub fn start(subgroups: bool) {
    SUBGROUPS.set(subgroups);
}

fn gpu_options(tier: &str) -> GpuOptions {
    GpuOptions {
        tier: (!tier.is_empty()).then(|| tier.to_owned()),
        subgroups: SUBGROUPS.get(),
        ..GpuOptions::default()
    }
}

fn choice(device: &str) -> Result<DeviceChoice, JsValue> {
    DeviceChoice::parse(device)
        .ok_or_else(|| throw(&Fault::caller(format!("\"{device}\" is not one of auto, gpu, cpu"))))
}

/// Devices: a `DevicesReport`.
#[wasm_bindgen]
pub async fn devices() -> Result<String, JsValue> {
    let devices = session::list_devices(&gpu_options("")).await.map_err(|f| throw(&f))?;
    json(&DevicesReport { devices: devices.iter().map(DeviceReport::listed).collect() })
}

/// Every kernel against the operation it stands for: an `OpsReport`. `tier` is "core", "subgroup" or "".
#[wasm_bindgen]
pub async fn test_ops(device: String, tier: String, only: String) -> Result<String, JsValue> {
    let (device, results) =
        session::test_ops(&choice(&device)?, &gpu_options(&tier), &only).await.map_err(|f| throw(&f))?;
    json(&OpsReport::of(&device, &results))
}

/// An opened model that can be asked for tokens and text; its files stay with the browser and are read in slices.
#[wasm_bindgen]
pub struct Runner {
    inspection: Rc<Inspection>,
    generation: Rc<RefCell<Option<Generation>>>,
    /// An encoder, in place of a generation.
    embedder: RefCell<Option<Embedder>>,
    /// The text that was tokenized last.
    tokenized: RefCell<Option<(Rc<Vocabulary>, Tokenized)>>,
    /// Made when it is first needed.
    chat: RefCell<Option<Rc<Chat>>>,
    /// Likewise.
    catalog: RefCell<Option<Rc<Catalog>>>,
    /// The tokenizer to compare with.
    other: RefCell<Option<Rc<Vocabulary>>>,
}

#[wasm_bindgen]
impl Runner {
    /// Opens the model that the files hold together.
    pub async fn open(names: Vec<String>, files: Vec<web_sys::Blob>) -> Result<Runner, JsValue> {
        Ok(Self {
            inspection: inspect(names, files).await?,
            generation: Rc::default(),
            embedder: RefCell::default(),
            tokenized: RefCell::default(),
            chat: RefCell::default(),
            catalog: RefCell::default(),
            other: RefCell::default(),
        })
    }
    /// Bytes read from the files so far.
    pub fn bytes_read(&self) -> f64 {
        self.inspection.files().bytes_read() as f64
    }
    /// How the tokenizer splits a text: a `TokensReport` of its first tokens; the others are kept for `pieces`.
    pub async fn tokenize(&self, text: String, add_special: bool, parse_special: bool) -> Result<String, JsValue> {
        let vocabulary = self.inspection.vocabulary().await.map_err(|f| throw(&f))?;
        let options = EncodeOptions { add_special, parse_special };
        let tokenized = Tokenized::new(&vocabulary, text, options).map_err(|f| throw(&f))?;
        let report = json(&TokensReport::head(&vocabulary, &tokenized, FIRST))?;
        self.tokenized.replace(Some((vocabulary, tokenized)));
        Ok(report)
    }
    /// Tokens of the text that was tokenized last: a `PiecesReport`.
    pub fn pieces(&self, from: usize, count: usize) -> Result<String, JsValue> {
        self.last(|vocabulary, tokenized| {
            json(&PiecesReport::of(vocabulary, tokenized, from..from.saturating_add(count)))
        })
    }
    /// First and one past the last of those tokens that touch bytes `start..end` of the text.
    pub fn touching(&self, start: usize, end: usize) -> Result<String, JsValue> {
        self.last(|_, tokenized| {
            let found = tokenized.touching(start..end);
            json(&[found.start, found.end])
        })
    }
    /// Their ids.
    pub fn ids(&self) -> Result<String, JsValue> {
        self.last(|_, tokenized| json(&tokenized.ids().collect::<Vec<u32>>()))
    }
    /// How a text becomes ids, step by step: an `ExplainReport`.
    pub async fn explain(&self, text: String, add_special: bool, parse_special: bool) -> Result<String, JsValue> {
        let vocabulary = self.inspection.vocabulary().await.map_err(|f| throw(&f))?;
        let options = EncodeOptions { add_special, parse_special };
        let explanation = vocabulary.explain(&text, options).map_err(|f| throw(&f))?;
        json(&ExplainReport::of(&vocabulary, explanation))
    }
    /// Tokens of the vocabulary: a `VocabularyReport`. `kind` is a token type or ""; `sort` is "id", "length" or "score".
    pub async fn vocabulary(
        &self,
        search: String,
        kind: String,
        sort: String,
        reverse: bool,
        first: usize,
        count: usize,
    ) -> Result<String, JsValue> {
        let vocabulary = self.inspection.vocabulary().await.map_err(|f| throw(&f))?;
        let known = self.catalog.borrow().clone();
        let catalog = known.unwrap_or_else(|| Rc::new(Catalog::new(&vocabulary)));
        self.catalog.replace(Some(Rc::clone(&catalog)));
        let sort = match sort.as_str() {
            "length" => Sort::Length,
            "score" => Sort::Score,
            _ => Sort::Id,
        };
        let query = TokenQuery { search: Search::parse(&search), kind: TokenType::named(&kind), sort, reverse };
        json(&VocabularyReport::of(&vocabulary, &catalog, &query, first, count))
    }
    /// Opens the tokenizer to compare with; what it is, in words.
    pub async fn open_other(&self, names: Vec<String>, files: Vec<web_sys::Blob>) -> Result<String, JsValue> {
        let other = session::open_vocabulary(sources(names, files)).await.map_err(|f| throw(&f))?;
        let words = json(&other.describe())?;
        self.other.replace(Some(Rc::new(other)));
        Ok(words)
    }
    /// A text by this tokenizer and by the other one: a `CompareReport`.
    pub async fn compare(&self, text: String, add_special: bool, parse_special: bool) -> Result<String, JsValue> {
        let vocabulary = self.inspection.vocabulary().await.map_err(|f| throw(&f))?;
        let other = self.other.borrow().clone();
        let other = other.ok_or_else(|| throw(&Fault::caller("no other tokenizer is open")))?;
        let options = EncodeOptions { add_special, parse_special };
        let comparison = Comparison::new(&vocabulary, &other, &text, options).map_err(|f| throw(&f))?;
        json(&CompareReport::of(&vocabulary, &other, &comparison))
    }
    /// The chat templates: a `TemplatesReport`.
    pub async fn templates(&self) -> Result<String, JsValue> {
        match self.chat().await {
            Ok(chat) => json(&TemplatesReport::of(&chat)),
            Err(fault) if fault.blame == Blame::Unsupported => json(&TemplatesReport::none()),
            Err(fault) => Err(throw(&fault)),
        }
    }
    /// A conversation as the template of a name writes it, or the default: a `ChatReport`.
    pub async fn chat_text(&self, template: Option<String>, conversation: String) -> Result<String, JsValue> {
        let chat = self.chat().await.map_err(|f| throw(&f))?;
        let conversation = asked_conversation(&conversation)?;
        let (report, _) = ChatReport::of(&chat, template.as_deref(), conversation).map_err(|f| throw(&f))?;
        json(&report)
    }
    /// Two templates, and what they write of one conversation: a `TemplateDiffReport`. The second one is of
    /// the files, where there are any.
    pub async fn compare_templates(
        &self,
        left: String,
        right: Option<String>,
        conversation: String,
        names: Vec<String>,
        files: Vec<web_sys::Blob>,
    ) -> Result<String, JsValue> {
        let conversation = asked_conversation(&conversation)?;
        let chat = self.chat().await.map_err(|f| throw(&f))?;
        let other = if files.is_empty() {
            Rc::clone(&chat)
        } else {
            Rc::new(Chat::open(sources(names, files)).await.map_err(|f| throw(&f))?)
        };
        let compared = chat.compare(Some(&left), &other, right.as_deref(), &conversation).map_err(|f| throw(&f))?;
        json(&TemplateDiffReport::of(&compared))
    }
    /// The token ids of a text, and nothing else of it: what the benchmark times.
    pub async fn encode(&self, text: String, add_special: bool, parse_special: bool) -> Result<Vec<u32>, JsValue> {
        let vocabulary = self.inspection.vocabulary().await.map_err(|f| throw(&f))?;
        vocabulary.encode(&text, EncodeOptions { add_special, parse_special }).map_err(|f| throw(&f))
    }
    /// Loads the weights onto a device: a `DeviceReport`; `progress` gets `ProgressReport`s. `exact`: the CPU keeps activations in f32.
    pub async fn load(&self, device: String, tier: String, exact: bool, progress: Function) -> Result<String, JsValue> {
        self.generation.replace(None);
        let mut on_progress = |p: Progress| {
            if let Ok(text) = json(&ProgressReport::from(p)) {
                // A page that throws here loses its progress bar, nothing else.
                let _ = progress.call1(&JsValue::NULL, &text.into());
            }
        };
        let settings = RunSettings::default();
        let (inspection, choice) = (Rc::clone(&self.inspection), choice(&device)?);
        let gpu = GpuOptions { exact, ..gpu_options(&tier) };
        let generation = Generation::load(inspection, choice, gpu, &settings, &mut on_progress).await;
        let generation = generation.map_err(|f| throw(&f))?;
        let report = json(&DeviceReport::of(generation.device()))?;
        self.generation.replace(Some(generation));
        Ok(report)
    }
    /// Loads an encoder's weights onto a device: an `EmbedderReport`; `progress` gets `ProgressReport`s.
    pub async fn load_encoder(&self, device: String, tier: String, progress: Function) -> Result<String, JsValue> {
        self.embedder.replace(None);
        let mut on_progress = |p: Progress| {
            if let Ok(text) = json(&ProgressReport::from(p)) {
                // A page that throws here loses its progress bar, nothing else.
                let _ = progress.call1(&JsValue::NULL, &text.into());
            }
        };
        let settings = RunSettings { sequences: TOGETHER, ..RunSettings::default() };
        let (inspection, choice, gpu) = (Rc::clone(&self.inspection), choice(&device)?, gpu_options(&tier));
        let options = EmbedOptions::default();
        let embedder = Embedder::load(inspection, choice, gpu, &settings, options, &mut on_progress).await;
        let embedder = embedder.map_err(|f| throw(&f))?;
        let report = json(&EmbedderReport::of(&embedder))?;
        self.embedder.replace(Some(embedder));
        Ok(report)
    }
    /// Texts, each behind a prompt, as vectors: an `EmbedReport`.
    pub async fn embed(&self, texts: Vec<String>, prompt: String) -> Result<String, JsValue> {
        let taken = self.embedder.take();
        let mut embedder =
            taken.ok_or_else(|| throw(&Fault::caller("load the model first; or it is already at work")))?;
        let asked: Result<Vec<_>, Fault> = texts.iter().map(|text| embedder.encode(&prompt, text)).collect();
        let report = match asked {
            Ok(asked) => embedder.embed(&asked).await.map(|made| EmbedReport::of(&embedder, prompt, made)),
            Err(fault) => Err(fault),
        };
        self.embedder.replace(Some(embedder));
        json(&report.map_err(|f| throw(&f))?)
    }
    /// Generates text: `on_token` gets a `GeneratedReport` and resolves to true to stop; a `RunReport` at the end.
    pub async fn generate(&self, options: String, on_token: Function) -> Result<String, JsValue> {
        let asked: Asked =
            serde_json::from_str(&options).map_err(|e| throw(&Fault::caller(format!("options: {e}"))))?;
        let mut generation = self
            .generation
            .take()
            .ok_or_else(|| throw(&Fault::caller("load the model first; or it is already generating")))?;
        let mut tell = |token: &session::Generated| ask_page(&on_token, token);
        let outcome = match asked.prompt_ids.clone() {
            Some(ids) => generation.generate_ids(ids, &asked.options(), &mut tell).await,
            None => generation.generate(&asked.prompt, &asked.options(), &mut tell).await,
        };
        let report = outcome.map(|o| RunReport::of(&generation, o));
        self.generation.replace(Some(generation));
        json(&report.map_err(|f| throw(&f))?)
    }
    /// The model's result at every position of a prompt, for comparisons: rows of logits, or of an encoder's hidden states.
    pub async fn results(&self, device: String, tier: String, ids: Vec<u32>) -> Result<String, JsValue> {
        let most = u32::try_from(ids.len()).unwrap_or(u32::MAX);
        let settings = RunSettings { rows: most, outputs: most, ..RunSettings::default() };
        let (inspection, choice) = (Rc::clone(&self.inspection), choice(&device)?);
        let gpu = GpuOptions { exact: true, ..gpu_options(&tier) };
        let generates = session::support(inspection.model()).map_err(|f| throw(&f))?.generates;
        let rows = if generates {
            let model = Generation::load(inspection, choice, gpu, &settings, &mut |_| {}).await;
            model.map_err(|f| throw(&f))?.prompt_logits(&ids).await
        } else {
            let model = Embedder::load(inspection, choice, gpu, &settings, EmbedOptions::default(), &mut |_| {}).await;
            model.map_err(|f| throw(&f))?.hidden(&ids).await
        };
        json(&rows.map_err(|f| throw(&f))?)
    }
    /// Prefill and decode speed: a `BenchReport`.
    pub async fn bench(&self, prefill: u32, decode: u32, repetitions: u32) -> Result<String, JsValue> {
        let mut generation = self
            .generation
            .take()
            .ok_or_else(|| throw(&Fault::caller("load the model first; or it is already generating")))?;
        let speed = session::bench(&mut generation, prefill, decode, repetitions).await;
        let name = self.inspection.model().files.first().map(|f| f.name.clone()).unwrap_or_default();
        let report = speed.map(|s| crate::report::BenchReport::of(name, &generation, &s));
        self.generation.replace(Some(generation));
        json(&report.map_err(|f| throw(&f))?)
    }
}

impl Runner {
    /// What is asked about the text that was tokenized last.
    fn last(&self, ask: impl FnOnce(&Vocabulary, &Tokenized) -> Result<String, JsValue>) -> Result<String, JsValue> {
        match &*self.tokenized.borrow() {
            Some((vocabulary, tokenized)) => ask(vocabulary, tokenized),
            None => Err(throw(&Fault::caller("no text was tokenized yet"))),
        }
    }
    async fn chat(&self) -> Result<Rc<Chat>, Fault> {
        if let Some(chat) = &*self.chat.borrow() {
            return Ok(Rc::clone(chat));
        }
        let chat = Rc::new(Chat::of(&self.inspection).await?);
        self.chat.replace(Some(Rc::clone(&chat)));
        Ok(chat)
    }
}

/// A conversation as the page writes it.
#[derive(Deserialize)]
struct AskedConversation {
    messages: Data,
    #[serde(default)]
    tools: Data,
    #[serde(default)]
    variables: BTreeMap<String, Data>,
    add_generation_prompt: bool,
    now: Option<i64>,
}

fn asked_conversation(text: &str) -> Result<Conversation, JsValue> {
    let asked: AskedConversation =
        serde_json::from_str(text).map_err(|e| throw(&Fault::caller(format!("the conversation: {e}"))))?;
    Ok(Conversation {
        messages: asked.messages,
        tools: asked.tools,
        add_generation_prompt: asked.add_generation_prompt,
        variables: asked.variables.into_iter().collect(),
        now: asked.now,
        ..Conversation::default()
    })
}

/// What the page asks of a generation.
#[derive(Deserialize)]
struct Asked {
    #[serde(default)]
    prompt: String,
    /// The prompt as token ids, instead of a text.
    #[serde(default)]
    prompt_ids: Option<Vec<u32>>,
    /// A chat template writes its own BOS.
    #[serde(default = "yes")]
    add_special: bool,
    max_tokens: u32,
    #[serde(default)]
    temperature: f32,
    #[serde(default)]
    top_k: u32,
    #[serde(default = "one")]
    top_p: f32,
    #[serde(default)]
    min_p: f32,
    #[serde(default)]
    seed: u64,
    #[serde(default = "one")]
    repetition_penalty: f32,
    #[serde(default)]
    presence_penalty: f32,
    #[serde(default)]
    frequency_penalty: f32,
    #[serde(default)]
    alternatives: bool,
    #[serde(default)]
    logits: bool,
    #[serde(default)]
    stop: Vec<String>,
    /// Token ids and what is added to their logits.
    #[serde(default)]
    logit_bias: Vec<(u32, f32)>,
}

fn yes() -> bool {
    true
}

fn one() -> f32 {
    1.0
}

impl Asked {
    fn options(&self) -> GenerationOptions {
        GenerationOptions {
            max_tokens: self.max_tokens,
            sampling: Sampling {
                temperature: self.temperature,
                top_k: self.top_k as usize,
                top_p: self.top_p,
                min_p: self.min_p,
                seed: self.seed,
                repetition_penalty: self.repetition_penalty,
                presence_penalty: self.presence_penalty,
                frequency_penalty: self.frequency_penalty,
            },
            add_special: self.add_special,
            alternatives: self.alternatives,
            keep_logits: self.logits,
            ignore_end: false,
            stop: self.stop.clone(),
            logit_bias: self.logit_bias.clone(),
        }
    }
}

/// Hands a token to the page; a page that fails or answers nothing does not stop the run.
fn ask_page(on_token: &Function, token: &session::Generated) -> LocalFuture<'static, bool> {
    let text = json(&GeneratedReport::from(token)).unwrap_or_default();
    let answer = on_token.call1(&JsValue::NULL, &JsString::from(text));
    Box::pin(async move {
        match answer.map(|a| a.dyn_into::<Promise>()) {
            Ok(Ok(promise)) => JsFuture::from(promise).await.is_ok_and(|v| v.is_truthy()),
            Ok(Err(value)) => value.is_truthy(),
            Err(_) => true,
        }
    })
}
