//! Which tensors hold the same in different arrangements, and what parts of a layer are called.

use crate::arch::Role;

/// Roles whose tensors hold the same rows in different arrangements: of the same family, the forward pass reads the same
/// weights in the same order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Family {
    /// Queries, keys, values, and gates beside them.
    Inputs,
    /// Gate and up map of a feed-forward layer.
    GateUp,
    /// Its down map.
    Down,
    /// Gate and up maps of experts.
    ExpertsIn,
    /// Their down maps.
    ExpertsOut,
    /// Keys and values made from a latent row.
    Latent,
    /// What gates and decays of a recurrence are made of.
    Gates,
    /// What is added to time steps.
    Steps,
    /// One role alone.
    One(Role),
}

/// The family of a role, and whether it is of biases.
pub(super) fn family(role: Role, bias: bool) -> (Family, bool) {
    match role {
        Role::AttnQ | Role::AttnK | Role::AttnV | Role::AttnQkv | Role::AttnGate | Role::SsmIn => {
            (Family::Inputs, bias)
        }
        Role::FfnGate | Role::FfnUp | Role::FfnGateUp | Role::SharedGate | Role::SharedUp | Role::SharedGateUp => {
            (Family::GateUp, bias)
        }
        Role::FfnDown | Role::SharedDown => (Family::Down, bias),
        Role::GateExperts | Role::UpExperts | Role::GateUpExperts | Role::GateUpBlocks | Role::GateUpScales => {
            (Family::ExpertsIn, bias)
        }
        Role::GateUpExpertsBias => (Family::ExpertsIn, true),
        Role::DownExperts | Role::DownBlocks | Role::DownScales => (Family::ExpertsOut, bias),
        Role::DownExpertsBias => (Family::ExpertsOut, true),
        Role::KvHigh | Role::KHigh | Role::VHigh => (Family::Latent, bias),
        Role::SsmAlpha | Role::SsmBeta | Role::SsmBetaAlpha => (Family::Gates, bias),
        Role::SsmDtBias => (Family::Steps, true),
        Role::SsmDt if bias => (Family::Steps, true),
        Role::RouterBias => (Family::One(Role::RouterBias), true),
        other => (Family::One(other), bias),
    }
}

/// What a part is called in tables; the nth of several that one tensor holds.
pub(super) fn part(role: Role, nth: u32, of: u32, bias: bool) -> String {
    let which = |names: &[&'static str]| names.get(nth as usize).copied().filter(|_| of as usize == names.len());
    let name = match family(role, bias).0 {
        Family::Inputs if role == Role::SsmIn => which(&["attn qkv", "attn gate"]),
        Family::Inputs if role == Role::AttnQkv => which(&["attn q", "attn k", "attn v"]),
        Family::GateUp if role == Role::FfnGateUp => which(&["ffn gate", "ffn up"]),
        Family::ExpertsIn => which(&["experts gate", "experts up"]),
        Family::ExpertsOut => Some("experts down"),
        Family::Latent => which(&["attn k high", "attn v high"]),
        _ => None,
    };
    let name = name.map_or_else(|| of_role(role), str::to_owned);
    if bias { format!("{name} bias") } else { name }
}

/// What the tensor of a role is called.
pub(super) fn of_role(role: Role) -> String {
    let named = match role {
        Role::TokenEmbedding => "embedding",
        Role::OutputNorm => "output norm",
        Role::Output => "output",
        Role::AttnNorm => "attn norm",
        Role::AttnQ => "attn q",
        Role::AttnK => "attn k",
        Role::AttnV => "attn v",
        Role::AttnQkv => "attn qkv",
        Role::AttnOutput => "attn o",
        Role::FfnNorm => "ffn norm",
        Role::FfnGate => "ffn gate",
        Role::FfnUp => "ffn up",
        Role::FfnGateUp => "ffn gate up",
        Role::FfnDown => "ffn down",
        Role::GateExperts => "experts gate",
        Role::UpExperts => "experts up",
        Role::GateUpExperts | Role::GateUpBlocks => "experts gate up",
        Role::DownExperts | Role::DownBlocks => "experts down",
        Role::Router => "router",
        _ => "",
    };
    if !named.is_empty() {
        return named.to_owned();
    }
    // The rest as GGUF files name it, or folders where those have no name.
    let row = role.row();
    let name = row.gguf.first().or(row.folder.first()).copied().unwrap_or("other");
    let name = name.strip_prefix("blk.{l}.").or_else(|| name.rsplit('.').next()).unwrap_or(name);
    name.replace(['_', '.'], " ")
}

/// The order of columns in tables.
pub(super) fn rank(part: &str) -> usize {
    const ORDER: &[&str] = &[
        "embedding",
        "attn norm",
        "attn q",
        "attn k",
        "attn v",
        "attn qkv",
        "attn o",
        "ffn norm",
        "router",
        "ffn gate",
        "ffn up",
        "ffn gate up",
        "ffn down",
        "experts gate",
        "experts up",
        "experts gate up",
        "experts down",
    ];
    let stem = part.strip_suffix(" bias").unwrap_or(part);
    let known = ORDER.iter().position(|name| *name == stem).unwrap_or(ORDER.len());
    known * 2 + usize::from(stem.len() != part.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_fused_tensors_have_the_names_of_their_own() {
        assert_eq!(part(Role::AttnQkv, 1, 3, false), "attn k");
        assert_eq!(part(Role::AttnQkv, 0, 2, false), "attn qkv");
        assert_eq!(part(Role::FfnGateUp, 1, 2, false), "ffn up");
        assert_eq!(part(Role::AttnQ, 0, 3, true), "attn q bias");
        assert_eq!(part(Role::KNorm, 0, 1, false), "attn k norm");
    }

    #[test]
    fn columns_come_in_the_order_of_the_forward_pass() {
        assert!(rank("attn q") < rank("attn q bias"));
        assert!(rank("attn q bias") < rank("attn k"));
        assert!(rank("ffn down") < rank("something else"));
    }
}
