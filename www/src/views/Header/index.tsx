import "./style.css";

import { useEffect, useId, useRef } from "preact/hooks";

import { bytes } from "../../lib/format.ts";
import { formatHash, START, type Tab } from "../../lib/hash.ts";
import { visible } from "../../lib/visible.ts";
import { bytesRead, cancelled, cancelOpen, dismissCancelled, opening, origin, report, status, title } from "../../state/model.ts";
import { go, route } from "../../state/route.ts";
import { type Theme, theme } from "../../state/theme.ts";
import { Chip } from "../../widgets/Chip.tsx";
import { Icon, type IconName } from "../../widgets/Icon.tsx";
import { Meter } from "../../widgets/Meter.tsx";
import { Text } from "../../widgets/Text.tsx";
import { Choosers } from "../Arrival/choosers.tsx";

export function Header() {
  const model = report.value;
  if (model === null) return null;
  const others = model.files.length - 1;
  const share = model.bytes_total > 0 ? bytesRead.value / model.bytes_total : 0;
  const menu = useId();
  return (
    <header class="top">
      <div class="bar">
        <div class="logo"><Icon name="cube" size={22} /><span>Glassbox</span></div>
        <div class="file">
          <h1 title={model.files.map((f) => visible(f.name)).join("\n")}><Text value={title.value} /></h1>
          {others > 0 ? <span class="muted">+ {others} more</span> : null}
          <Chip>{model.format} <Text value={model.version} /></Chip>
          {origin.value !== null ? <span class="from" title={visible(origin.value.url)}><Chip>from <Text value={origin.value.hosts.join(", ")} /></Chip></span> : null}
          <span class="muted size">{bytes(model.bytes_total)}</span>
          <Chip kind={status.value.kind}>{status.value.text}</Chip>
        </div>
        <div class="read">
          <Meter label="Share of the file that has been read" share={share} now={`${bytes(bytesRead.value)} of ${bytes(model.bytes_total)}`} />
          <span><b>{bytes(bytesRead.value)}</b> of {bytes(model.bytes_total)} read{bytesRead.value > model.bytes_total ? ", parts twice" : ""}</span>
        </div>
        <ThemeSwitch />
        <button type="button" class="button" popovertarget={menu}>Open…</button>
        <div id={menu} popover="auto" class="menu"><Choosers onChosen={() => document.getElementById(menu)?.hidePopover()} /></div>
      </div>
      <Tabs />
    </header>
  );
}

const LABELS: Record<Tab, string> = { overview: "Overview", metadata: "Metadata", tensors: "Tensors", bytes: "Bytes", graph: "Graph", tokenizer: "Tokenizer", run: "Run", notes: "Notes" };

function Tabs() {
  const model = report.value;
  const nav = useRef<HTMLElement>(null);
  // On narrow screens the tabs scroll sideways: the current one must be in sight.
  useEffect(() => nav.current?.querySelector("[aria-current]")?.scrollIntoView({ inline: "nearest", block: "nearest" }), [route.value.tab]);
  if (model === null) return null;
  // A tokenizer alone has neither tensors nor anything to run.
  const without: Tab[] = model.format === "tokenizer" ? ["tensors", "run"] : [];
  const tabs = (Object.keys(LABELS) as Tab[]).filter((t) => (t !== "graph" || model.graph !== null) && !without.includes(t));
  const urgent = model.notes.filter((n) => n.severity !== "info").length;
  return (
    <nav ref={nav} class="tabs" aria-label="Views of this model">
      {tabs.map((tab) => (
        <a
          key={tab}
          href={formatHash({ ...START, tab })}
          {...(route.value.tab === tab ? { "aria-current": "page" as const } : {})}
          onClick={(e) => {
            if (e.metaKey || e.ctrlKey || e.shiftKey) return;
            e.preventDefault();
            go({ tab, tensor: null });
          }}
        >
          {LABELS[tab]}
          {tab === "notes" && model.notes.length > 0 ? <span class={urgent > 0 ? "count urgent" : "count"}>{model.notes.length}<span class="quiet"> findings</span></span> : null}
        </a>
      ))}
    </nav>
  );
}

const NEXT: Record<Theme, Theme> = { system: "light", light: "dark", dark: "system" };
const PICTURE: Record<Theme, IconName> = { system: "system", light: "sun", dark: "moon" };

export function ThemeSwitch() {
  const now = theme.value;
  const words = `Colours: ${now === "system" ? "as the system" : now}. Change to ${NEXT[now] === "system" ? "as the system" : NEXT[now]}`;
  return (
    <button type="button" class="button plain" aria-label={words} title={words} onClick={() => { theme.value = NEXT[now]; }}>
      <Icon name={PICTURE[now]} />
    </button>
  );
}

/** What is happening between a choice and its report, with a way out. */
export function OpeningBar() {
  const work = opening.value;
  if (work === null) return null;
  const amount = work.total === null ? (work.done === 0 ? "" : bytes(work.done)) : `${bytes(work.done)} of ${bytes(work.total)}`;
  return (
    <div class="opening" role="status">
      <div class="row"><span class="break"><Text value={`${work.what}…`} /></span><span class="muted">{amount}</span><button type="button" class="button slim push" onClick={cancelOpen}>Cancel</button></div>
      <Meter label={visible(work.what)} share={work.total === null ? null : work.done / work.total} />
    </div>
  );
}

/** What Cancel gave up, and what is still open. */
export function CancelledCard() {
  const what = cancelled.value;
  if (what === null) return null;
  return (
    <div class="card" role="status">
      <div class="row">
        <span class="break">Opening <Text value={what} /> was cancelled{report.value === null ? "." : <>; <Text value={title.value} /> is still open.</>}</span>
        <button type="button" class="button plain push" onClick={dismissCancelled} aria-label="Dismiss"><Icon name="cross" size={14} /></button>
      </div>
    </div>
  );
}
