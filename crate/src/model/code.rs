//! Codes of findings: THE table of what can be found, with what to do about it.
//!
//! Code that acts on a finding asks for its code; sentences are only ever shown.

use std::borrow::Cow;

use super::Severity;

/// What a person can do, by the kind of finding.
const AGAIN: &str = "finish the download, or copy the file again";
const AGAIN_FILE: &str = "get that file again, or correct it";
const ALONE: &str = "open it on its own";
const ASK: &str = "ask whoever wrote the file, or get it from the model's own repository";
const CHECKSUM: &str = "compare its checksum with the file of the model's own repository before using it";
const CODE: &str = "read that code before you set trust_remote_code";
const CONVERT: &str = "convert the model again with a current program";
const MISSING: &str = "download what is missing, and give it together with the others";
const ONE_PLACE: &str = "get all files from one place; transformers' save_pretrained writes shards and index anew";
const OUTSIDE: &str = "do not open the model with programs that would follow it";
const READABLE: &str = "make it readable, or give the other files alone";
const TOGETHER: &str = "give all files of the model together, under their own names";
const TRUST: &str = "load it in Python only if you trust where it comes from; a safetensors file runs nothing";
const NOTHING: &str = "nothing needs to be done";

macro_rules! codes {
    ($($code:ident $name:literal $advice:ident;)*) => {
        /// What kind of finding a note is: one row of [`CODES`].
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[allow(missing_docs, reason = "the rows of the table say it")]
        pub enum NoteCode { $($code),* }

        /// All codes, in the order of [`NoteCode`]: the code, its name in reports, what a person can do.
        pub static CODES: &[(NoteCode, &str, &str)] = &[$((NoteCode::$code, $name, $advice)),*];
    };
}

codes! {
    Alignment "alignment" CONVERT;
    AlignmentOfTensors "alignment of tensors" CONVERT;
    AnotherModel "another model" ALONE;
    Architecture "architecture" ASK;
    ArrayText "array text" ASK;
    AttributesOfModules "attributes of modules" TRUST;
    Booleans "booleans" ASK;
    Buffers "buffers" ASK;
    ByteOrder "byte order" ASK;
    CallsOfResults "calls of results" TRUST;
    Chunks "chunks" AGAIN;
    Code "code" TRUST;
    CodeInLayers "code in layers" TRUST;
    Configuration "configuration" ASK;
    Count "count" AGAIN;
    Counts "counts" AGAIN;
    Cut "cut" AGAIN;
    DangerousImports "dangerous imports" TRUST;
    Dimensions "dimensions" CONVERT;
    Dtypes "dtypes" CONVERT;
    DuplicateKeys "duplicate keys" CHECKSUM;
    DuplicateNames "duplicate names" CHECKSUM;
    Empty "empty" ASK;
    EmptyKeys "empty keys" CONVERT;
    EmptyTensors "empty tensors" ASK;
    EndMark "end mark" ASK;
    EndOfFile "end of file" AGAIN;
    ExtensionCodes "extension codes" TRUST;
    External "external" ASK;
    ExternalData "external data" TOGETHER;
    ExtraEntries "extra entries" CHECKSUM;
    ForeignModules "foreign modules" TRUST;
    Graph "graph" AGAIN;
    HDF5 "HDF5" ASK;
    Header "header" AGAIN;
    Holes "holes" CHECKSUM;
    Ids "ids" ASK;
    IdsAndTexts "ids and texts" ASK;
    IdsThatDisagree "ids that disagree" ASK;
    Imports "imports" ASK;
    ImportsBeyondTensors "imports beyond tensors" TRUST;
    IndexDisagrees "index" ONE_PLACE;
    Keys "keys" ASK;
    KnownValueTypes "known value types" ASK;
    LeftOut "left out" READABLE;
    Limits "limits" ASK;
    Lines "lines" ASK;
    LongKeys "long keys" ASK;
    LongNames "long names" CONVERT;
    Magic "magic" CONVERT;
    Members "members" ASK;
    MembersNotLookedInto "members not looked into" ASK;
    Metadata "metadata" ASK;
    MissingBytes "missing bytes" MISSING;
    MissingLayers "missing layers" ASK;
    MissingPart "missing part" MISSING;
    MissingTensors "missing tensors" ASK;
    MissingWeights "missing weights" MISSING;
    ModelJson "model.json" ASK;
    MoreLayers "more layers" ASK;
    Names "names" CONVERT;
    NestedArrays "nested arrays" CONVERT;
    Objects "objects" TRUST;
    Offsets "offsets" CONVERT;
    OldBlocks "old blocks" ASK;
    Opsets "opsets" AGAIN;
    Order "order" ASK;
    OrderOfTensors "order of tensors" CONVERT;
    OutsideData "outside data" OUTSIDE;
    Overlaps "overlaps" CHECKSUM;
    OwnCode "own code" CODE;
    Packed "packed" ASK;
    PackedArrays "packed arrays" ASK;
    Padding "padding" ASK;
    Parts "parts" ASK;
    PickleXRay "pickle X-ray" TRUST;
    Pickles "pickles" TRUST;
    PicklesNotFullyUnderstood "pickles not fully understood" TRUST;
    Polyglots "polyglots" ASK;
    PreTokenizer "pre-tokenizer" ASK;
    ReachingOperators "reaching operators" CHECKSUM;
    Remark "remark" ASK;
    RepeatedTensors "repeated tensors" ONE_PLACE;
    Rows "rows" CONVERT;
    Shapes "shapes" ASK;
    Shards "shards" AGAIN;
    SharedBytes "shared bytes" ASK;
    SharedStorages "shared storages" ASK;
    SideFile "side file" AGAIN_FILE;
    SideFiles "side files" ASK;
    Sizes "sizes" CONVERT;
    Slices "slices" ASK;
    Split "split" TOGETHER;
    Start "start" ASK;
    Storages "storages" ASK;
    Templates "templates" ASK;
    Tensors "tensors" AGAIN;
    Text "text" ASK;
    TextsThatDisagree "texts that disagree" ASK;
    Tied "tied" ASK;
    TokenizerLists "tokenizer lists" ASK;
    Tokens "tokens" AGAIN;
    Trailing "trailing" CHECKSUM;
    TrailingBytes "trailing bytes" CHECKSUM;
    Training "training" ASK;
    Types "types" CONVERT;
    UnknownTensors "unknown tensors" ASK;
    Unnamed "unnamed" ASK;
    UnnamedTensors "unnamed tensors" ASK;
    UnreadablePart "unreadable part" AGAIN;
    Unstated "unstated" ASK;
    UserBlock "user block" ASK;
    Values "values" ASK;
    Variables "variables" ASK;
    Version "version" ASK;
    Version1 "version 1" CONVERT;
    Versions "versions" ASK;
    Views "views" ASK;
    VocabularySize "vocabulary size" ASK;
    Zeros "zeros" ASK;
    ZipDirectory "zip directory" AGAIN;
    ZipMembers "zip members" CHECKSUM;
    ZipNames "zip names" CHECKSUM;
    ZipOverlaps "zip overlaps" CHECKSUM;
    ZipPrefix "zip prefix" CHECKSUM;
    ZipTrailingBytes "zip trailing bytes" CHECKSUM;
}

impl NoteCode {
    /// Its name: "end of file".
    pub fn name(self) -> &'static str {
        CODES.get(self as usize).map_or("", |row| row.1)
    }
    /// What a person can do about it.
    pub fn advice(self, severity: Severity) -> &'static str {
        match CODES.get(self as usize) {
            // What is only good to know asks for nothing, unless it tells of damage or of code.
            Some((.., advice)) if severity > Severity::Info || !matches!(*advice, ASK | CONVERT) => advice,
            _ => NOTHING,
        }
    }
}

/// Why a finding matters whose reader says no more than what it is.
pub fn reason(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "what the file states cannot be relied on",
        Severity::Warning => "other programs may refuse the file, or read it otherwise",
        Severity::Info => "good to know; nothing depends on it",
    }
}

/// A program that loads models, where a finding can say that it refuses one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Loader {
    LlamaCpp,
    Safetensors,
    Transformers,
    OnnxRuntime,
    PyTorch,
    TensorFlow,
    Tiktoken,
}

impl Loader {
    /// All, in the order in which refusals are listed.
    pub const ALL: [Self; 7] = [
        Self::LlamaCpp,
        Self::Safetensors,
        Self::Transformers,
        Self::OnnxRuntime,
        Self::PyTorch,
        Self::TensorFlow,
        Self::Tiktoken,
    ];
    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::LlamaCpp => "llama.cpp",
            Self::Safetensors => "safetensors",
            Self::Transformers => "transformers",
            Self::OnnxRuntime => "ONNX Runtime",
            Self::PyTorch => "PyTorch",
            Self::TensorFlow => "TensorFlow",
            Self::Tiktoken => "tiktoken",
        }
    }
    /// A reason that ends in this program's refusal of a file.
    pub const fn refuses(self, why: &'static str) -> Why<'static> {
        Why { text: Cow::Borrowed(why), refused_by: Some(self) }
    }
}

/// Why a finding matters, and which program refuses the file for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Why<'a> {
    /// The reason; empty for the usual one.
    pub text: Cow<'a, str>,
    /// The program, where one refuses the file.
    pub refused_by: Option<Loader>,
}

impl<'a> From<&'a str> for Why<'a> {
    fn from(text: &'a str) -> Self {
        Self { text: Cow::Borrowed(text), refused_by: None }
    }
}

impl<'a> From<&'a String> for Why<'a> {
    fn from(text: &'a String) -> Self {
        Self::from(text.as_str())
    }
}

impl From<String> for Why<'_> {
    fn from(text: String) -> Self {
        Self { text: Cow::Owned(text), refused_by: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_has_its_row_at_its_place_and_a_name_of_its_own() {
        for (i, (code, name, advice)) in CODES.iter().enumerate() {
            assert_eq!(*code as usize, i, "{code:?}");
            assert!(!name.is_empty() && !advice.is_empty());
            assert_eq!(CODES.iter().filter(|row| row.1 == *name).count(), 1, "{name} stands for one code");
        }
    }

    #[test]
    fn what_is_good_to_know_asks_for_nothing_and_damage_does() {
        assert_eq!(NoteCode::Unstated.advice(Severity::Info), NOTHING);
        assert_eq!(NoteCode::EndOfFile.advice(Severity::Error), AGAIN);
        assert_eq!(NoteCode::TrailingBytes.advice(Severity::Info), CHECKSUM);
        assert_eq!(NoteCode::Types.advice(Severity::Warning), CONVERT);
    }
}
