//! Small weights that change another model's: PEFT's folders.

use super::{Parts, base, few};

impl Parts<'_> {
    /// PEFT: a few small matrices that change another model's weights.
    pub(super) fn adapter(&mut self) {
        let group = "adapter";
        let model = self.model;
        let Some(file) = self.file("adapter_config.json") else {
            let detail = "without it nothing states which model these weights change, and how strongly";
            return self.add(group, "adapter_config.json", None, "missing", detail);
        };
        let kind = self.text("adapter_config.peft_type").unwrap_or("an adapter");
        let (rank, alpha) = (self.number("adapter_config.r"), model.metadata.number("adapter_config.lora_alpha"));
        let mut told = vec![kind.to_owned()];
        told.extend(rank.map(|n| format!("rank {n}")));
        told.extend(alpha.map(|n| format!("alpha {n}")));
        let targets = self.words("adapter_config.target_modules");
        if !targets.is_empty() {
            told.push(format!("on {}", few(&targets)));
        }
        let mut against = Vec::new();
        let ours = base(model.files.first().map_or("", |f| &f.name)).starts_with("adapter_model.");
        if ours {
            let odd = model.tensors.iter().find(|t| {
                t.name.ends_with("lora_A.weight") && rank.is_some_and(|r| t.shape.0.first().is_some_and(|n| *n != r))
            });
            if let Some(odd) = odd.filter(|_| !self.any("adapter_config.rank_pattern.")) {
                against.push(format!("it states rank {}, {} is {}", rank.unwrap_or(0), odd.name, odd.shape));
            }
            let absent: Vec<String> = targets
                .iter()
                .filter(|t| !model.tensors.iter().any(|n| n.name.contains(t.as_str())))
                .cloned()
                .collect();
            if !absent.is_empty() && !model.tensors.is_empty() {
                against.push(format!("it changes {}, which no tensor here is for", few(&absent)));
            }
        }
        if against.is_empty() {
            self.add(group, "adapter_config.json", Some(file), "present", told.join(", "));
        } else {
            self.add(group, "adapter_config.json", Some(file), "contradicted", against.join("; "));
        }
        if !ours {
            let weights =
                model.files.iter().find(|f| base(&f.name).starts_with("adapter_model.")).map(|f| f.name.clone());
            match weights {
                Some(file) => {
                    self.add(group, "Adapter weights", Some(&file), "present", "open it on its own to see its tensors")
                }
                None => self.add(group, "Adapter weights", None, "missing", "adapter_model.safetensors is not there"),
            }
            return;
        }
        let of = self.text("adapter_config.base_model_name_or_path").unwrap_or("a model that it does not name");
        self.add(
            group,
            "Base model",
            None,
            "missing",
            format!("{of}: an adapter changes its weights and cannot run without them"),
        );
    }
}
