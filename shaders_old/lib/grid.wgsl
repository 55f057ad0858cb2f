// Grids beyond 65,535 workgroups are folded into two dimensions; this unfolds them.
fn flat_group(group: vec3<u32>, groups: vec3<u32>) -> u32 {
    return group.y * groups.x + group.x;
}
