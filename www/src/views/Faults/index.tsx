import "./style.css";

import { count } from "../../lib/format.ts";
import type { FaultReport } from "../../wire/report.ts";
import { Icon } from "../../widgets/Icon.tsx";
import { Text } from "../../widgets/Text.tsx";

/** Whose doing it was, and what a person can do about it. */
const ADVICE: Record<string, string> = {
  source: "The bytes could not be read. If the file was moved, changed or is on a drive or a host that is gone, open it again.",
  network: "A file that you download yourself and then choose here always works.",
  file: "The file breaks the rules of its format. Downloading it again, or asking its author, may help.",
  unsupported: "The file may be fine: Glassbox cannot do this with it yet.",
  limit: "A safety limit was reached. Limits keep a broken file from filling the memory.",
  device: "The graphics device or its driver refused. Running on the CPU may work.",
  caller: "This request makes no sense here.",
  bug: "This is a bug in Glassbox, not in your file.",
};

export function FaultCard({ title, fault, onDismiss }: { title: string; fault: FaultReport; onDismiss?: () => void }) {
  return (
    <div class="card fault" role="alert">
      <div class="row">
        <Icon name="error" />
        <strong>{title}</strong>
        {onDismiss ? <button type="button" class="button plain push" onClick={onDismiss} aria-label="Dismiss"><Icon name="cross" size={14} /></button> : null}
      </div>
      <p class="break"><Text value={fault.what} /></p>
      {fault.file !== null || fault.at !== null ? (
        <p class="small muted break">
          {fault.file !== null ? <>in <Text value={fault.file} /></> : null}
          {fault.at !== null ? ` at byte ${count(fault.at)}` : null}
        </p>
      ) : null}
      {fault.because.length > 0 ? (
        <ul class="because small muted">{fault.because.map((b, i) => <li key={i} class="break">because <Text value={b} /></li>)}</ul>
      ) : null}
      {ADVICE[fault.blame] ? <p class="muted">{ADVICE[fault.blame]}</p> : null}
    </div>
  );
}
