import "./style.css";

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";

import { fromDrop } from "../../lib/collect.ts";
import { plural } from "../../lib/format.ts";
import { dismiss, join, joined, offer, openInstead, take } from "../../state/join.ts";
import { cancelled, dismissFault, dismissLost, lost, openFault, opening, report, title } from "../../state/model.ts";
import { route } from "../../state/route.ts";
import type { NamedFile } from "../../wire/calls.ts";
import { Icon } from "../../widgets/Icon.tsx";
import { Text } from "../../widgets/Text.tsx";
import { Arrival } from "../Arrival/index.tsx";
import { FaultCard } from "../Faults/index.tsx";
import { CancelledCard, Header, OpeningBar } from "../Header/index.tsx";
import { Metadata } from "../Metadata/index.tsx";
import { Overview } from "../Overview/index.tsx";
import { Tensors } from "../Tensors/index.tsx";
import { later } from "./later.tsx";

const VIEWS = { overview: Overview, metadata: Metadata, tensors: Tensors, bytes: later("Bytes"), graph: later("Graph"), tokenizer: later("Tokenizer"), run: later("Run"), notes: later("Notes") };

export function App() {
  const dragging = useDrops();
  const open = report.value !== null;
  const View = VIEWS[route.value.tab];
  return (
    <>
      <a class="skip button" href="#main" onClick={(e) => { e.preventDefault(); document.getElementById("main")?.focus(); }}>Skip to the content</a>
      {open ? <Header /> : null}
      <main key={open ? "model" : "arrival"} id="main" tabIndex={-1} class={open ? "page" : "page arrival"}>
        {open ? (
          <div class="banners" aria-live="polite">
            {opening.value !== null ? <div class="card"><OpeningBar /></div> : null}
            {openFault.value !== null ? <FaultCard title="That could not be opened" fault={openFault.value} onDismiss={dismissFault} /> : null}
            {cancelled.value !== null ? <CancelledCard /> : null}
            {offer.value !== null ? <OfferCard files={offer.value} /> : null}
            {joined.value !== null ? <JoinedCard files={joined.value} /> : null}
            {lost.value !== null ? <LostCard why={lost.value} /> : null}
          </div>
        ) : null}
        {open ? <View /> : <Arrival />}
      </main>
      {dragging ? <div class="drop-over" aria-hidden="true"><div><Icon name="cube" size={56} /><p>Drop to open</p></div></div> : null}
    </>
  );
}

function LostCard({ why }: { why: string }) {
  return (
    <div class="card fault warning" role="alert">
      <div class="row">
        <Icon name="warning" />
        <strong>The engine had to be restarted</strong>
        <button type="button" class="button plain push" onClick={dismissLost} aria-label="Dismiss"><Icon name="cross" size={14} /></button>
      </div>
      <p>{why}. The file will be opened again when it is next needed; what is shown here is still true.</p>
    </div>
  );
}

/** The first of some files, and how many more there are. */
function Names({ files }: { files: NamedFile[] }) {
  return <><b class="break"><Text value={files[0]?.name ?? ""} /></b>{files.length > 1 ? ` and ${plural(files.length - 1, "other")}` : ""}</>;
}

function OfferCard({ files }: { files: NamedFile[] }) {
  return (
    <div class="card" role="alert">
      <p><Names files={files} /> may belong to <Text value={title.value} />.</p>
      <div class="row answers">
        <button type="button" class="button primary" onClick={() => void join(files)}>Add to this model</button>
        <button type="button" class="button" onClick={() => void openInstead(files)}>Open instead</button>
        <button type="button" class="button plain" onClick={dismiss}>Neither</button>
      </div>
    </div>
  );
}

function JoinedCard({ files }: { files: NamedFile[] }) {
  return (
    <div class="card row" role="status">
      <Icon name="check" />
      <p><Names files={files} /> {files.length > 1 ? "have" : "has"} joined the open model.</p>
      <span class="push row">
        <button type="button" class="button slim" onClick={() => void openInstead(files)}>Open by {files.length > 1 ? "themselves" : "itself"}</button>
        <button type="button" class="button plain" onClick={dismiss} aria-label="Dismiss"><Icon name="cross" size={14} /></button>
      </span>
    </div>
  );
}

/** Dropping works everywhere and at any time. */
function useDrops(): boolean {
  const depth = useSignal(0);
  useEffect(() => {
    const files = (e: DragEvent) => e.dataTransfer?.types.includes("Files") ?? false;
    const enter = (e: DragEvent) => { if (files(e)) { e.preventDefault(); depth.value += 1; } };
    const leave = (e: DragEvent) => { if (files(e)) depth.value = Math.max(0, depth.value - 1); };
    const over = (e: DragEvent) => { if (files(e)) e.preventDefault(); };
    const drop = (e: DragEvent) => {
      depth.value = 0;
      // A view may take a drop for itself: the second tokenizer.
      if (e.dataTransfer === null || !files(e) || e.defaultPrevented) return;
      e.preventDefault();
      void fromDrop(e.dataTransfer).then((chosen) => take(chosen));
    };
    addEventListener("dragenter", enter);
    addEventListener("dragleave", leave);
    addEventListener("dragover", over);
    addEventListener("drop", drop);
    return () => {
      removeEventListener("dragenter", enter);
      removeEventListener("dragleave", leave);
      removeEventListener("dragover", over);
      removeEventListener("drop", drop);
    };
  }, []);
  return depth.value > 0;
}
