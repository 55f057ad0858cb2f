//! Numbers for Prometheus, in its text format.

use std::{
    collections::BTreeMap,
    fmt::Write,
    sync::{Mutex, PoisonError, atomic::Ordering::Relaxed},
};

use super::model::Model;

/// Upper bounds of the histograms' buckets, in seconds.
const BOUNDS: [f64; 12] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// A histogram of seconds.
#[derive(Debug, Default, Clone)]
struct Histogram {
    buckets: [u64; BOUNDS.len()],
    count: u64,
    sum: f64,
}

impl Histogram {
    fn add(&mut self, seconds: f64) {
        for (bucket, bound) in self.buckets.iter_mut().zip(BOUNDS) {
            *bucket += u64::from(seconds <= bound);
        }
        self.count += 1;
        self.sum += seconds;
    }
    fn write(&self, out: &mut String, name: &str, help: &str) {
        let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} histogram");
        for (bucket, bound) in self.buckets.iter().zip(BOUNDS) {
            let _ = writeln!(out, "{name}_bucket{{le=\"{bound}\"}} {bucket}");
        }
        let (count, sum) = (self.count, self.sum);
        let _ = writeln!(out, "{name}_bucket{{le=\"+Inf\"}} {count}\n{name}_sum {sum}\n{name}_count {count}");
    }
}

#[derive(Debug, Default)]
struct Counted {
    requests: BTreeMap<(&'static str, u16), u64>,
    durations: Histogram,
    first_tokens: Histogram,
}

/// What has been counted since the start.
#[derive(Debug, Default)]
pub(super) struct Metrics(Mutex<Counted>);

impl Metrics {
    /// A request to a route was answered; of a stream its beginning.
    pub(super) fn answered(&self, route: &'static str, status: u16, seconds: f64) {
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counted.requests.entry((route, status)).or_default() += 1;
        counted.durations.add(seconds);
    }
    /// The first token of an answer came.
    pub(super) fn first_token(&self, seconds: f64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).first_tokens.add(seconds);
    }
    /// As Prometheus reads it.
    pub(super) fn text<'a>(&self, models: impl Iterator<Item = &'a Model> + Clone) -> String {
        let mut out = String::new();
        let counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = writeln!(
            out,
            "# HELP glassbox_http_requests_total Requests answered.\n# TYPE glassbox_http_requests_total counter"
        );
        for ((route, status), n) in &counted.requests {
            let _ = writeln!(out, "glassbox_http_requests_total{{route=\"{route}\",status=\"{status}\"}} {n}");
        }
        counted.durations.write(
            &mut out,
            "glassbox_http_request_seconds",
            "Time until a request's answer, or until its stream began.",
        );
        counted.first_tokens.write(&mut out, "glassbox_first_token_seconds", "Time from a request to its first token.");
        drop(counted);
        type Read = fn(&Model) -> u64;
        let of_models: [(&str, &str, &str, Read); 9] = [
            ("requests_running", "gauge", "Answers under way.", |m| m.figures.running.load(Relaxed)),
            ("requests_waiting", "gauge", "Answers that wait for their turn.", |m| m.figures.waiting.load(Relaxed)),
            ("sequences", "gauge", "Answers that can be under way at once.", |m| u64::from(m.sequences)),
            ("steps_total", "counter", "Steps of the model.", |m| m.figures.steps.load(Relaxed)),
            ("prompt_tokens_total", "counter", "Tokens of prompts that were read.", |m| {
                m.figures.prompt_tokens.load(Relaxed)
            }),
            ("kept_tokens_total", "counter", "Tokens of prompts that had been read before.", |m| {
                m.figures.kept_tokens.load(Relaxed)
            }),
            ("generated_tokens_total", "counter", "Tokens generated.", |m| m.figures.tokens.load(Relaxed)),
            ("requests_abandoned_total", "counter", "Answers whose client left.", |m| {
                m.figures.abandoned.load(Relaxed)
            }),
            ("device_reloads_total", "counter", "Devices lost and opened again.", |m| m.figures.reloads.load(Relaxed)),
        ];
        for (name, kind, help, read) in of_models {
            let _ = writeln!(out, "# HELP glassbox_{name} {help}\n# TYPE glassbox_{name} {kind}");
            for model in models.clone() {
                let label = model.name.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
                let _ = writeln!(out, "glassbox_{name}{{model=\"{label}\"}} {}", read(model));
            }
        }
        out
    }
}
