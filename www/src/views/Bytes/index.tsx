import "./style.css";

import { useComputed, useSignal } from "@preact/signals";
import { useEffect, useId, useRef } from "preact/hooks";

import { type ByteMap, inView, type Part, partAt } from "../../lib/bytemap.ts";
import { bytes, count, percent, plural } from "../../lib/format.ts";
import { hexOffset, parseOffset } from "../../lib/hexdump.ts";
import { visible } from "../../lib/visible.ts";
import { at, bytesAt, choose, chooseFile, chosen, chunks, file, fileName, goTo, hexFault, inSight, isWhole, map, move, retry, see, showAll, view, zoom, zoomTo } from "../../state/bytes.ts";
import { generation, report } from "../../state/model.ts";
import { go } from "../../state/route.ts";
import { ByteStrip } from "../../widgets/ByteStrip.tsx";
import { HexView, type Run } from "../../widgets/HexView.tsx";
import { Swatch } from "../../widgets/StackBar.tsx";
import { Text } from "../../widgets/Text.tsx";
import { type GridRow, VirtualGrid } from "../../widgets/VirtualGrid.tsx";
import { FaultCard } from "../Faults/index.tsx";
import { colourOf, isOdd, look, meaningOf, nameOf, sharing, tensorOf } from "./parts.ts";

export function Bytes() {
  if (report.value === null) return null;
  return (
    <div class="bytes stack">
      <Map />
      <div class="split">
        <Parts />
        <Contents />
      </div>
    </div>
  );
}

function Map() {
  const { from, to } = view.value;
  const { extent, bytes: length, parts } = map.value;
  const share = extent > 0 ? (to - from) / extent : 1;
  return (
    <section class="card map-card">
      <div class="row tools">
        <Files />
        <p class="where" role="status">
          {isWhole.value ? <>All of it: {bytes(length)} in {plural(parts.length, "part")}</> : <>Bytes {count(Math.floor(from))} to {count(Math.ceil(to))} <span class="muted">({percent(share)} of the file)</span></>}
        </p>
        <span class="push row zooms">
          <button type="button" class="button slim" aria-label="Zoom in" onClick={() => zoom(1 / 2)}>+</button>
          <button type="button" class="button slim" aria-label="Zoom out" disabled={isWhole.value} onClick={() => zoom(2)}>−</button>
          <button type="button" class="button slim" disabled={isWhole.value} onClick={showAll}>Whole file</button>
        </span>
      </div>
      <ByteStrip
        label={`Map of ${visible(fileName.value)}. Plus and minus zoom, arrows move, Home and End go to its ends, Enter picks what lies in the middle`}
        map={map.value}
        from={from}
        to={to}
        look={look}
        chosen={chosen.value}
        seen={inSight.value}
        onZoom={zoom}
        onMove={move}
        onWhole={showAll}
        onPick={(part) => { choose(part); toContents(); }}
      />
      <Legend map={map.value} />
    </section>
  );
}

function Files() {
  const files = report.value?.files ?? [];
  if (files.length < 2) return null;
  return (
    <div class="which">
      <select class="field" aria-label="File" value={file.value} onChange={(e) => chooseFile(Number(e.currentTarget.value))}>
        {files.map((f, i) => <option key={i} value={i}>{visible(f.name)} ({bytes(f.bytes)})</option>)}
      </select>
    </div>
  );
}

interface Sort {
  label: string;
  colour: string;
  odd: boolean;
  bytes: number;
}

/** What the colours mean, and how much of the file each has. */
function Legend({ map: of }: { map: ByteMap }) {
  const sorts = legend(of);
  return (
    <ul class="legend small">
      {sorts.map((s) => <li key={s.label}><i class={s.odd ? "swatch odd" : "swatch"} style={{ color: s.colour, background: s.odd ? undefined : s.colour }} aria-hidden="true" />{s.label} <span class="muted">{bytes(s.bytes)}</span></li>)}
    </ul>
  );
}

function legend(of: ByteMap): Sort[] {
  const sorts = new globalThis.Map<string, Sort>();
  for (const part of of.parts) {
    const label = part.kind === "tensor" ? (tensorOf(part)?.encoding ?? "") : part.kind;
    const sort = sorts.get(label) ?? { label, colour: colourOf(part), odd: isOdd(part), bytes: 0 };
    sort.bytes += part.end - part.start - part.shared;
    sorts.set(label, sort);
    if (part.shared > 0) {
      const twice = sorts.get("in several parts") ?? { label: "in several parts", colour: "var(--bad)", odd: true, bytes: 0 };
      twice.bytes += part.shared;
      sorts.set("in several parts", twice);
    }
  }
  return [...sorts.values()];
}

function Parts() {
  const { from, to } = view.value;
  const range = useComputed(() => inView(map.value, view.value.from, view.value.to));
  const { first, last } = range.value;
  const row = (i: number): GridRow => {
    const part = map.value.parts[first + i];
    if (part === undefined) return { key: `none${i}`, cells: [] };
    const tensor = tensorOf(part);
    const shares = sharing(part);
    return {
      key: `p${first + i}`,
      selected: first + i === chosen.value,
      cells: [
        <span class={tensor === null ? "" : "mono"} title={visible(nameOf(part))}><Swatch colour={colourOf(part)} /><Text value={nameOf(part)} />{shares === null ? null : <span class="shares"> {shares}</span>}</span>,
        <span class={isOdd(part) ? "gone" : "muted"}>{part.kind === "tensor" ? tensor?.encoding : part.kind}</span>,
        count(part.start),
        bytes(part.end - part.start),
      ],
    };
  };
  return (
    <div class="list">
      <h2>{isWhole.value ? "Parts" : "Parts in view"} <span class="muted small">{count(last - first)}{isWhole.value ? "" : ` of ${count(map.value.parts.length)}`}</span></h2>
      <VirtualGrid
        label={`Parts of the file from byte ${count(Math.floor(from))} to ${count(Math.ceil(to))}`}
        columns={[{ key: "part", label: "Part" }, { key: "kind", label: "Kind" }, { key: "first", label: "First byte", numeric: true }, { key: "size", label: "Size", numeric: true }]}
        count={last - first}
        row={row}
        onSelect={(i) => { choose(first + i); toContents(); }}
        reveal={chosen.value >= first && chosen.value < last ? chosen.value - first : -1}
        empty="There are no bytes here."
      />
    </div>
  );
}

const CONTENTS = "bytes-contents";

/** On narrow screens the bytes lie below the list: what was chosen is brought into sight. */
function toContents(): void {
  if (matchMedia("(max-width: 900px)").matches) document.getElementById(CONTENTS)?.scrollIntoView({ block: "start" });
}

function Contents() {
  const part = map.value.parts[chosen.value];
  return (
    <section id={CONTENTS} class="card contents" aria-label="The bytes">
      {part === undefined ? <Nothing /> : <Chosen part={part} />}
      <GoTo />
      {hexFault.value !== null ? <><FaultCard title="The bytes could not be read" fault={hexFault.value} /><button type="button" class="button" onClick={retry}>Try again</button></> : <Hex key={`${generation.value}:${file.value}`} />}
    </section>
  );
}

function Nothing() {
  return <div class="about"><h2>Every byte of <Text value={fileName.value} /></h2><p class="muted small">Choose a part above or in the list. Only the bytes in sight are read.</p></div>;
}

function Chosen({ part }: { part: Part }) {
  const tensor = tensorOf(part);
  const shares = sharing(part);
  const meaning = meaningOf(part);
  return (
    <div class="about">
      <div class="row title">
        <Swatch colour={colourOf(part)} /><h2 class={tensor === null ? "break" : "mono break"}><Text value={nameOf(part)} /></h2>
        <span class="push row">
          <button type="button" class="button slim" onClick={() => zoomTo(part)}>Zoom to it</button>
          {tensor === null ? null : <button type="button" class="button slim" onClick={() => go({ tab: "tensors", tensor: tensor.name, search: "" })}>Its values</button>}
        </span>
      </div>
      <p>Bytes {count(part.start)} to {count(part.end)}<span class="muted">, {bytes(part.end - part.start)}{tensor === null ? "" : `, ${tensor.encoding}`}</span></p>
      {shares === null ? null : <p class="shares break"><Text value={`${shares.charAt(0).toUpperCase()}${shares.slice(1)}.`} /></p>}
      {meaning === "" ? null : <p class="small muted">{meaning}</p>}
    </div>
  );
}

function GoTo() {
  const text = useSignal("");
  const wrong = useSignal<string | null>(null);
  const id = useId();
  const submit = () => {
    const place = parseOffset(text.value);
    if (place === null) wrong.value = "An offset is a number such as 1,811,584 or 0x1ba480.";
    else if (place >= map.value.bytes) wrong.value = `The file ends at byte ${count(map.value.bytes)}.`;
    else {
      wrong.value = null;
      goTo(place);
    }
  };
  return (
    <form class="goto" noValidate onSubmit={(e) => { e.preventDefault(); submit(); }}>
      <label class="row"><span class="small muted">Go to byte</span><input class="field mono" inputMode="text" autocomplete="off" spellcheck={false} placeholder="0" value={text.value} aria-invalid={wrong.value !== null} aria-describedby={id} onInput={(e) => { text.value = e.currentTarget.value; wrong.value = null; }} /></label>
      <button type="submit" class="button">Go</button>
      <p id={id} role="status" class={wrong.value === null ? "small muted" : "small refused"}>{wrong.value ?? <Place />}</p>
    </form>
  );
}

/** Where the hex view stands. */
function Place() {
  const { from, to } = inSight.value;
  if (to <= from) return <>&nbsp;</>;
  return <>{count(from)} to {count(to)} <span class="mono">(0x{hexOffset(from, 0)})</span></>;
}

function Hex() {
  // What is drawn depends on the pieces that are here: reading the signal draws again when one arrives.
  void chunks.value;
  const known = useRef<{ of: ByteMap; part: number }>({ of: map.value, part: -1 });
  const run = (byte: number): Run => {
    const of = map.value;
    let i = known.current.of === of ? known.current.part : -1;
    const before = of.parts[i];
    if (before === undefined || byte < before.start || byte >= before.end || of.parts[i + 1] !== undefined && (of.parts[i + 1]?.start ?? 0) <= byte) i = partAt(of, byte);
    known.current = { of, part: i };
    const part = of.parts[i];
    if (part === undefined) return { end: byte + 1, colour: "transparent", chosen: false };
    const next = of.parts[i + 1]?.start ?? Infinity;
    return { end: next > byte ? Math.min(part.end, next) : byte + 1, colour: colourOf(part), chosen: i === chosen.value };
  };
  useEffect(() => see(inSight.value.from, inSight.value.to), []);
  return <HexView label={`Bytes of ${visible(fileName.value)} in hexadecimal`} length={map.value.bytes} at={at.value} bytes={bytesAt} run={run} onSee={see} />;
}
