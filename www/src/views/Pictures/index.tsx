import "./style.css";

import { useEffect } from "preact/hooks";

import { subject, watchSubject } from "../../state/pictures.ts";
import { contents } from "../../state/tensors.ts";
import { BlocksView } from "./blocks.tsx";
import { ChannelsView } from "./channels.tsx";
import { HeatView } from "./heat.tsx";
import { SpectrumView } from "./spectrum.tsx";

/** The open tensor as pictures; what they need is read while they are in sight. */
export function Pictures() {
  useEffect(watchSubject, []);
  const now = subject.value;
  if (now === null) return null;
  const shape = now.tensor.shape;
  if (shape.some((d) => d === 0)) return <p class="muted">It holds no values: one of its dimensions is 0.</p>;
  switch (contents.value) {
    case "heat": return <HeatView shape={shape} />;
    case "channels": return <ChannelsView shape={shape} bytes={now.tensor.bytes ?? 0} />;
    case "blocks": return <BlocksView shape={shape} encoding={now.tensor.encoding} bytes={now.tensor.bytes ?? 0} />;
    case "spectrum": return <SpectrumView shape={shape} />;
    case "numbers": return null;
  }
}
