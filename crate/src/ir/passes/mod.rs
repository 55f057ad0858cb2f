//! Rewrites of graphs.
/// Stub until the passes are merged.
///
/// # Errors
/// None.
pub fn run(_: &mut super::Graph, _: &[&str]) -> crate::fault::Result<()> {
    Ok(())
}
/// Stub.
pub fn names() -> Vec<(&'static str, &'static str)> {
    Vec::new()
}
