//! What was found on an opened model, and what follows from it for those who would load it.

use crate::{
    check::{self, Evidence, Refusal, Salvage},
    fault::Result,
    model::Note,
    order,
    verdict::{self, Facts, Ours, Ruling},
};

use super::Inspection;

/// What every check says of a model, bytes beyond the headers included.
#[derive(Debug)]
pub struct Examination {
    /// Findings, most severe first.
    pub notes: Vec<Note>,
    /// Programs that would not load it.
    pub refusals: Vec<Refusal>,
    /// Names of the checks that were made.
    pub checks: Vec<&'static str>,
    /// What was read beyond the headers, in sentences.
    pub looked_at: Vec<String>,
}

impl Inspection {
    /// The readers' notes, and those of every check that needs no byte beyond the headers; most severe first. Made once.
    pub fn findings(&self) -> &[Note] {
        self.findings.get_or_init(|| check::all(self.model(), &Evidence::default()))
    }
    /// Who can run the model, by the findings on it and whether a tokenizer is here.
    pub fn rulings(&self, tokenizer: bool) -> Vec<Ruling> {
        let ours =
            self.support().map(|s| Ours { architecture: s.architecture, layers: s.layers, generates: s.generates });
        verdict::rulings(&Facts::of(self.model(), self.findings(), ours, tokenizer))
    }
    /// What of a cut or partly given model is there; `None` for a whole one.
    pub fn salvage(&self) -> Option<Salvage> {
        check::salvage(self.model())
    }
    /// Every check, the tokenizer's included.
    ///
    /// # Errors
    /// A file cannot be read.
    pub async fn examine(&self) -> Result<Examination> {
        let evidence = check::gather(self.files(), self.model(), self.tokens().await).await?;
        let tokenizer = self.tokenizer_warnings().await;
        Ok(self.examined(evidence, Some(tokenizer)))
    }
    /// The same without what needs the tokenizer, which the page's reader module does not hold.
    ///
    /// # Errors
    /// A file cannot be read.
    pub async fn examine_without_tokenizer(&self) -> Result<Examination> {
        Ok(self.examined(check::gather(self.files(), self.model(), None).await?, None))
    }
    fn examined(&self, evidence: Evidence, tokenizer: Option<Vec<Note>>) -> Examination {
        let mut notes = check::all(self.model(), &evidence);
        let tokenizer_checked = tokenizer.is_some().then_some("tokenizer");
        notes.extend(tokenizer.unwrap_or_default());
        order::sort_by_key(&mut notes, |note| std::cmp::Reverse(note.severity));
        Examination {
            refusals: check::refusals(&notes),
            notes,
            checks: check::CHECKS.iter().map(|c| c.name).chain(tokenizer_checked).collect(),
            looked_at: evidence.looked_at,
        }
    }
}
