//! `glassbox eval`.

use std::{io::Read as _, path::Path, rc::Rc};

use crate::{
    fault::{Fault, Result},
    report::{AgainstReport, EstimateReport, EvalReport},
    session::{Adapter, EvalOptions, Evaluated, Inspection, Need, eval_context},
};

use super::{
    Exit,
    args::EvalArgs,
    terminal::{self, BOLD, Bar, DIM, plain, table},
};

/// The largest text that is read.
const TEXT: u64 = 256 << 20;

/// Runs the command.
pub(super) fn run(args: &EvalArgs, json: bool) -> Result<Exit> {
    let text = text(&args.text)?;
    let options = EvalOptions { context: args.device.context, chunks: args.chunks };
    let open = |path: &Path| -> Result<Rc<Inspection>> {
        let files = terminal::open_for(&[path.to_path_buf()], Need::Run)?;
        terminal::block_on(Inspection::open(files)).map(Rc::new)
    };
    let (own, other) = (open(&args.path)?, args.against.as_deref().map(open).transpose()?);
    let mut context = eval_context(&own, &options)?;
    if let Some(other) = &other {
        context = context.min(eval_context(other, &options)?);
    }
    let adapters = args.lora.open()?;
    let bar = Bar::new(json);
    let report = terminal::block_on(async {
        let mut model = load(own, args, context, adapters, &bar).await?;
        let mut against = match other {
            Some(other) => Some(load(other, args, context, Vec::new(), &bar).await?),
            None => None,
        };
        let ids = model.encode(&text)?;
        if let Some(other) = &against
            && other.has_tokenizer()
            && other.encode(&text)? != ids
        {
            return Err(Fault::caller(
                "the two models' tokenizers make different ids of the text: `glassbox tokenize A --with B` shows where",
            ));
        }
        let found = model.evaluate(&ids, against.as_mut(), &options, &mut |p| bar.show(p)).await?;
        Ok(EvalReport::of(&model, &found))
    })?;
    bar.done();
    match json {
        true => terminal::json(&report)?,
        false => terminal::out(&words(&report)),
    }
    Ok(Exit::Fine)
}

async fn load(
    model: Rc<Inspection>,
    args: &EvalArgs,
    context: u32,
    adapters: Vec<Adapter>,
    bar: &Bar,
) -> Result<Evaluated> {
    let (device, gpu) = (args.device.device.clone(), args.device.options());
    Evaluated::load(model, device, gpu, context, adapters, &mut |p| bar.show(p)).await
}

fn text(path: &Path) -> Result<String> {
    let name = path.display().to_string();
    let read = |source: &mut dyn std::io::Read| {
        let mut bytes = Vec::new();
        source.take(TEXT + 1).read_to_end(&mut bytes).map(|_| bytes)
    };
    let bytes = match path == Path::new("-") {
        true => read(&mut std::io::stdin().lock()),
        false => std::fs::File::open(path).and_then(|mut file| read(&mut file)),
    };
    let bytes = bytes.map_err(|e| Fault::source(format!("cannot be read: {e}")).in_file(&name))?;
    if bytes.len() as u64 > TEXT {
        return Err(Fault::limit(format!("texts of at most {TEXT} bytes are read")).in_file(&name));
    }
    String::from_utf8(bytes)
        .map_err(|e| Fault::file(e.utf8_error().valid_up_to() as u64, "the text is not UTF-8").in_file(&name))
}

fn words(report: &EvalReport) -> String {
    let p = report.perplexity;
    let mut out = format!(
        "{BOLD}Perplexity {:.4}{BOLD:#} ± {:.4}\n{DIM}{} of {} tokens counted, in {} chunks of {}{}; {}{DIM:#}\n",
        p.mean,
        p.error,
        report.counted,
        report.tokens,
        report.chunks,
        report.context,
        if report.bos { ", each begun with BOS" } else { "" },
        plain(&report.device.name),
    );
    if let Some(against) = &report.against {
        out.push('\n');
        out.push_str(&table(&rows(against), 0));
    }
    out
}

fn rows(a: &AgainstReport) -> Vec<Vec<String>> {
    let row = |name: &str, e: EstimateReport, scale: f64, unit: &str| {
        vec![name.to_owned(), format!("{:.6}{unit}", e.mean * scale), format!("± {:.6}", e.error * scale)]
    };
    let plain = |name: &str, value: String| vec![name.to_owned(), value];
    let mut rows = vec![
        row("perplexity of the other", a.perplexity, 1.0, ""),
        row("ratio of perplexities", a.perplexity_ratio, 1.0, ""),
        row("its logarithm", a.log_ratio, 1.0, ""),
        plain("correlation of the losses", format!("{:.4} %", a.correlation * 100.0)),
        row("KL divergence", a.kl_divergence, 1.0, ""),
        plain("largest", format!("{:.6}", a.kl_largest)),
    ];
    let quantiles = a.kl_quantiles.iter().rev();
    rows.extend(
        quantiles.map(|(share, value)| plain(&format!("{} % are below", share * 100.0), format!("{value:.6}"))),
    );
    rows.push(row("change of a token's probability", a.probability_change, 100.0, " %"));
    rows.push(plain("its root mean square", format!("{:.4} %", a.probability_change_rms * 100.0)));
    rows.push(row("same likeliest token", a.same_top, 100.0, " %"));
    rows
}
