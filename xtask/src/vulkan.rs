//! A Vulkan driver for the native GPU tests; a software one will do.

use std::path::{Path, PathBuf};

use crate::command::{Outcome, answer, command};
use crate::setup::install_packages;

/// Where a driver was found, in words; on Linux one is installed where there is none.
pub(crate) fn find_or_install() -> Outcome<String> {
    if !cfg!(target_os = "linux") {
        return Ok("not needed: this system's own GPU interface is used".to_owned());
    }
    if let Some(found) = find() {
        return Ok(found);
    }
    let by_hand = "install a Vulkan loader and driver (Mesa's llvmpipe will do)";
    install_packages(&["libvulkan1", "mesa-vulkan-drivers"], by_hand)?;
    find().ok_or_else(|| format!("apt-get installed the Vulkan packages, but no driver is there; {by_hand}"))
}

fn find() -> Option<String> {
    if !loader_is_there() {
        return None;
    }
    let drivers = drivers();
    let first = drivers.first()?;
    Some(match drivers.len() {
        1 => first.display().to_string(),
        n => format!("{} and {} more", first.display(), n - 1),
    })
}

fn loader_is_there() -> bool {
    const FOLDERS: &[&str] = &["/usr/lib", "/usr/lib64", "/lib", "/lib64", "/usr/local/lib"];
    let arch = std::env::consts::ARCH;
    FOLDERS.iter().any(|folder| {
        let folder = Path::new(folder);
        folder.join("libvulkan.so.1").exists() || folder.join(format!("{arch}-linux-gnu/libvulkan.so.1")).exists()
    }) || answer(&mut command("ldconfig", &["-p"])).is_some_and(|list| list.contains("libvulkan.so.1"))
}

/// Driver manifests, llvmpipe's first.
fn drivers() -> Vec<PathBuf> {
    for variable in ["VK_DRIVER_FILES", "VK_ICD_FILENAMES"] {
        if let Some(named) = std::env::var_os(variable) {
            return std::env::split_paths(&named).filter(|path| path.is_file()).collect();
        }
    }
    let folders = ["/usr/share/vulkan/icd.d", "/usr/local/share/vulkan/icd.d", "/etc/vulkan/icd.d"];
    let mut found: Vec<PathBuf> = folders
        .iter()
        .filter_map(|folder| Path::new(folder).read_dir().ok())
        .flat_map(|entries| entries.flatten().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    found.sort_by_key(|path| !path.to_string_lossy().contains("lvp"));
    found
}
