//! `glassbox bench`, `glassbox test-ops` and the dispatch-gap experiment.

use std::rc::Rc;

use crate::{
    fault::{Fault, Result},
    report::{BenchReport, ModelReport, OpsReport},
    session::{
        EncodeOptions, Generation, Inspection, Need, RunSettings, Stopwatch, bench, dispatch_gap, open_vocabulary,
        test_ops as run_ops,
    },
};

use super::{
    Exit,
    args::{BenchArgs, TestOpsArgs, TimeOpenArgs, TimeTokenizeArgs},
    terminal::{self, BOLD, Bar, DIM, GREEN, RED, bytes, plain, table},
};

/// Runs the command.
pub(super) fn run(args: &BenchArgs, json: bool) -> Result<Exit> {
    let files = terminal::open_for(std::slice::from_ref(&args.path), Need::Run)?;
    let report = terminal::block_on(async {
        let inspection = Rc::new(Inspection::open(files).await?);
        let name = inspection.model().files.first().map(|f| f.name.clone()).unwrap_or_default();
        let bar = Bar::new(json);
        let context = args.device.context.or(Some(args.prefill.saturating_add(args.decode).saturating_add(1)));
        let settings = RunSettings {
            context,
            cache: args.program.cache_type,
            disabled_passes: args.program.disable_pass.clone(),
            ..RunSettings::default()
        };
        let mut generation =
            Generation::load(inspection, args.device.device.clone(), args.device.options(), &settings, &mut |p| {
                bar.show(p)
            })
            .await?;
        bar.done();
        let speed = bench(&mut generation, args.prefill, args.decode, args.repetitions).await?;
        Ok(BenchReport::of(name, &generation, &speed))
    })?;
    if json {
        terminal::json(&report)?;
        return Ok(Exit::Fine);
    }
    terminal::out(&format!(
        "{BOLD}{}{BOLD:#} on {} {DIM}({} {}){DIM:#}\n",
        plain(&report.model),
        plain(&report.device.name),
        report.device.backend,
        report.device.detail
    ));
    let range = |r: [f64; 2]| format!("({:.1} to {:.1})", r[0], r[1]);
    let rows = vec![
        vec![
            format!("prefill of {}", report.prefill_tokens),
            format!("{:9.1} tokens/s", report.prefill_tokens_per_s),
            range(report.prefill_range),
        ],
        vec![
            format!("decode of {}", report.decode_tokens),
            format!("{:9.1} tokens/s", report.decode_tokens_per_s),
            range(report.decode_range),
        ],
        vec![
            "read per token".into(),
            format!("{:>9}", bytes(report.bytes_per_token)),
            format!("{:.1} GB/s", report.gigabytes_per_s),
        ],
        vec![
            "dispatches per token".into(),
            format!("{:9.1}", report.dispatches_per_token),
            format!("{:.2} submits", report.submits_per_token),
        ],
        vec!["load".into(), format!("{:9.2} s", report.load_s), format!("{} on the device", bytes(report.memory))],
    ];
    terminal::out(&table(&rows, 2));
    Ok(Exit::Fine)
}

/// Compares kernels with the operations they stand for.
pub(super) fn test_ops(args: &TestOpsArgs, json: bool) -> Result<Exit> {
    let (device, results) = terminal::block_on(run_ops(&args.device.device, &args.device.options(), &args.only))?;
    let report = OpsReport::of(&device, &results);
    if json {
        terminal::json(&report)?;
    } else {
        terminal::out(&format!(
            "{BOLD}{}{BOLD:#} {DIM}{} {}{DIM:#}\n",
            plain(&report.device.name),
            report.device.backend,
            report.device.detail
        ));
        let rows: Vec<_> = report
            .ops
            .iter()
            .map(|o| {
                let verdict = if o.ok {
                    format!("{GREEN}ok{GREEN:#}")
                } else {
                    format!("{RED}WRONG{RED:#} {}", o.detail.clone().unwrap_or_default())
                };
                vec![
                    o.kernel.clone(),
                    o.encoding.clone(),
                    o.shape.clone(),
                    format!("{:.1e} of {:.0e}", o.nmse, o.tolerance),
                    verdict,
                ]
            })
            .collect();
        terminal::out(&table(&rows, 2));
        let wrong = report.ops.iter().filter(|o| !o.ok).count();
        terminal::out(&format!("\n{} passed, {wrong} failed\n", report.ops.len() - wrong));
    }
    Ok(if report.ok { Exit::Fine } else { Exit::Findings })
}

/// The time between dependent dispatches of one pass.
pub(super) fn gap(args: &TestOpsArgs, json: bool) -> Result<Exit> {
    let lines = terminal::block_on(dispatch_gap(&args.device.device, &args.device.options()))?;
    if json {
        terminal::json(&lines.iter().map(|(k, v)| serde_json::json!({ "what": k, "value": v })).collect::<Vec<_>>())?;
    } else {
        terminal::out(&table(&lines.into_iter().map(|(k, v)| vec![k, v]).collect::<Vec<_>>(), 0));
    }
    Ok(Exit::Fine)
}

/// Milliseconds to open a model's headers, and to make its report as JSON, without starting a process each time.
pub(super) fn time_open(args: &TimeOpenArgs, json: bool) -> Result<Exit> {
    let (mut opening, mut reporting) = (Vec::new(), Vec::new());
    let (mut read, mut tensors) = (0, 0);
    for repetition in 0..=args.repetitions.max(1) {
        let clock = Stopwatch::start();
        let files = terminal::open(&args.paths)?;
        let inspection = terminal::block_on(Inspection::open(files))?;
        let opened = clock.seconds();
        let text = terminal::block_on(async {
            serde_json::to_string(&ModelReport::of(&inspection).await)
                .map_err(|e| Fault::bug(format!("a report cannot be written as JSON: {e}")))
        })?;
        let reported = clock.seconds();
        std::hint::black_box(text);
        (read, tensors) = (inspection.files().bytes_read(), inspection.model().tensors.len());
        if repetition > 0 {
            opening.push(opened * 1e3);
            reporting.push(reported * 1e3);
        }
    }
    let ((low, mid, high), with_report) = (range(&mut opening), range(&mut reporting));
    if json {
        terminal::json(&serde_json::json!({
            "ms": mid, "ms_min": low, "ms_max": high, "ms_with_report": with_report.1,
            "ms_with_report_min": with_report.0, "ms_with_report_max": with_report.2,
            "bytes_read": read, "tensors": tensors,
        }))?;
    } else {
        let (least, middle, most) = with_report;
        terminal::out(&format!(
            "{mid:.2} ms ({low:.2} to {high:.2}), with the report as JSON {middle:.2} ms ({least:.2} to {most:.2}), {tensors} tensors, {} read\n",
            bytes(read)
        ));
    }
    Ok(Exit::Fine)
}

/// The least, the middle and the greatest of some times.
fn range(times: &mut [f64]) -> (f64, f64, f64) {
    times.sort_by(f64::total_cmp);
    (times[0], times[times.len() / 2], times[times.len() - 1])
}

/// Megabytes a second of encoding texts whole: ids alone, and with the pieces that a preview shows.
pub(super) fn time_tokenize(args: &TimeTokenizeArgs, json: bool) -> Result<Exit> {
    let clock = Stopwatch::start();
    let files = terminal::open(std::slice::from_ref(&args.path))?;
    let vocabulary = terminal::block_on(open_vocabulary(files))?;
    let opened = clock.seconds();
    let options = EncodeOptions::default();
    let mut lines = Vec::new();
    for path in &args.texts {
        let text = std::fs::read_to_string(path)
            .map_err(|e| Fault::source(format!("cannot be read: {e}")).in_file(&path.display().to_string()))?;
        let (mut encoding, mut previewing) = (Vec::new(), Vec::new());
        let mut ids = Vec::new();
        for repetition in 0..=args.repetitions.max(1) {
            let clock = Stopwatch::start();
            ids = vocabulary.encode(&text, options)?;
            let encoded = clock.seconds();
            let clock = Stopwatch::start();
            std::hint::black_box(vocabulary.preview(&text, options)?.pieces.len());
            if repetition > 0 {
                encoding.push(encoded * 1e3);
                previewing.push(clock.seconds() * 1e3);
            }
        }
        // So that a script can tell whether another program gave the same ids.
        let sum = ids.iter().fold(0_u32, |sum, id| sum.wrapping_mul(31).wrapping_add(*id));
        let ((low, mid, high), preview) = (range(&mut encoding), range(&mut previewing));
        lines.push(serde_json::json!({
            "text": path.display().to_string(), "bytes": text.len(), "tokens": ids.len(), "sum": sum,
            "ms": mid, "ms_min": low, "ms_max": high, "mb_per_s": text.len() as f64 / 1e3 / mid,
            "preview_ms": preview.1, "open_ms": opened * 1e3,
        }));
    }
    if json {
        terminal::json(&lines)?;
    } else {
        for line in &lines {
            terminal::out(&format!(
                "{:.1} MB/s, {:.2} ms ({:.2} to {:.2}); preview {:.1} ms; {} tokens, sum {}; {}\n",
                line["mb_per_s"].as_f64().unwrap_or_default(),
                line["ms"].as_f64().unwrap_or_default(),
                line["ms_min"].as_f64().unwrap_or_default(),
                line["ms_max"].as_f64().unwrap_or_default(),
                line["preview_ms"].as_f64().unwrap_or_default(),
                line["tokens"],
                line["sum"],
                line["text"].as_str().unwrap_or_default(),
            ));
        }
        terminal::out(&format!("opened in {:.1} ms\n", opened * 1e3));
    }
    Ok(Exit::Fine)
}
