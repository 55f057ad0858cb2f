import "./style.css";

import { bytes, count, rate, seconds } from "../../lib/format.ts";
import { report } from "../../state/model.ts";
import {
  asked, busy, chunks, device, finished, live, loaded, loadSpeed, makesVectors, mode, phase, pointed, produced, progress, prompt, run, runFault, stop,
} from "../../state/run.ts";
import { Icon } from "../../widgets/Icon.tsx";
import { Meter } from "../../widgets/Meter.tsx";
import { Segmented } from "../../widgets/Segmented.tsx";
import { Text } from "../../widgets/Text.tsx";
import { FaultCard } from "../Faults/index.tsx";
import { Alternatives } from "./alternatives.tsx";
import { Talk } from "./talk.tsx";
import { Chunks } from "./tokens.tsx";
import { Settings } from "./settings.tsx";
import { Neighbours, Texts } from "./vectors.tsx";

export function Run() {
  const model = report.value;
  if (model === null) return null;
  if (model.runnable !== null) {
    return (
      <section class="card nothing">
        <h2>This model cannot be run here</h2>
        <p class="break sentence"><Text value={model.runnable} /></p>
        <p class="muted">The overview lists what else can run it. Everything else works: its metadata, tensors and tokenizer can be looked at.</p>
      </section>
    );
  }
  if (makesVectors.value) {
    return (
      <div class="split run">
        <section class="card writing"><Texts status={<State />} controls={<Controls label="Compare" />} /></section>
        <div class="stack"><Neighbours /><Machine /></div>
      </div>
    );
  }
  return (
    <div class="split run">
      <section class="card writing">
        <Segmented label="What the model does" value={mode.value} disabled={busy.value} onChange={(m) => (mode.value = m)} options={[{ value: "chat", label: "Chat" }, { value: "write", label: "Write on" }]} />
        {mode.value === "chat" ? <Talk status={<State />} controls={<Controls label="Send" />} /> : <><Output /><Prompt /></>}
      </section>
      <div class="stack">
        <Machine />
        <Alternatives />
        <Settings />
      </div>
    </div>
  );
}

function Output() {
  const nothing = chunks.value.length === 0;
  return (
    <>
      <div class="out" tabIndex={0} role="region" aria-label="Completion" onMouseLeave={() => (pointed.value = null)}>
        {nothing && phase.value === "idle" && finished.value === null ? (
          <p class="muted">The completion appears here, with the probability of each token and its alternatives.</p>
        ) : (
          <p class={busy.value ? "text busy" : "text"}><span class="muted"><Text value={asked.value} lines /></span><Chunks /></p>
        )}
      </div>
      <div class="state small muted" role="status"><State /></div>
      {runFault.value !== null ? <FaultCard title="The run failed" fault={runFault.value} /> : null}
    </>
  );
}

const ENDS: Record<string, string> = { "end token": "the model ended the text", "stop text": "a stop text was generated", limit: "the limit of new tokens was reached", context: "the context is full", stopped: "stopped" };

function State() {
  switch (phase.value) {
    case "loading": {
      const p = progress.value;
      const amount = p === null ? "Loading the model" : `${p.what}: ${bytes(p.done)} of ${bytes(p.total)}`;
      return <><span>{amount}{loadSpeed.value === null ? "" : `, ${bytes(loadSpeed.value)}/s`}</span><Meter label="Loading the model" share={p === null || p.total === 0 ? null : p.done / p.total} now={amount} /></>;
    }
    case "reading": return <span>{makesVectors.value ? "Reading the texts…" : "Reading the prompt…"}</span>;
    case "writing": return <span>{count(produced.value)} tokens so far</span>;
    case "idle": {
      const done = finished.value;
      if (done === null) return <span>{" "}</span>;
      return <span>{count(done.ids.length)} new tokens; {ENDS[done.stop] ?? done.stop}.</span>;
    }
  }
}

function Prompt() {
  const go = () => void run();
  return (
    <form class="prompt" onSubmit={(e) => { e.preventDefault(); go(); }}>
      <textarea
        class="field"
        rows={3}
        aria-label="Prompt"
        placeholder="The beginning of a text; the model continues it"
        value={prompt.value}
        onInput={(e) => (prompt.value = e.currentTarget.value)}
        onKeyDown={(e) => { if (e.key === "Enter" && (e.ctrlKey || e.metaKey)) { e.preventDefault(); go(); } }}
      />
      <div class="row"><Controls label="Run" /><span class="small muted push hint">Ctrl + Enter runs</span></div>
    </form>
  );
}

function Controls({ label }: { label: string }) {
  return (
    <>
      {/* Keys make them two elements: one that turned into the submit button inside its own click would start the run again. */}
      {busy.value
        ? <button key="stop" type="button" class="button primary" onClick={stop}>Stop</button>
        : <button key="run" type="submit" class="button primary">{loaded.value === null ? `Load and ${label.toLowerCase()}` : label}</button>}
      <Segmented label="Device" value={device.value} disabled={busy.value} onChange={(d) => (device.value = d)} options={[{ value: "auto", label: "Automatic" }, { value: "gpu", label: "GPU" }, { value: "cpu", label: "CPU" }]} />
    </>
  );
}

function Machine() {
  const timing = finished.value?.timing;
  const stream = live.value;
  const d = loaded.value;
  const decode = timing ? rate(timing.decode_tokens, timing.decode_s) : stream === null ? "–" : rate(stream.tokens - 1, (stream.last - stream.first) / 1000);
  const figure = (name: string, value: string) => <div><dt>{name}</dt><dd>{value}</dd></div>;
  return (
    <section class="card machine">
      <h2>{makesVectors.value ? "Device" : "Speed and device"}</h2>
      {makesVectors.value ? null : <dl class="figures">
        {figure("tokens/s written", decode)}
        {figure("tokens/s read", timing ? rate(timing.prefill_tokens, timing.prefill_s) : "–")}
        {figure("to first token", timing ? seconds(timing.prefill_s) : "–")}
        {figure("to load", timing && timing.load_s > 0 ? seconds(timing.load_s) : "–")}
        {figure("on the device", timing ? bytes(timing.memory) : "–")}
      </dl>}
      {d === null ? <p class="small muted device">Automatic uses a hardware GPU where there is one, and the CPU otherwise. The choice and its reason are shown here once the model is loaded.</p> : (
        <div class="device small">
          <p><strong><Text value={d.name} /></strong> <span class="muted">{[d.backend, d.tier === null ? null : `tier ${d.tier}`, d.software ? "software" : null].filter((x) => x !== null && x !== d.name).join(" · ")}</span></p>
          {[d.reason, d.detail].filter((x) => x !== "").map((x, i) => <p key={i} class="muted break sentence"><Text value={x} /></p>)}
        </div>
      )}
      {(finished.value?.notes ?? []).filter((n) => n !== d?.reason).map((n, i) => <p key={i} class="small note-line"><Icon name="info" size={14} /> <Text value={n} /></p>)}
    </section>
  );
}

