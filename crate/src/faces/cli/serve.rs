//! `glassbox serve`: flags, environment and a TOML file become the server's settings.

use std::{path::PathBuf, time::Duration};

use clap::Args;
use serde::Deserialize;

use super::{
    super::serve::{self, ModelSpec, Settings},
    Exit,
    args::{DeviceArgs, ProgramArgs},
    terminal,
};
use crate::{
    fault::{Fault, Result},
    session::CacheType,
};

/// The most bytes of a settings file.
const FILE_BYTES: u64 = 1 << 20;

#[derive(Args)]
#[command(
    after_help = "Examples:\n  glassbox serve model.gguf\n  glassbox serve small=model-q4_k_m.gguf large=hf-folder --port 9000\n  GLASSBOX_SERVE_API_KEY=secret glassbox serve model.gguf --host 0.0.0.0\n  glassbox serve --config serve.toml\n\nFlags count before the environment, and that before the file. Ctrl-C or SIGTERM ends the server: running answers may end\nwithin the time of grace, a second signal cuts them. docs/serve.md describes the API and every key of the file."
)]
pub(super) struct ServeArgs {
    /// Models: a file, folder, or http(s) address of a file each; NAME=PATH gives it a name.
    #[arg(required_unless_present = "config")]
    models: Vec<PathBuf>,
    /// A TOML file with settings of the same names.
    #[arg(long, value_name = "FILE", env = "GLASSBOX_SERVE_CONFIG")]
    config: Option<PathBuf>,
    /// The address to listen on [default: 127.0.0.1].
    #[arg(long, value_name = "ADDRESS", env = "GLASSBOX_SERVE_HOST")]
    host: Option<String>,
    /// The port; 0 has the system choose one [default: 8080].
    #[arg(long, env = "GLASSBOX_SERVE_PORT")]
    port: Option<u16>,
    /// A key that clients must give; may be repeated. Better in the environment or a file: arguments are seen by others.
    #[arg(long, value_name = "KEY", env = "GLASSBOX_SERVE_API_KEY", hide_env_values = true)]
    api_key: Vec<String>,
    /// A file of keys, one a line.
    #[arg(long, value_name = "FILE", env = "GLASSBOX_SERVE_API_KEY_FILE")]
    api_key_file: Option<PathBuf>,
    /// An origin whose pages may ask, such as https://app.example, or *; may be repeated. Without it none may.
    #[arg(long, value_name = "ORIGIN", env = "GLASSBOX_SERVE_CORS_ORIGIN")]
    cors_origin: Vec<String>,
    /// A further name by which this host is called; may be repeated.
    #[arg(long, value_name = "NAME", env = "GLASSBOX_SERVE_HOST_NAME")]
    host_name: Vec<String>,
    /// Answers under way at once, for each model; each has a KV cache of the whole context [default: 4].
    #[arg(long, value_name = "N", env = "GLASSBOX_SERVE_SEQUENCES")]
    sequences: Option<u32>,
    /// Answers that may wait, for each model [default: 128].
    #[arg(long, value_name = "N", env = "GLASSBOX_SERVE_QUEUE")]
    queue: Option<usize>,
    /// The most tokens of a prompt that are read in one step [default: 256].
    #[arg(long, value_name = "N", env = "GLASSBOX_SERVE_CHUNK")]
    chunk: Option<u32>,
    /// The most bytes of a request [default: 8388608].
    #[arg(long, value_name = "BYTES", env = "GLASSBOX_SERVE_MAX_BODY")]
    max_body: Option<usize>,
    /// Seconds that a request may take, waiting among them [default: 600].
    #[arg(long, value_name = "SECONDS", env = "GLASSBOX_SERVE_REQUEST_TIMEOUT")]
    request_timeout: Option<u64>,
    /// Seconds that a client may take to send a request's head, and its body [default: 30].
    #[arg(long, value_name = "SECONDS", env = "GLASSBOX_SERVE_READ_TIMEOUT")]
    read_timeout: Option<u64>,
    /// Seconds that running answers may go on when the server is told to end [default: 30].
    #[arg(long, value_name = "SECONDS", env = "GLASSBOX_SERVE_GRACE")]
    grace: Option<u64>,
    /// Connections at once; further ones wait [default: 1024].
    #[arg(long, value_name = "N", env = "GLASSBOX_SERVE_CONNECTIONS")]
    connections: Option<usize>,
    /// What is logged to standard error: error, warn, info, debug or trace [default: info].
    #[arg(long, value_name = "LEVEL", env = "GLASSBOX_SERVE_LOG")]
    log: Option<String>,
    #[command(flatten)]
    program: ProgramArgs,
    #[command(flatten)]
    device: DeviceArgs,
}

/// The file's keys.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    models: Vec<PathBuf>,
    host: Option<String>,
    port: Option<u16>,
    api_key: Vec<String>,
    api_key_file: Option<PathBuf>,
    cors_origin: Vec<String>,
    host_name: Vec<String>,
    sequences: Option<u32>,
    queue: Option<usize>,
    chunk: Option<u32>,
    max_body: Option<usize>,
    request_timeout: Option<u64>,
    read_timeout: Option<u64>,
    grace: Option<u64>,
    connections: Option<usize>,
    log: Option<String>,
    context: Option<u32>,
    cache_type: Option<String>,
}

/// Serves until the process is told to end.
pub(super) fn run(args: &ServeArgs) -> Result<Exit> {
    let settings = settings(args)?;
    serve::run(settings, &mut |address| terminal::out(&format!("listening on {address}\n")))?;
    Ok(Exit::Fine)
}

fn settings(args: &ServeArgs) -> Result<Settings> {
    let file = match &args.config {
        Some(path) => read(path)?,
        None => File::default(),
    };
    let mut api_keys = either(&args.api_key, file.api_key);
    if let Some(path) = args.api_key_file.as_ref().or(file.api_key_file.as_ref()) {
        api_keys.extend(text(path)?.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned));
    }
    let seconds = |flag: Option<u64>, file: Option<u64>, default| Duration::from_secs(flag.or(file).unwrap_or(default));
    let paths = either(&args.models, file.models);
    if paths.is_empty() {
        return Err(Fault::caller("no model is named, neither as an argument nor in the file"));
    }
    let log = args.log.clone().or(file.log).unwrap_or_else(|| "info".into());
    if !["error", "warn", "info", "debug", "trace"].contains(&log.as_str()) {
        return Err(Fault::caller(format!("log {log:?}: error, warn, info, debug or trace expected")));
    }
    let cache = match file.cache_type {
        Some(name) if args.program.cache_type == CacheType::F32 => CacheType::parse(&name)
            .ok_or_else(|| Fault::caller(format!("cache-type {name:?}: f32, f16 or q8_0 expected")))?,
        _ => args.program.cache_type,
    };
    Ok(Settings {
        models: paths.iter().map(|path| ModelSpec::parse(path)).collect(),
        host: args.host.clone().or(file.host).unwrap_or_else(|| "127.0.0.1".into()),
        port: args.port.or(file.port).unwrap_or(8080),
        api_keys,
        cors_origins: either(&args.cors_origin, file.cors_origin),
        host_names: either(&args.host_name, file.host_name),
        sequences: args.sequences.or(file.sequences).unwrap_or(4),
        queue: args.queue.or(file.queue).unwrap_or(128),
        chunk: args.chunk.or(file.chunk).unwrap_or(256),
        context: args.device.context.or(file.context),
        cache,
        disabled_passes: args.program.disable_pass.clone(),
        max_body: args.max_body.or(file.max_body).unwrap_or(8 << 20),
        request_time: seconds(args.request_timeout, file.request_timeout, 600),
        read_time: seconds(args.read_timeout, file.read_timeout, 30),
        grace: seconds(args.grace, file.grace, 30),
        connections: args.connections.or(file.connections).unwrap_or(1024),
        device: args.device.device.clone(),
        gpu: args.device.options(),
        log,
        open: |path, need| terminal::open_for(&[path.to_path_buf()], need),
    })
}

/// What was given nearer to the command, else what the file says.
fn either<T: Clone>(given: &[T], file: Vec<T>) -> Vec<T> {
    if given.is_empty() { file } else { given.to_vec() }
}

fn text(path: &PathBuf) -> Result<String> {
    let name = path.display().to_string();
    let fail = |e: std::io::Error| Fault::source(format!("cannot be read: {e}")).in_file(&name);
    let length = std::fs::metadata(path).map_err(fail)?.len();
    if length > FILE_BYTES {
        return Err(Fault::limit(format!("{length} bytes; at most {FILE_BYTES} are read")).in_file(&name));
    }
    std::fs::read_to_string(path).map_err(fail)
}

fn read(path: &PathBuf) -> Result<File> {
    toml::from_str(&text(path)?).map_err(|e| Fault::caller(format!("{e}")).in_file(&path.display().to_string()))
}
