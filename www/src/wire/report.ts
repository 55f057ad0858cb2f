// Generated from crate/src/report/ by its test; do not edit. To renew it:
//   GLASSBOX_BLESS=1 cargo test -p glassbox --lib typescript

/** Everything the overview, metadata, tensor and notes views show. */
export interface ModelReport {
  /** "GGUF", "safetensors", "ONNX". */
  format: string;
  /** Format version as people write it. */
  version: string;
  /** Length of all files in bytes. */
  bytes_total: number;
  /** Bytes read to make this report. */
  bytes_read: number;
  /** One sentence: what this is. */
  summary: string;
  /** "llama", where the file says so. */
  architecture: string | null;
  /** Sum of all tensors' elements. */
  parameters: number;
  /** Tensor bytes times 8 divided by parameters. */
  bits_per_weight: number | null;
  /** Name, author, licence, base model, ...: label and value, in order of interest. */
  identity: Fact[];
  /** Layers, heads, widths, vocabulary, context, ...: label and value. */
  shape: Fact[];
  /** The files that belong to it. */
  files: FileReport[];
  /** Files that the model names and that were not given, or could not be read: shards, external data. */
  missing: string[];
  /** The chain original model -> GGUF | ONNX, and its parts. */
  place: PlaceReport;
  /** What can run it. */
  runners: RunnerReport[];
  /** Memory needed to run it here, where the engine knows the architecture. */
  fit: FitReport | null;
  /** Totals by encoding, largest first. */
  encodings: EncodingReport[];
  /** Metadata in file order. */
  metadata: MetadataReport[];
  /** Tensors in file order. */
  tensors: TensorReport[];
  /** The operator graph, for formats that hold one. */
  graph: GraphReport | null;
  /** The byte map. */
  sections: SectionReport[];
  /** Findings, most severe first: the readers' own, and those of every check that needs no further byte. */
  notes: NoteReport[];
  /** What is there and what is missing; absent for a whole model. */
  salvage?: SalvageReport;
  /** Description of the tokenizer, where there is one that can be loaded. */
  tokenizer: string | null;
  /** Whether `run` works; else why not. */
  runnable: string | null;
}

/** A label and a value. */
export interface Fact {
  /** "Layers". */
  label: string;
  /** "22". */
  value: string;
  /** The metadata key it comes from, or how it was worked out. */
  source: string | null;
}

/** One file. */
export interface FileReport {
  /** Name. */
  name: string;
  /** Length in bytes. */
  bytes: number;
  /** What it is to the model. */
  kind: FileKind;
  /** The same in words: "weights", "shard 1 of 2", "configuration", ... */
  role: string;
}

/** What a file is to its model. */
export type FileKind = "weights" | "shard" | "graph" | "data" | "index" | "model" | "side";

/** Where the file sits in the chain from the original model to its conversions. */
export interface PlaceReport {
  /** "original", "gguf" or "onnx": which stage this is. */
  stage: string;
  /** One sentence. */
  sentence: string;
  /** The parts of the chain in order. */
  parts: PartReport[];
  /** What the model itself is made of: each part present, missing or contradicted. */
  hierarchy: HierarchyReport[];
}

/** One part of the chain. */
export interface PartReport {
  /** "original" or "gguf" or "onnx". */
  stage: string;
  /** "Weights", "config.json", "Tokenizer". */
  name: string;
  /** "here", "inside" (part of the file), "missing", "not needed" or "elsewhere" (another stage of the chain). */
  state: string;
  /** File name, or what is missing and why it matters. */
  detail: string;
}

/** One part of a model. */
export interface HierarchyReport {
  /** "weights", "configuration", "tokenizer", "chat template", "pipeline", "adapter", "preprocessing" or "conversions". */
  group: string;
  /** What it is to the model: "Shards", "config.json", "Pooling". */
  role: string;
  /** The file it is in; null where it is missing, or in no file of its own. */
  file: string | null;
  /** "present", "missing" or "contradicted". */
  state: string;
  /** What is in it, what it contradicts, or why it is needed. */
  detail: string;
}

/** Whether a program runs a model. */
export type VerdictReport = "yes" | "partly" | "no" | "unknown";

/** A program that runs this kind of file. */
export interface RunnerReport {
  /** "Glassbox", "llama.cpp", ... */
  name: string;
  /** Whether it runs the model. */
  verdict: VerdictReport;
  /** Why not, or what it needs. */
  detail: string;
}

/** Memory to run it: the working is shown by the parts. */
export interface FitReport {
  /** Weight bytes. */
  weights: number;
  /** Key and value cache bytes per token of context (f32 here). */
  cache_per_token: number;
  /** Bytes that a sequence takes whatever its length: states of recurrent layers. */
  states: number;
  /** Activations and other scratch. */
  scratch: number;
  /** The longest context the model was made for. */
  context: number;
  /** It turns texts into vectors; absent where it writes text. */
  vectors?: boolean;
}

/** Totals of one encoding. */
export interface EncodingReport {
  /** Name. */
  encoding: string;
  /** Number of tensors. */
  tensors: number;
  /** Their bytes. */
  bytes: number;
  /** Their elements. */
  elements: number;
  /** Bits per value. */
  bits: number | null;
  /** How a block is laid out. */
  about: string;
}

/** One metadata entry. */
export interface MetadataReport {
  /** Key. */
  key: string;
  /** "u32", "string", "array of string", ... */
  type: string;
  /** The value: string, number or boolean; for an array its first items. */
  value: string | number | boolean | (string | number | boolean | null)[] | null;
  /** Number of items of an array. */
  length?: number;
  /** What a standard key means. */
  meaning?: string;
}

/** One tensor. */
export interface TensorReport {
  /** Name. */
  name: string;
  /** Slowest dimension first. */
  shape: number[];
  /** Encoding. */
  encoding: string;
  /** Absolute byte offset in its file; null where it has no bytes there. */
  offset: number | null;
  /** Bytes; null where unknown. */
  bytes: number | null;
  /** Bytes from its first to its last, where they do not lie one behind the other: a transposed or sliced view. */
  span?: number;
  /** Its file's name, also when that file is missing. */
  file: string | null;
  /** "here", "partial" (cut off), "missing", "inline" or "absent". */
  place: string;
}

/** An operator graph in numbers. */
export interface GraphReport {
  /** Name. */
  name: string;
  /** "ai.onnx 17", ... */
  opsets: string[];
  /** Inputs. */
  inputs: GraphValueReport[];
  /** Outputs. */
  outputs: GraphValueReport[];
  /** Nodes of the top graph in order. */
  nodes: GraphNodeReport[];
  /** Values between the nodes whose type or shape the file states. */
  values: GraphValueReport[];
  /** Operator types with their number, most frequent first. */
  operators: [string, number][];
  /** Subgraphs. */
  subgraphs: number;
  /** Operators that ONNX Runtime lacks in this file's operator sets, each with the reason. */
  lacking?: Array<[string, string]>;
}

/** An input or output. */
export interface GraphValueReport {
  /** Name. */
  name: string;
  /** Element type. */
  encoding: string | null;
  /** Dimensions. */
  dims: string[];
}

/** One node. */
export interface GraphNodeReport {
  /** Name. */
  name: string;
  /** Operator, with its domain unless that is ai.onnx. */
  op: string;
  /** Values read. */
  inputs: string[];
  /** Values written. */
  outputs: string[];
  /** Attributes: name and value as text, long ones shortened. */
  attributes?: Array<[string, string]>;
  /** Graphs in its attributes: branches, bodies of loops. */
  subgraphs?: number;
}

/** One range of the byte map. */
export interface SectionReport {
  /** Index into `files`. */
  file: number;
  /** First byte. */
  start: number;
  /** One past the last byte. */
  end: number;
  /** "header", "metadata", "tensor list", "padding", "tensors", "graph", "gap" or "trailing". */
  kind: string;
  /** Tensors in a run of them (neighbours are joined in this report). */
  tensors: number;
}

/** One finding. */
export interface NoteReport {
  /** What kind of finding it is: "end of file". */
  code: string;
  /** "error", "warning" or "info". */
  severity: string;
  /** What was found. */
  what: string;
  /** File concerned. */
  file: string | null;
  /** Byte offset. */
  at: number | null;
  /** Why it matters. */
  why: string | null;
  /** What to do. */
  advice: string | null;
}

/**
 * What `glassbox map` prints: every part of every file in the order of its bytes, overlapping ones too.
 * The page makes the same list from the `sections` and `tensors` of a [`super::ModelReport`], which hold it without
 * naming 30,000 tensors twice; a browser test compares the two.
 */
export interface MapReport {
  /** The files of the model. */
  files: FileReport[];
  /** Sorted by file, first byte, end. */
  parts: MapPartReport[];
}

/** One part of a file. */
export interface MapPartReport {
  /** Index into `files`. */
  file: number;
  /** First byte. */
  start: number;
  /** One past the last byte; beyond the file's length for a tensor that a cut file lost. */
  end: number;
  /**
   * "header", "metadata", "tensor list", "padding", "tensor", "graph", "gap", "trailing" or "missing": a tensor
   * whose bytes lie beyond the end of the file, in part or whole.
   */
  kind: string;
  /** The tensor's name. */
  name: string | null;
  /** The tensor's encoding. */
  encoding: string | null;
  /** An earlier part that holds some of the same bytes: a tensor's name, else the kind. */
  shares_with: string | null;
  /** How many of its bytes that part holds too. */
  shared_bytes: number;
}

/** What `glassbox hex --json` prints and the page's hex view receives. */
export interface BytesReport {
  /** File name. */
  file: string;
  /** Length of the file. */
  bytes_total: number;
  /** First byte. */
  start: number;
  /** The bytes in hexadecimal, "00 1f ..."; fewer than asked for where the file ends. */
  hex: string;
}

/** Values, statistics and place of one tensor. */
export interface PeekReport {
  /** Name. */
  name: string;
  /** Slowest dimension first. */
  shape: number[];
  /** Encoding. */
  encoding: string;
  /** How a block is laid out. */
  about: string;
  /** File name. */
  file: string;
  /** Absolute byte offset. */
  offset: number;
  /** Bytes. */
  bytes: number;
  /** First row of `values`. */
  first_row: number;
  /** Values per row. */
  row_len: number;
  /** The tensor's number of rows. */
  rows: number;
  /** Decoded rows; NaN and infinities are null (JSON has neither). */
  values: (number | null)[][];
  /** The bytes of the first block shown, in hexadecimal. */
  block_hex: string;
  /** Over the whole tensor; absent unless asked for. */
  stats: StatsReport | null;
  /** Bytes read for this answer. */
  bytes_read: number;
}

/** The bytes of one block, what they hold, and the values that come out. */
export interface BlockReport {
  /** Encoding. */
  encoding: string;
  /** Which block, in row-major order from 0 on. */
  index: number;
  /** How many the tensor has. */
  count: number;
  /** Values of a whole block. */
  block_len: number;
  /** Its first byte in the file; null where the values do not lie one behind the other. */
  at: number | null;
  /** Its bytes in hexadecimal, little-endian: "00 1f ...". */
  hex: string;
  /** Its values; NaN and infinities are null (JSON has neither). */
  values: (number | null)[];
  /** A weight in terms of the fields, "w = d * (q - 8)"; null of plain elements. */
  formula: string | null;
  /** Its fields in the order of their bytes; none of plain elements. */
  fields: BlockFieldReport[];
}

/** One field of a block. */
export interface BlockFieldReport {
  /** ggml's name for it: "d", "qs". */
  name: string;
  /** "scale", "minimum", "group scales", "weights", "high bits", "signs" or "sums". */
  role: string;
  /** Its first byte in the block. */
  at: number;
  /** Its bytes. */
  bytes: number;
  /** How its numbers are stored: "f16", "6 bits"; null of packed codes. */
  stored: string | null;
  /** Its numbers; none of packed codes. NaN and infinities are null. */
  numbers: (number | null)[];
  /** One sentence for people. */
  about: string;
}

/** Statistics over a whole tensor. */
export interface StatsReport {
  /** Values. */
  count: number;
  /** Smallest finite value. */
  min: number;
  /** Largest finite value. */
  max: number;
  /** Mean of the finite values. */
  mean: number;
  /** Population standard deviation of the finite values. */
  std: number;
  /** Exact zeros. */
  zeros: number;
  /** NaNs. */
  nans: number;
  /** Infinities. */
  infinities: number;
  /** Equal bins from `min` to `max`. */
  histogram: number[];
}

/** Ids and pieces of a text. */
export interface TokensReport {
  /** "Byte-level BPE (gpt2, pre gpt-2), 512 tokens". */
  tokenizer: string;
  /** Number of tokens. */
  count: number;
  /** Ids in order. */
  ids: number[];
  /** Pieces in order. */
  pieces: PieceReport[];
  /** Code points of the text. */
  characters: number;
  /** Characters as people see them (extended grapheme clusters). */
  graphemes: number;
  /** Bytes of the text. */
  bytes: number;
  /** Control tokens among its tokens, added or written out. */
  specials: number;
  /** Whether decoding gives the text back. */
  roundtrips: boolean;
  /** Findings. */
  notes: NoteReport[];
}

/** One token. */
export interface PieceReport {
  /** Token id. */
  id: number;
  /** Its text; bytes that are no complete character as `<0xE2>`. */
  text: string;
  /** First byte of the input that it covers. */
  start: number;
  /** One past the last. */
  end: number;
  /** "normal", "control", "user-defined", "unknown" or "byte". */
  kind: string;
  /** Its bytes in hexadecimal. */
  hex: string;
  /** Put around the text by the tokenizer's rules. */
  added: boolean;
  /**
   * "" for whole characters; "character" where its bytes begin or end inside one; "grapheme" where it begins or ends
   * inside what people see as one character (an emoji of several, a letter and its accent).
   */
  part_of: string;
}

/** Some tokens of a text in full. */
export interface PiecesReport {
  /** The first one. */
  first: number;
  /** They. */
  pieces: PieceReport[];
}

/** What `glassbox tokenize --explain` prints. */
export interface ExplainReport {
  /** "Byte-level BPE (gpt2, pre gpt-2), 512 tokens". */
  tokenizer: string;
  /** How words become tokens, in a sentence. */
  method: string;
  /** The encoder's ids. */
  ids: number[];
  /** The steps lead to these ids; where they do not, a note says so. */
  agrees: boolean;
  /** The text in order: what is added around it, special tokens written out in it, and what lies between. */
  parts: ExplainedPart[];
  /** Words whose steps are not listed, because there are too many. */
  left_out: number;
  /** Findings. */
  notes: NoteReport[];
}

/** A part of the text. */
export interface ExplainedPart {
  /** "added", "special" or "text". */
  kind: string;
  /** First byte of the text. */
  start: number;
  /** One past the last. */
  end: number;
  /** The token that it is as a whole: id and the vocabulary's writing. */
  token: NamedToken | null;
  /** What the text was changed to before it was cut into words; empty where nothing changes it. */
  normalized: AlignedReport[];
  /** Its words. */
  words: ExplainedWord[];
}

/** A token by id and writing. */
export interface NamedToken {
  /** Its id. */
  id: number;
  /** As the vocabulary writes it. */
  piece: string;
}

/** A stretch of the text and what it became. */
export interface AlignedReport {
  /** In the text. */
  from: string;
  /** As the tokens are to match it. */
  to: string;
}

/** What the pre-tokenizer cuts off: merges and matches do not go beyond it. */
export interface ExplainedWord {
  /** As the tokens are to match it ("Ġthe", "▁the"). */
  text: string;
  /** First byte of the text. */
  start: number;
  /** One past the last. */
  end: number;
  /** The symbols before the first merge; empty for kinds that do not merge. */
  symbols: string[];
  /** Merges in order. */
  merges: MergeReport[];
  /** For other kinds: at each place on the way the tokens that match there. */
  choices: ChoiceReport[];
  /** What came out. */
  tokens: ExplainedToken[];
  /** Its steps are listed. */
  listed: boolean;
}

/** One merge. */
export interface MergeReport {
  /** Which symbol merged with the one after it, counted from 0. */
  at: number;
  /** The first of the two. */
  left: string;
  /** The second. */
  right: string;
  /** Its rank: the lowest merges first; null for kinds with scores. */
  rank: number | null;
  /** Its score: the highest merges first; null for kinds with ranks. */
  score: number | null;
  /** The symbols after it. */
  symbols: string[];
}

/** The tokens that match at one place on the way. */
export interface ChoiceReport {
  /** Byte of the word's text. */
  at: number;
  /** All that match there. */
  candidates: CandidateReport[];
}

/** A token that matches. */
export interface CandidateReport {
  /** The token; null for an unknown character. */
  id: number | null;
  /** What it matches. */
  text: string;
  /** Its score, where the kind has scores. */
  score: number | null;
  /**
   * The sum of scores of the best way over it: from the start to its end, or where the kind searches from the end
   * (plamo2), from its begin to the end.
   */
  total: number | null;
  /** It is on the way. */
  taken: boolean;
}

/** A token that came out of a word. */
export interface ExplainedToken {
  /** Its id. */
  id: number;
  /** As the vocabulary writes it. */
  piece: string;
  /** First byte of the whole text that it covers. */
  start: number;
  /** One past the last. */
  end: number;
  /** "" where the steps made it; "whole word" where no step was needed; "byte" or "unknown" where there is no token. */
  how: string;
}

/** What `glassbox vocab` prints. */
export interface VocabularyReport {
  /** "Byte-level BPE (gpt2, pre gpt-2), 512 tokens". */
  tokenizer: string;
  /** Number of ids, holes included. */
  size: number;
  /** How many tokens of each type there are; types without tokens are left out. */
  counts: TypeCount[];
  /** Ids that the file marks as unused: [first, one past the last], the first hundred stretches. */
  unused: Array<[number, number]>;
  /** Ids without a token, likewise. */
  holes: Array<[number, number]>;
  /** "score" or "rank" where tokens have one: what `sort` by score goes by. */
  measure: string | null;
  /** Tokens that the query finds. */
  matching: number;
  /** Which of them `tokens` begins with. */
  first: number;
  /** Those asked for. */
  tokens: TokenReport[];
  /** Findings about the tokenizer. */
  notes: NoteReport[];
}

/** Tokens of a type. */
export interface TypeCount {
  /** "normal", "control", "user-defined", "unknown", "byte", "unused" or "hole". */
  kind: string;
  /** How many. */
  tokens: number;
}

/** One token of a vocabulary. */
export interface TokenReport {
  /** Its id. */
  id: number;
  /** As the vocabulary writes it ("Ġthe", "▁the", "<0x0A>"). */
  piece: string;
  /** Its text; bytes that are no complete character as `<0xE2>`. */
  text: string;
  /** Its bytes in hexadecimal. */
  hex: string;
  /** "normal", "control", "user-defined", "unknown", "byte", "unused" or "hole". */
  kind: string;
  /** Its score, where the vocabulary has scores. */
  score: number | null;
  /** The rank of the first merge that makes it, or its own; where the vocabulary has ranks. */
  rank: number | null;
}

/** What `glassbox tokenize A --with B` prints. */
export interface CompareReport {
  /** The first tokenizer's side. */
  a: SideReport;
  /** The second's. */
  b: SideReport;
  /** Code points of the text. */
  characters: number;
  /** Bytes of the text. */
  bytes: number;
  /** All ids are the same. */
  same: boolean;
  /** Where the text is first cut at different places. */
  first_cut: DifferenceReport | null;
  /** Where the ids first differ. */
  first_id: DifferenceReport | null;
  /** The text in the smallest stretches that begin and end with tokens on both sides. */
  stretches: StretchColumns;
}

/** One side of a comparison. */
export interface SideReport {
  /** "Byte-level BPE (gpt2, pre gpt-2), 512 tokens". */
  tokenizer: string;
  /** Its ids. */
  ids: number[];
  /** Code points per token; null without tokens. */
  characters_per_token: number | null;
  /** Tokens that are only a part of a character. */
  parts_of_characters: number;
  /** Whether decoding gives the text back. */
  roundtrips: boolean;
  /** Findings. */
  notes: NoteReport[];
}

/** A place where two tokenizers part. */
export interface DifferenceReport {
  /** Byte of the text. */
  at: number;
  /** Character (code point) of the text, counted from 0. */
  character: number;
  /** Which token of the first side begins it. */
  nth_a: number;
  /** Which token of the second side begins it. */
  nth_b: number;
  /** The first side's pieces up to the next place where both sides end a token; at most eight. */
  a: PieceReport[];
  /** The second side's. */
  b: PieceReport[];
}

/** Stretches of a text, in columns of one length. A stretch begins where the one before ends. */
export interface StretchColumns {
  /** Where each ends in the text, in bytes. */
  ends: number[];
  /** Tokens of the first side in it. */
  a: number[];
  /** Tokens of the second side in it. */
  b: number[];
  /** 0 the ids are the same, 1 cut at the same places, 2 cut at different places. */
  differs: number[];
}

/** The chat templates of a model. */
export interface TemplatesReport {
  /** The default first. */
  templates: TemplateReport[];
  /** Whether a tokenizer is here, so that what they write can be encoded. */
  can_encode: boolean;
  /** Files that should hold templates and could not be read. */
  notes: NoteReport[];
}

/** One chat template. */
export interface TemplateReport {
  /** "default", "tool_use", ... */
  name: string;
  /** The metadata key or file that holds it. */
  from: string;
  /** Its text. */
  source: string;
  /** Names of variables that it asks for besides the conversation, such as `enable_thinking`. */
  variables: string[];
  /** Findings. */
  findings: FindingReport[];
}

/** A finding about a template. */
export interface FindingReport {
  /** Lines of the template, from 1; none where it is about the whole. */
  lines: number[];
  /** What was found. */
  note: NoteReport;
}

/** What `glassbox chat-template` prints. */
export interface ChatReport {
  /** The template's name. */
  template: string;
  /** The metadata key or file that holds it. */
  from: string;
  /** Names of all templates, the default first. */
  templates: string[];
  /** The conversation as text; empty after a failure. */
  text: string;
  /** Its token ids, special ones parsed and none added; null without a tokenizer. */
  ids: number[] | null;
  /** The same with their places in the text; null without a tokenizer and of a text beyond a megabyte. */
  pieces: PieceReport[] | null;
  /** Why there is no text. */
  failure: FailureReport | null;
  /** Findings. */
  notes: NoteReport[];
}

/** Why a template wrote nothing. */
export interface FailureReport {
  /** The template's line, from 1, where it is known. */
  line: number | null;
  /** What happened. */
  fault: FaultReport;
}

/** What `glassbox chat-template --diff` prints. */
export interface TemplateDiffReport {
  /** The first template's name. */
  left: string;
  /** Where it is written. */
  left_from: string;
  /** The second template's name. */
  right: string;
  /** Where it is written. */
  right_from: string;
  /** The templates compared. */
  source: DiffReport;
  /** What they write of one conversation, compared; null where one of them fails. */
  rendered: DiffReport | null;
  /** Why the first wrote nothing. */
  left_failure: FailureReport | null;
  /** Why the second wrote nothing. */
  right_failure: FailureReport | null;
}

/** What `glassbox chat-template --conversations` prints: a set of conversations by one template. */
export interface ConversationsReport {
  /** The template's name. */
  template: string;
  /** Where it is written. */
  from: string;
  /** Each conversation of the set. */
  conversations: ConversationReport[];
}

/** A conversation of the set. */
export interface ConversationReport {
  /** What it tries: "a system prompt". */
  name: string;
  /** What the template writes as transformers gives it the conversation; null where it fails. */
  text: string | null;
  /** Why it fails. */
  failure: FailureReport | null;
  /** Beside it, what llama.cpp's runtime makes of the same. */
  llama_cpp: OutcomeReport;
  /** Beside it, what the template given with --diff makes of the same. */
  other?: OutcomeReport;
}

/** Two renderings of one conversation, compared. */
export interface OutcomeReport {
  /** Whether the texts are equal, differ, only one is there, none is there, or it is not known. */
  outcome: "same" | "differs" | "left only" | "right only" | "neither" | "unknown";
  /** Bytes that both begin with, where they differ. */
  at: number | null;
  /** The first one's line there. */
  left: string | null;
  /** The second one's line there. */
  right: string | null;
  /** Why a text is missing, or why it is not known. */
  why: string | null;
}

/** Two texts, line by line. */
export interface DiffReport {
  /** Lines that only the first has. */
  removed: number;
  /** Lines that only the second has. */
  added: number;
  /** All lines. */
  lines: DiffLineReport[];
  /** Why they were not compared. */
  fault: FaultReport | null;
}

/** A line, or the part of a long line up to the end of a tag. */
export interface DiffLineReport {
  /** "same", "removed" or "added". */
  change: string;
  /** Its number in the first text, from 1. */
  left: number | null;
  /** Its number in the second text, from 1. */
  right: number | null;
  /** The text, with its line feed where it has one. */
  text: string;
}

/** The device in use. */
export interface DeviceReport {
  /** Number to give to `--device`; null for the CPU. */
  index: number | null;
  /** "NVIDIA H200", "CPU". */
  name: string;
  /** "Vulkan", "WebGPU", "CPU". */
  backend: string;
  /** Driver name and version. */
  driver: string;
  /** "core", "subgroup" or null on the CPU. */
  tier: string | null;
  /** Features in words. */
  detail: string;
  /** A software GPU. */
  software: boolean;
  /** Limits in words: label and value. */
  limits: Fact[];
  /** Why this one was chosen. */
  reason: string;
}

/** Devices of this machine. */
export interface DevicesReport {
  /** All of them; the CPU last. */
  devices: DeviceReport[];
}

/** One generated token, streamed. */
export interface GeneratedReport {
  /** Token id. */
  id: number;
  /** Text that became complete with it (may be empty). */
  text: string;
  /** Probability of the token before sampling filters, where logits were read. */
  probability: number | null;
  /** The likeliest tokens: id, text, probability; where logits were read. */
  alternatives: AlternativeReport[];
}

/** A token that was likely. */
export interface AlternativeReport {
  /** Token id. */
  id: number;
  /** Its text. */
  text: string;
  /** Its probability. */
  probability: number;
}

/** A finished generation. */
export interface RunReport {
  /** The prompt's ids. */
  prompt_ids: number[];
  /** The generated ids. */
  ids: number[];
  /** The generated text. */
  text: string;
  /** Why it ended: "end token", "stop text", "limit", "context" or "stopped". */
  stop: string;
  /** The device. */
  device: DeviceReport;
  /** Times and counts. */
  timing: TimingReport;
  /** Logits of the last prompt position, where asked for. */
  logits?: number[];
  /** Findings: software adapters, steps down, odd tokenizers. */
  notes: string[];
}

/** Times of a run. */
export interface TimingReport {
  /** Loading weights to the device, seconds. */
  load_s: number;
  /** Prompt tokens. */
  prefill_tokens: number;
  /** Time to the first token, seconds. */
  prefill_s: number;
  /** Tokens decoded after the first. */
  decode_tokens: number;
  /** Their time, seconds. */
  decode_s: number;
  /** Dispatches of one decoded token. */
  dispatches_per_token: number;
  /** Bytes the device holds. */
  memory: number;
}

/** Progress of a long piece of work. */
export interface ProgressReport {
  /** What is being done: "Loading weights". */
  what: string;
  /** Done so far. */
  done: number;
  /** Of how much. */
  total: number;
}

/** Speed of a model on a device. */
export interface BenchReport {
  /** Model file. */
  model: string;
  /** The device. */
  device: DeviceReport;
  /** Prompt length. */
  prefill_tokens: number;
  /** Median prefill speed. */
  prefill_tokens_per_s: number;
  /** Decoded tokens per repetition. */
  decode_tokens: number;
  /** Median decode speed. */
  decode_tokens_per_s: number;
  /** Smallest and largest of the repetitions: prefill, decode. */
  prefill_range: [number, number];
  /** As above. */
  decode_range: [number, number];
  /** Repetitions. */
  repetitions: number;
  /** Bytes of weights and cache that one decoded token reads. */
  bytes_per_token: number;
  /** bytes_per_token times speed, GB/s. */
  gigabytes_per_s: number;
  /** Kernel launches of one decoded token. */
  dispatches_per_token: number;
  /** Submits of one decoded token. */
  submits_per_token: number;
  /** Seconds to load. */
  load_s: number;
  /** Bytes the device holds. */
  memory: number;
}

/** An encoder that is loaded. */
export interface EmbedderReport {
  /** The device. */
  device: DeviceReport;
  /** Texts that its files name to be put before others. */
  prompts: PromptReport[];
  /** The name of the one that is used where none is asked for. */
  default_prompt: string | null;
  /** The most tokens of a text. */
  most: number;
}

/** A text to be put before others. */
export interface PromptReport {
  /** Its name. */
  name: string;
  /** The text. */
  text: string;
}

/** What an encoder made of texts. */
export interface EmbedReport {
  /** A vector for each text. */
  embeddings: Array<number[]>;
  /** Tokens of each text, as they were run. */
  tokens: number[];
  /** How hidden states became one vector: "mean", "cls", "last"; several, joined by "+", are side by side. */
  pooling: string;
  /** Whether the vectors are scaled to length 1. */
  normalized: boolean;
  /** What was put before each text. */
  prompt: string;
  /** The device. */
  device: DeviceReport;
  /** Findings: texts that were cut. */
  notes: string[];
}

/** Labels of texts. */
export interface ClassifyReport {
  /** The texts, in their order. */
  results: LabelledText[];
  /** What became of the head's logits: "softmax", "sigmoid", "none". */
  scoring: string;
  /** The device. */
  device: DeviceReport;
  /** Findings: texts that were cut. */
  notes: string[];
}

/** One text and its labels. */
export interface LabelledText {
  /** The text. */
  text: string;
  /** Its tokens, as they were run. */
  tokens: number;
  /** All labels, the likeliest first. */
  labels: LabelScore[];
}

/** A label's score. */
export interface LabelScore {
  /** The label. */
  label: string;
  /** Its score. */
  score: number;
  /** The head's result before it became a score. */
  logit: number;
}

/** Texts in the order of how well they answer a query. */
export interface RankReport {
  /** The query. */
  query: string;
  /** The texts, the best first. */
  results: RankedText[];
  /** What became of the head's logit: "sigmoid", "none". */
  scoring: string;
  /** The device. */
  device: DeviceReport;
  /** Findings: texts that were cut. */
  notes: string[];
}

/** One text and its score. */
export interface RankedText {
  /** Which of the texts given, from 0. */
  index: number;
  /** The text. */
  text: string;
  /** Its score. */
  score: number;
  /** The head's result before it became a score. */
  logit: number;
  /** Tokens of query and text, as they were run. */
  tokens: number;
}

/** The whole table of `test-ops`. */
export interface OpsReport {
  /** The device. */
  device: DeviceReport;
  /** One row per kernel, encoding and shape. */
  ops: OpReport[];
  /** All of them within tolerance. */
  ok: boolean;
}

/** One comparison. */
export interface OpReport {
  /** Kernel. */
  kernel: string;
  /** Weight encoding; empty where there is none. */
  encoding: string;
  /** The shape, in words. */
  shape: string;
  /** Normalised mean squared error against the operation's meaning. */
  nmse: number;
  /** The tolerance. */
  tolerance: number;
  /** Within tolerance and no write outside the output. */
  ok: boolean;
  /** What went wrong, where something did. */
  detail: string | null;
}

/** A failure: whose doing, what, where, and the causes below it. */
export interface FaultReport {
  /** "source", "file", "unsupported", "limit", "device", "caller" or "bug". */
  blame: string;
  /** One sentence. */
  what: string;
  /** File concerned. */
  file: string | null;
  /** Byte offset in it. */
  at: number | null;
  /** Underlying failures, outermost first. */
  because: string[];
}

/** What `glassbox check` says. */
export interface CheckReport {
  /** "GGUF", "safetensors", "ONNX". */
  format: string;
  /** One sentence: what the model is. */
  summary: string;
  /** Files of the model. */
  files: number;
  /** Findings of severity "error". */
  errors: number;
  /** Findings of severity "warning". */
  warnings: number;
  /** Findings, most severe first; each with its reason and what to do. */
  findings: NoteReport[];
  /** Programs that would not load it. */
  refusals: RefusalReport[];
  /** What is there and what is missing; absent for a whole model. */
  salvage?: SalvageReport;
  /** Names of the checks that were made. */
  checks: string[];
  /** What was read beyond the headers, in sentences. */
  looked_at: string[];
  /** Bytes read for all of it. */
  bytes_read: number;
}

/** A program that would not load a model. */
export interface RefusalReport {
  /** "llama.cpp". */
  program: string;
  /** The first reason. */
  because: string;
  /** Further reasons among the findings. */
  more: number;
}

/** What of a cut or partly given model is there, and which bytes are missing. */
export interface SalvageReport {
  /** Tensors whose bytes are all there. */
  complete: number;
  /** Tensors of which some bytes are there. */
  partial: number;
  /** Tensors that are listed and of which no byte is there. */
  missing: number;
  /** Tensors that are announced but not listed; null where nobody knows how many. */
  unlisted: number | null;
  /** Bytes of tensors that are there. */
  bytes_here: number;
  /** Bytes of all listed tensors. */
  bytes_all: number;
  /** The files that lack something. */
  files: FileSalvageReport[];
}

/** What one file lacks. */
export interface FileSalvageReport {
  /** Its name. */
  name: string;
  /** Length in bytes; null for a file that was not given. */
  bytes: number | null;
  /** Missing byte ranges, first and one past the last, sorted and merged. */
  missing: [number, number][];
  /** True where more is missing than these ranges; how much is not known. */
  more: boolean;
}
