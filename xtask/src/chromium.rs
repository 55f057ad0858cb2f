//! The browser of the browser tests.

use std::path::{Path, PathBuf};

use crate::command::{Outcome, answer, command, on_path};
use crate::setup::install_packages;

const NAMES: &[&str] = &["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"];

const USUAL_PLACES: &[&str] = &[
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    r"C:\Program Files\Google\Chrome\Application\chrome.exe",
    r"C:\Program Files (x86)\Google\Chrome\Application\chrome.exe",
];

/// A Chromium that starts: named by GLASSBOX_CHROMIUM, found in the usual places, or installed.
pub(crate) fn find_or_install() -> Outcome<PathBuf> {
    if let Some(named) = std::env::var_os("GLASSBOX_CHROMIUM") {
        let path = PathBuf::from(named);
        return if starts(&path) {
            Ok(path)
        } else {
            Err(format!("GLASSBOX_CHROMIUM names {}, which does not start", path.display()))
        };
    }
    if let Some(path) = find() {
        return Ok(path);
    }
    let by_hand = "install Chromium or Chrome, or name one with GLASSBOX_CHROMIUM=/path/to/chromium";
    install_packages(&["chromium"], by_hand)?;
    find().ok_or_else(|| format!("apt-get installed chromium, but it does not start; {by_hand}"))
}

fn find() -> Option<PathBuf> {
    let named = NAMES.iter().filter_map(|name| on_path(name));
    let usual = USUAL_PLACES.iter().map(PathBuf::from);
    named.chain(usual).chain(playwrights_own()).find(|path| starts(path))
}

/// Browsers that `npx playwright install` keeps in the user's cache, newest first.
fn playwrights_own() -> Vec<PathBuf> {
    let Some(home) = std::env::home_dir() else { return Vec::new() };
    let caches = [home.join(".cache/ms-playwright"), home.join("Library/Caches/ms-playwright")];
    let mut folders: Vec<PathBuf> = caches
        .iter()
        .filter_map(|cache| cache.read_dir().ok())
        .flat_map(|entries| entries.flatten().map(|entry| entry.path()))
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("chromium-")))
        .collect();
    folders.sort();
    folders
        .iter()
        .rev()
        .flat_map(|folder| {
            ["chrome-linux/chrome", "chrome-linux64/chrome", "chrome-mac/Chromium.app/Contents/MacOS/Chromium"]
                .map(|inner| folder.join(inner))
        })
        .collect()
}

/// A file named chromium may be only a hint to install something else (Ubuntu), so it must answer.
fn starts(path: &Path) -> bool {
    // On Windows `--version` opens a window instead of answering.
    path.is_file() && (cfg!(windows) || answer(&mut command(path, &["--version"])).is_some())
}
