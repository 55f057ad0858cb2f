//! Running other programs from the repository root.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The result of a task: `Err` holds the sentence that the user reads.
pub(crate) type Outcome<T = ()> = Result<T, String>;

/// The repository root.
pub(crate) fn root() -> PathBuf {
    let manifest = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().map_or(manifest.clone(), Path::to_path_buf)
}

/// Cargo's target folder: this program lies in `<target>/<profile>/`.
pub(crate) fn target_dir() -> Outcome<PathBuf> {
    let me = std::env::current_exe().map_err(|e| format!("cannot find this program's own path: {e}"))?;
    let target = me.parent().and_then(Path::parent);
    target.map(Path::to_path_buf).ok_or_else(|| format!("{} is not in a target folder", me.display()))
}

/// A command that runs in the repository root.
pub(crate) fn command(program: impl AsRef<OsStr>, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(root()).stdin(Stdio::null());
    command
}

/// The cargo that runs this program.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    command(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()), arguments)
}

/// Cargo for wasm32. Flags from the environment would replace those of `.cargo/config.toml`, without which the crate does not build.
pub(crate) fn cargo_wasm(arguments: &[&str]) -> Command {
    let mut cargo = cargo(arguments);
    cargo.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
    cargo
}

/// npm itself.
pub(crate) fn npm(arguments: &[&str]) -> Command {
    command(if cfg!(windows) { "npm.cmd" } else { "npm" }, arguments)
}

/// A program that an npm package installed.
pub(crate) fn node_tool(name: &str, arguments: &[&str]) -> Command {
    let file = if cfg!(windows) { format!("{name}.cmd") } else { name.to_owned() };
    command(root().join("node_modules/.bin").join(file), arguments)
}

/// Runs to the end with output shown.
pub(crate) fn run(command: &mut Command) -> Outcome {
    let status = command.status().map_err(|e| format!("cannot run {}: {e}", name(command)))?;
    if status.success() { Ok(()) } else { Err(format!("{} failed ({status})", line(command))) }
}

/// Runs to the end, shows standard output line by line and gives each line to `see` as well.
pub(crate) fn run_seen(command: &mut Command, mut see: impl FnMut(&str)) -> Outcome {
    let mut child = command.stdout(Stdio::piped()).spawn().map_err(|e| format!("cannot run {}: {e}", name(command)))?;
    if let Some(stdout) = child.stdout.take() {
        let mut shown = std::io::stdout().lock();
        for line in BufReader::new(stdout).split(b'\n') {
            let bytes = line.map_err(|e| format!("cannot read the output of {}: {e}", name(command)))?;
            let text = String::from_utf8_lossy(&bytes);
            // A closed terminal must not stop the tests that still run.
            let _ = writeln!(shown, "{text}");
            see(&text);
        }
    }
    let status = child.wait().map_err(|e| format!("cannot wait for {}: {e}", name(command)))?;
    if status.success() { Ok(()) } else { Err(format!("{} failed ({status})", line(command))) }
}

/// Standard output of a program that ran well; `None` where it is absent or failed.
pub(crate) fn answer(command: &mut Command) -> Option<String> {
    let output = command.stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Where PATH finds a program.
pub(crate) fn on_path(program: &str) -> Option<PathBuf> {
    let file = if cfg!(windows) { format!("{program}.exe") } else { program.to_owned() };
    std::env::split_paths(&std::env::var_os("PATH")?).map(|folder| folder.join(&file)).find(|path| path.is_file())
}

fn name(command: &Command) -> String {
    command.get_program().to_string_lossy().into_owned()
}

/// The command as one types it.
pub(crate) fn line(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let words = std::iter::once(program).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}
