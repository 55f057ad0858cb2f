//! `glassbox run` and `glassbox devices`.

use std::rc::Rc;

use crate::{
    fault::Result,
    report::{DeviceReport, DevicesReport, RunReport, SamplesReport},
    session::{Generated, Generation, GenerationOptions, GpuOptions, Inspection, Need, RunSettings, list_devices},
    source::SourceSet,
};

#[cfg(feature = "chat")]
use crate::session::{Chat, Conversation, Data};

use super::{
    Exit,
    args::RunArgs,
    terminal::{self, BOLD, Bar, DIM, bytes, plain, printable, table},
};

/// Runs the command: text goes to standard output as it comes.
pub(super) fn run(args: &RunArgs, json: bool) -> Result<Exit> {
    if !args.inputs.is_empty() || args.random.is_some() {
        #[cfg(feature = "onnx")]
        return super::onnx::run(args, json);
        #[cfg(not(feature = "onnx"))]
        return Err(crate::fault::Fault::unsupported("this build does not run ONNX graphs"));
    }
    let files = terminal::open_for(std::slice::from_ref(&args.path), Need::Run)?;
    let prompt = prompt(args)?;
    let options = GenerationOptions { keep_logits: args.logits, ..args.sampling.options(args.tokens) };
    let settings = RunSettings {
        adapters: args.lora.open()?,
        context: args.device.context,
        sequences: args.samples,
        outputs: args.samples,
        cache: args.program.cache_type,
        penalties: options.sampling.has_penalties(),
        disabled_passes: args.program.disable_pass.clone(),
        ..RunSettings::default()
    };
    if args.samples > 1 {
        return samples(args, files, prompt, &options, &settings, json);
    }
    let report = terminal::block_on(async {
        let inspection = Rc::new(Inspection::open(files).await?);
        let bar = Bar::new(json);
        let mut generation =
            Generation::load(inspection, args.device.device.clone(), args.device.options(), &settings, &mut |p| {
                bar.show(p)
            })
            .await?;
        bar.done();
        if !json {
            terminal::err(&format!("{DIM}{}{DIM:#}", plain(&generation.device().reason)));
            terminal::out(&format!("{BOLD}{}{BOLD:#}", printable(&prompt.text)));
        }
        let mut told = 0;
        let mut tell = |token: &Generated| {
            told += token.text.len();
            if !json {
                terminal::out(&printable(&token.text));
            }
            Box::pin(std::future::ready(false)) as crate::fault::LocalFuture<'static, bool>
        };
        let outcome = match prompt.ids {
            Some(ids) => generation.generate_ids(ids, &options, &mut tell).await?,
            None => generation.generate(&prompt.text, &options, &mut tell).await?,
        };
        if !json {
            // What was held back because a text that ends it could have begun there.
            terminal::out(&printable(outcome.text.get(told..).unwrap_or_default()));
        }
        Ok(RunReport::of(&generation, outcome))
    })?;
    if json {
        terminal::json(&report)?;
    } else {
        terminal::out("\n");
        summary(&report);
    }
    Ok(Exit::Fine)
}

/// Several texts from one prompt: shown one behind the other, because they come at once.
fn samples(
    args: &RunArgs,
    files: SourceSet,
    prompt: Prompt,
    options: &GenerationOptions,
    settings: &RunSettings,
    json: bool,
) -> Result<Exit> {
    let Prompt { text, ids } = prompt;
    let report = terminal::block_on(async {
        let inspection = Rc::new(Inspection::open(files).await?);
        let bar = Bar::new(json);
        let (device, gpu) = (args.device.device.clone(), args.device.options());
        let mut generation = Generation::load(inspection, device, gpu, settings, &mut |p| bar.show(p)).await?;
        bar.done();
        let ids = match ids {
            Some(ids) => ids,
            None => generation.encode(&text, options)?,
        };
        let mut go_on =
            |_: usize, _: &Generated| Box::pin(std::future::ready(false)) as crate::fault::LocalFuture<'static, bool>;
        let outcomes = generation.generate_samples(ids, args.samples, options, &mut go_on).await?;
        Ok(SamplesReport::of(&generation, options.sampling.seed, outcomes))
    })?;
    if json {
        terminal::json(&report)?;
        return Ok(Exit::Fine);
    }
    for (i, sample) in report.samples.iter().enumerate() {
        terminal::out(&format!("{DIM}sample {}, seed {}; stopped: {}{DIM:#}\n", i + 1, sample.seed, sample.stop));
        terminal::out(&format!("{BOLD}{}{BOLD:#}{}\n\n", printable(&text), printable(&sample.text)));
    }
    terminal::err(&format!(
        "{DIM}{}: {} prompt tokens, {} of them read for each sample alone{DIM:#}",
        plain(&report.device.reason),
        report.timing.prefill_tokens,
        report.samples.last().map_or(0, |sample| sample.read_tokens)
    ));
    Ok(Exit::Fine)
}

/// What the model is to go on from.
struct Prompt {
    text: String,
    /// Set where a template wrote the text, BOS and all.
    ids: Option<Vec<u32>>,
}

#[cfg(feature = "chat")]
fn prompt(args: &RunArgs) -> Result<Prompt> {
    if !args.prompt_ids.is_empty() {
        return Ok(Prompt { text: String::new(), ids: Some(args.prompt_ids.clone()) });
    }
    let Some(message) = &args.chat else { return Ok(Prompt { text: args.prompt.clone(), ids: None }) };
    let files = terminal::open_for(std::slice::from_ref(&args.path), Need::Chat)?;
    let rendered = terminal::block_on(async {
        let conversation = Conversation {
            messages: Data::said(message),
            add_generation_prompt: true,
            now: super::chat::now(),
            ..Conversation::default()
        };
        Chat::open(files).await?.render(None, conversation).map_err(|failure| failure.fault)
    })?;
    Ok(Prompt { text: rendered.text, ids: rendered.ids })
}

#[cfg(not(feature = "chat"))]
fn prompt(args: &RunArgs) -> Result<Prompt> {
    let ids = (!args.prompt_ids.is_empty()).then(|| args.prompt_ids.clone());
    Ok(Prompt { text: args.prompt.clone(), ids })
}

fn summary(report: &RunReport) {
    let t = &report.timing;
    let rate = |n: u32, s: f64| if s > 0.0 { f64::from(n) / s } else { 0.0 };
    terminal::err(&format!(
        "\n{DIM}{}: load {:.2} s ({}), prefill {} tokens at {:.1} tokens/s, decode {} tokens at {:.1} tokens/s, {} dispatches a token; stopped: {}{DIM:#}",
        plain(&report.device.name),
        t.load_s,
        bytes(t.memory),
        t.prefill_tokens,
        rate(t.prefill_tokens, t.prefill_s),
        t.decode_tokens,
        rate(t.decode_tokens, t.decode_s),
        t.dispatches_per_token,
        report.stop
    ));
    for note in report.notes.iter().filter(|n| **n != report.device.reason) {
        terminal::err(&format!("{DIM}{}{DIM:#}", plain(note)));
    }
}

/// Lists adapters and the CPU.
pub(super) fn devices(json: bool) -> Result<Exit> {
    let devices = terminal::block_on(list_devices(&GpuOptions::default()))?;
    let report = DevicesReport { devices: devices.iter().map(DeviceReport::listed).collect() };
    if json {
        terminal::json(&report)?;
        return Ok(Exit::Fine);
    }
    for device in &report.devices {
        let number = device.index.map_or_else(|| "cpu".to_owned(), |i| i.to_string());
        terminal::out(&format!(
            "{BOLD}{number}  {}{BOLD:#}  {DIM}{} {}{DIM:#}\n",
            plain(&device.name),
            device.backend,
            plain(&device.driver)
        ));
        let mut rows = vec![
            vec!["tier".into(), device.tier.clone().unwrap_or_else(|| "-".into())],
            vec!["features".into(), device.detail.clone()],
        ];
        rows.extend(device.limits.iter().map(|f| vec![f.label.clone(), f.value.clone()]));
        rows.push(vec!["chosen".into(), device.reason.clone()]);
        terminal::out(&table(&rows, 3));
        terminal::out("\n");
    }
    Ok(Exit::Fine)
}
