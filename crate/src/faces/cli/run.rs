//! `glassbox run` and `glassbox devices`.

use std::rc::Rc;

use crate::{
    fault::Result,
    report::{DeviceReport, DevicesReport, RunReport},
    session::{
        Generated, Generation, GenerationOptions, GpuOptions, Inspection, Need, RunSettings, Sampling, list_devices,
    },
};

#[cfg(feature = "chat")]
use crate::session::{Chat, Conversation, Data};

use super::{
    Exit,
    args::RunArgs,
    terminal::{self, BOLD, Bar, DIM, bytes, plain, table},
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
    let options = GenerationOptions {
        max_tokens: args.tokens,
        sampling: Sampling {
            temperature: args.temp,
            top_k: args.top_k as usize,
            top_p: args.top_p,
            min_p: args.min_p,
            seed: args.seed,
            repetition_penalty: args.repetition_penalty,
            presence_penalty: args.presence_penalty,
            frequency_penalty: args.frequency_penalty,
        },
        add_special: true,
        alternatives: false,
        keep_logits: args.logits,
        ignore_end: false,
    };
    let settings = RunSettings {
        context: args.device.context,
        cache: args.program.cache_type,
        penalties: options.sampling.has_penalties(),
        disabled_passes: args.program.disable_pass.clone(),
        ..RunSettings::default()
    };
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
        let mut tell = |token: &Generated| {
            if !json {
                terminal::out(&printable(&token.text));
            }
            Box::pin(std::future::ready(false)) as crate::fault::LocalFuture<'static, bool>
        };
        let outcome = match prompt.ids {
            Some(ids) => generation.generate_ids(ids, &options, &mut tell).await?,
            None => generation.generate(&prompt.text, &options, &mut tell).await?,
        };
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

/// Model text for a terminal: line breaks and tabs stay, other control characters are made visible.
fn printable(text: &str) -> String {
    text.split_inclusive(['\n', '\t'])
        .map(|part| match part.strip_suffix(['\n', '\t']) {
            Some(head) => format!("{}{}", plain(head), &part[head.len()..]),
            None => plain(part),
        })
        .collect()
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
