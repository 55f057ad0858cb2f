//! What a machine with only Rust and Node still lacks. Each step looks first and is quick when all is there.

use std::path::Path;
use std::time::SystemTime;

use crate::chromium;
use crate::command::{Outcome, answer, cargo, command, npm, on_path, root, run};
use crate::vulkan;

/// What the browser tests and the GPU tests need, where it was found.
pub(crate) struct Machine {
    /// The Chromium to test with, or what the user must do to get one.
    pub(crate) chromium: Outcome<std::path::PathBuf>,
    /// Where a Vulkan driver was found, or what the user must do.
    pub(crate) vulkan: Outcome<String>,
}

/// One line for the user: what is there, was done, or is to be done.
pub(crate) fn say(what: &str, state: &str) {
    println!("setup  {what:<14} {state}");
}

/// `cargo xtask setup`.
pub(crate) fn everything() -> Outcome {
    let machine = for_the_tests()?;
    machine.chromium?;
    machine.vulkan?;
    Ok(())
}

/// What building the page needs.
pub(crate) fn for_the_site() -> Outcome {
    wasm_target()?;
    npm_packages()
}

/// What the whole test suite needs. A missing browser or driver is told in the result, so that all else can still run.
pub(crate) fn for_the_tests() -> Outcome<Machine> {
    for_the_site()?;
    cargo_component("fmt", "rustfmt")?;
    cargo_component("clippy", "clippy")?;
    let chromium = chromium::find_or_install();
    match &chromium {
        Ok(path) => say("Chromium", &path.display().to_string()),
        Err(why) => say("Chromium", &format!("MISSING: {why}")),
    }
    let vulkan = vulkan::find_or_install();
    match &vulkan {
        Ok(found) => say("Vulkan", found),
        Err(why) => say("Vulkan", &format!("MISSING: {why}")),
    }
    Ok(Machine { chromium, vulkan })
}

/// Tries again, for what depends on the network.
fn retry(times: u32, mut attempt: impl FnMut() -> Outcome) -> Outcome {
    let mut last = attempt();
    for n in 1..times {
        if last.is_ok() {
            break;
        }
        println!("setup  trying again ({n} of {})", times - 1);
        std::thread::sleep(std::time::Duration::from_secs(u64::from(2 * n)));
        last = attempt();
    }
    last
}

fn wasm_target() -> Outcome {
    const TARGET: &str = "wasm32-unknown-unknown";
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let libdir = answer(&mut command(rustc, &["--print", "target-libdir", "--target", TARGET]));
    if libdir.is_some_and(|folder| Path::new(&folder).is_dir()) {
        say("wasm target", "there");
        return Ok(());
    }
    if on_path("rustup").is_none() {
        return Err(format!(
            "this Rust has no {TARGET} target, and there is no rustup to add it: install Rust by rustup"
        ));
    }
    retry(4, || run(&mut command("rustup", &["target", "add", TARGET])))?;
    say("wasm target", "added by rustup");
    Ok(())
}

fn cargo_component(subcommand: &str, component: &str) -> Outcome {
    if answer(&mut cargo(&[subcommand, "--version"])).is_some() {
        return Ok(());
    }
    retry(4, || run(&mut command("rustup", &["component", "add", component])))?;
    say(component, "added by rustup");
    Ok(())
}

fn npm_packages() -> Outcome {
    let modified = |file: &str| -> Option<SystemTime> { root().join(file).metadata().ok()?.modified().ok() };
    let lock = modified("package-lock.json");
    let installed = modified("node_modules/.package-lock.json");
    if installed.is_some_and(|done| Some(done) >= lock.max(modified("package.json"))) {
        say("npm packages", "there");
        return Ok(());
    }
    let attempts: &[&[&str]] = match lock {
        // A registry that lacks a package for some other system makes `ci` refuse the lock file; `install` then keeps its versions.
        Some(_) => &[&["ci"], &["install", "--no-save"]],
        None => &[&["install"]],
    };
    let mut outcome = Ok(());
    for verb in attempts {
        // Browsers come from the system, and no package may run a script of its own while it is installed.
        let words = [verb, ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"].as_slice()].concat();
        outcome = retry(2, || run(npm(&words).env("PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD", "1")));
        if outcome.is_ok() {
            say("npm packages", &format!("installed by npm {}", verb[0]));
            break;
        }
    }
    outcome
}

/// Installs packages where this machine's package manager can do so without asking; else says what to do.
pub(crate) fn install_packages(debian: &[&str], otherwise: &str) -> Outcome {
    if on_path("apt-get").is_none() {
        return Err(otherwise.to_owned());
    }
    let by_hand = format!("sudo apt-get install -y {}", debian.join(" "));
    let mut prefix: Vec<&str> = Vec::new();
    if answer(&mut command("id", &["-u"])).as_deref() != Some("0") {
        if answer(&mut command("sudo", &["-n", "true"])).is_none() {
            return Err(format!("run: {by_hand}"));
        }
        prefix.extend(["sudo", "-n"]);
    }
    let apt = |arguments: &[&str]| {
        let words = [prefix.as_slice(), &["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"], arguments].concat();
        run(&mut command(words[0], &words[1..]))
    };
    println!("setup  installing by apt-get: {}", debian.join(" "));
    retry(3, || {
        apt(&["update", "-qq"])?;
        apt(&[&["install", "-y", "-qq"], debian].concat())
    })
    .map_err(|why| format!("{why}; run: {by_hand}"))
}
