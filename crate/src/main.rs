//! The `glassbox` command.
#[cfg(not(target_arch = "wasm32"))]
fn main() -> std::process::ExitCode {
    glassbox::faces::cli::main()
}
#[cfg(target_arch = "wasm32")]
fn main() {}
