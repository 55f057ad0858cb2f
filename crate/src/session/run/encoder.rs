//! Texts through an encoder: several share a step, the longest first.

use std::{cmp::Reverse, rc::Rc};

use super::runner::{Row, RunSettings, Runner};
use crate::{
    engine::{
        device::{DeviceChoice, DeviceInfo},
        program::Want,
    },
    fault::{Fault, Result},
    session::{GpuOptions, Inspection, Progress},
    tokenizer::{Fitted, Vocabulary},
};

/// What is made of a text's hidden states; the number counts the texts.
pub(super) type Take<'a, T> = &'a mut dyn FnMut(usize, &[Vec<f32>]) -> Result<T>;

/// An encoder on its device.
pub(super) struct Encoder {
    runner: Runner,
    vocabulary: Result<Rc<Vocabulary>>,
}

impl Encoder {
    pub(super) async fn load(
        inspection: Rc<Inspection>,
        choice: DeviceChoice,
        gpu: GpuOptions,
        settings: &RunSettings,
        on_progress: &mut dyn FnMut(Progress),
    ) -> Result<Self> {
        let vocabulary = inspection.vocabulary().await;
        let runner = Runner::load(inspection, choice, gpu, settings, on_progress).await?;
        if !runner.program().results.iter().any(|(name, _)| &**name == "hidden") {
            return Err(Fault::unsupported(
                "the model gives logits and no hidden states: it is run, not embedded with",
            ));
        }
        Ok(Self { runner, vocabulary })
    }
    pub(super) fn device(&self) -> &DeviceInfo {
        self.runner.info()
    }
    pub(super) fn vocabulary(&self) -> Result<Rc<Vocabulary>> {
        self.vocabulary.clone()
    }
    /// The most tokens of a text.
    pub(super) fn most(&self) -> u32 {
        self.runner.program().layout.rows.min(self.runner.program().context)
    }
    /// Values of a hidden state.
    pub(super) fn width(&self) -> u32 {
        let hidden = self.runner.program().results.iter().find(|(name, _)| &**name == "hidden");
        hidden.and_then(|(_, view)| view.fact.width()).unwrap_or(0)
    }
    fn check(&self, ids: &[u32]) -> Result<()> {
        if ids.is_empty() {
            return Err(Fault::caller("a text without tokens has no vector"));
        }
        if ids.len() > self.most() as usize {
            return Err(Fault::caller(format!("{} tokens in a text; the model takes {}", ids.len(), self.most())));
        }
        let known = self.runner.program().known_tokens();
        match ids.iter().find(|id| **id >= known) {
            Some(id) => Err(Fault::caller(format!("token {id} is beyond the model's vocabulary of {known}"))),
            None => Ok(()),
        }
    }
    /// Runs texts and gives what `take` makes of each, in their order.
    ///
    /// # Errors
    /// A text without tokens, or with more than the model takes; a token beyond the vocabulary; the device fails.
    pub(super) async fn run<T>(&mut self, texts: &[&Fitted], take: Take<'_, T>) -> Result<Vec<T>> {
        texts.iter().try_for_each(|text| self.check(&text.ids))?;
        let (most, sequences) = (self.most() as usize, self.runner.program().layout.sequences as usize);
        let mut made: Vec<Option<T>> = texts.iter().map(|_| None).collect();
        for step in steps(texts, most, sequences) {
            let (mut rows, mut kinds, mut starts) = (Vec::new(), Vec::new(), Vec::new());
            for (sequence, text) in step.iter().map(|i| texts[*i]).enumerate() {
                starts.push(rows.len());
                rows.extend(text.ids.iter().enumerate().map(|(i, token)| Row {
                    token: *token,
                    position: i as u32,
                    sequence: sequence as u32,
                }));
                kinds.extend_from_slice(&text.kinds);
            }
            self.runner.set_length(step.iter().map(|i| texts[*i].ids.len() as u32).max().unwrap_or(1))?;
            self.runner.step_of_kinds(&rows, &kinds, &[], Want::Results).await?;
            let hidden = self.runner.result("hidden", 0..rows.len() as u32).await?;
            for (i, start) in step.iter().zip(starts) {
                made[*i] = Some(take(*i, &hidden[start..start + texts[*i].ids.len()])?);
            }
        }
        made.into_iter().map(|m| m.ok_or_else(|| Fault::bug("a text was left out"))).collect()
    }
    /// The hidden states of one text, `[tokens, hidden size]`.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub(super) async fn hidden(&mut self, ids: &[u32]) -> Result<Vec<Vec<f32>>> {
        let text = Fitted { ids: ids.to_vec(), kinds: vec![0; ids.len()], cut: 0 };
        let mut all = self.run(&[&text], &mut |_, hidden| Ok(hidden.to_vec())).await?;
        all.pop().ok_or_else(|| Fault::bug("no text was run"))
    }
}

/// Which texts go into which step: the longest first, each with others that still fit beside it.
fn steps(texts: &[&Fitted], rows: usize, sequences: usize) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..texts.len()).collect();
    crate::order::sort_by_key(&mut order, |i| (Reverse(texts[*i].ids.len()), *i));
    let mut steps: Vec<(Vec<usize>, usize)> = Vec::new();
    for i in order {
        let n = texts[i].ids.len();
        // Texts come by length: where one does not fit, a shorter one may; a few open steps are enough.
        let open = steps.len().saturating_sub(8);
        let fits = steps[open..].iter_mut().find(|(step, used)| step.len() < sequences && used + n <= rows);
        match fits {
            Some((step, used)) => {
                step.push(i);
                *used += n;
            }
            None => steps.push((vec![i], n)),
        }
    }
    steps.into_iter().map(|(step, _)| step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_texts_share_steps_and_none_is_left_out() {
        let text = |n: usize| Fitted { ids: vec![1; n], kinds: vec![0; n], cut: 0 };
        let texts: Vec<Fitted> = [3, 10, 4, 6, 1, 2].map(text).into();
        let texts: Vec<&Fitted> = texts.iter().collect();
        assert_eq!(steps(&texts, 10, 3), [vec![1], vec![3, 2], vec![0, 5, 4]]);
        assert_eq!(steps(&texts, 10, 1).len(), 6);
        assert_eq!(steps(&[], 10, 1), Vec::<Vec<usize>>::new());
    }
}
