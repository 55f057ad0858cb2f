import { useSignal } from "@preact/signals";

import { count, hexPairs, percent, plural, real } from "../../lib/format.ts";
import type { BlocksReport } from "../../lib/values/channels.ts";
import { block, blockIndex, showBlock } from "../../state/pictures.ts";
import type { BlockFieldReport, BlockReport } from "../../wire/report.ts";
import { Icon } from "../../widgets/Icon.tsx";
import { FaultCard } from "../Faults/index.tsx";
import { Measured } from "./channels.tsx";
import { Details } from "./heat.tsx";

/** Bytes of a block shown in one line. */
const LINE = 16;
/** Numbers of a field shown; weights of an 8-bit block have 256. */
const MOST_NUMBERS = 32;

/** One block of the tensor byte by byte, and what its blocks are like. */
export function BlocksView({ shape, encoding, bytes: size }: { shape: readonly number[]; encoding: string; bytes: number }) {
  const { value, fault, busy } = block.value;
  if (fault !== null) return <FaultCard title="The block could not be read" fault={fault} />;
  if (value === null) return <p class="small muted">Reading a block…</p>;
  const rowLen = shape.at(-1) ?? 1;
  return (
    <div class={busy ? "pictures blocks busy" : "pictures blocks"}>
      <Which report={value} rowLen={rowLen} />
      {value.fields.length === 0 ? <Plain report={value} encoding={encoding} /> : <Layout key={value.encoding} report={value} />}
      {value.block_len > 4 ? (
        <>
          <h4>All blocks</h4>
          <Measured what="The statistics by block" size={size}>{({ blocks }) => (blocks === null ? null : <Statistics report={blocks} rowLen={rowLen} />)}</Measured>
        </>
      ) : null}
    </div>
  );
}

function Which({ report, rowLen }: { report: BlockReport; rowLen: number }) {
  const index = blockIndex.value;
  const first = report.index * report.block_len;
  const [row, col] = [Math.floor(first / rowLen), first % rowLen];
  const go = (to: number) => showBlock(Math.min(report.count - 1, Math.max(0, to)));
  return (
    <div class="row small controls">
      <label>{report.block_len === 1 ? "Value" : "Block"} <input class="field" type="number" min={0} max={report.count - 1} value={index} onChange={(e) => { const n = e.currentTarget.valueAsNumber; if (Number.isFinite(n)) go(Math.round(n)); }} /></label>
      <button type="button" class="button plain" aria-label="Block before" disabled={index === 0} onClick={() => go(index - 1)}><span class="back"><Icon name="chevron" size={12} /></span></button>
      <button type="button" class="button plain" aria-label="Next block" disabled={index >= report.count - 1} onClick={() => go(index + 1)}><Icon name="chevron" size={12} /></button>
      <span class="muted">of {count(report.count)}; row {count(row)}, from column {count(col)}{report.at === null ? "" : `; byte ${count(report.at)} of the file`}</span>
    </div>
  );
}

function Plain({ report, encoding }: { report: BlockReport; encoding: string }) {
  const pairs = hexPairs(report.hex);
  return (
    <>
      <p class="small muted">{encoding} has no blocks: {report.block_len === 1 ? "each value takes" : `${report.block_len} values share`} {plural(pairs.length, "byte")} and {report.block_len === 1 ? "shares" : "share"} no scale.</p>
      <p class="mono plain-value"><span class="muted">{pairs.join(" ")}</span> = {report.values.map((v) => real(v, 7)).join(", ")}</p>
    </>
  );
}

const ROLES: Record<string, string> = { scale: "orange", minimum: "purple", "group scales": "green", weights: "blue", "high bits": "sky", signs: "vermilion", sums: "grey" };

function colourOf(field: BlockFieldReport | undefined): string {
  return `var(--c-${ROLES[field?.role ?? ""] ?? "grey"})`;
}

function Layout({ report }: { report: BlockReport }) {
  const chosen = useSignal<string | null>(null);
  const pairs = hexPairs(report.hex);
  const fieldOf = (byte: number) => report.fields.find((f) => byte >= f.at && byte < f.at + f.bytes);
  const at = report.fields.map((f) => `${f.name} ${f.bytes}`).join(", ");
  return (
    <>
      <p class="small"><span class="mono">{report.formula}</span> <span class="muted">for {count(report.block_len)} weights in {count(pairs.length)} bytes, {real((pairs.length * 8) / report.block_len, 3)} bits each</span></p>
      <div class="scroll bytes" tabIndex={0} role="region" aria-label="The bytes of the block">
        <div class="layout mono" role="img" aria-label={`The ${pairs.length} bytes of the block by field: ${at}`} style={{ gridTemplateColumns: `repeat(${LINE}, minmax(0, 1fr))` }}>
          {pairs.map((pair, i) => {
            const field = fieldOf(i);
            return <i key={i} class={chosen.value !== null && chosen.value === field?.name ? "picked" : ""} style={{ borderColor: colourOf(field), background: `color-mix(in srgb, ${colourOf(field)} 22%, var(--surface))` }} title={`byte ${i}: ${field?.name ?? ""}`}>{pair}</i>;
          })}
        </div>
      </div>
      <div class="table-box" tabIndex={0} role="region" aria-label="Fields of the block">
        <table class="fields">
          <thead><tr><th scope="col">Field</th><th scope="col" class="num">Bytes</th><th scope="col">What it is</th></tr></thead>
          <tbody>
            {report.fields.map((f) => (
              <tr key={f.name}>
                <th scope="row"><button type="button" class="link" aria-pressed={chosen.value === f.name} onClick={() => (chosen.value = chosen.value === f.name ? null : f.name)}><i class="swatch" style={{ background: colourOf(f) }} />{f.name}</button><span class="muted small"> {f.stored ?? ""}</span></th>
                <td class="num">{f.bytes === 1 ? f.at : `${f.at}–${f.at + f.bytes - 1}`}</td>
                <td><span>{f.about}</span>{f.numbers.length > 0 ? <span class="mono numbers-of">{f.numbers.slice(0, MOST_NUMBERS).map((n) => real(n)).join(", ")}{f.numbers.length > MOST_NUMBERS ? ", …" : ""}</span> : null}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <Details title={`The ${count(report.values.length)} values of the block`}>
        <table>
          <thead><tr><th scope="col" class="num">From</th><th scope="col" colSpan={8}>Values</th></tr></thead>
          <tbody>{Array.from({ length: Math.ceil(report.values.length / 8) }, (_, r) => <tr key={r}><th scope="row" class="num">{r * 8}</th>{report.values.slice(r * 8, r * 8 + 8).map((v, c) => <td key={c} class="num">{real(v, 3)}</td>)}</tr>)}</tbody>
        </table>
      </Details>
    </>
  );
}

/** 2^k in words that fit an axis. */
function power(k: number): string {
  return k >= -13 && k < 20 ? real(2 ** k, 3) : `2^${k}`.replace("-", "−");
}

function Statistics({ report, rowLen }: { report: BlocksReport; rowLen: number }) {
  const most = report.counts.reduce((a, b) => Math.max(a, b), 1);
  const levels = report.levels.at(-1);
  const full = report.levels.reduce((n, l) => n + l.values * l.blocks, 0) / Math.max(1, report.counted);
  return (
    <>
      <p class="small muted">
        {plural(report.count, "block")} of {count(report.len)} weights{report.zero > 0 ? `, ${count(report.zero)} of them nothing but zeros` : ""}. A block holds {real(full, 3)} different values on average and {count(levels?.values ?? 0)} at most{report.counted < report.count ? ` (of ${plural(report.counted, "block")} evenly spread)` : ""}.
      </p>
      <table class="octaves">
        <caption class="small">Blocks by their largest magnitude</caption>
        <thead class="quiet"><tr><th scope="col">Magnitude</th><th scope="col">Share</th><th scope="col">Blocks</th></tr></thead>
        <tbody>
          {report.zero > 0 ? <tr><th scope="row">0</th><td><i class="bar" style={{ width: `${(report.zero / Math.max(most, report.zero)) * 100}%` }} /></td><td class="num">{count(report.zero)}</td></tr> : null}
          {report.counts.map((n, i) => <tr key={i}><th scope="row">{power(report.first + i)} to {power(report.first + i + 1)}</th><td>{n === 0 ? null : <i class="bar" style={{ width: `${(n / Math.max(most, report.zero)) * 100}%` }} />}</td><td class="num">{count(n)} <span class="muted share">{n === 0 ? "" : percent(n / report.count)}</span></td></tr>)}
        </tbody>
      </table>
      <Details title="Blocks by the number of their different values">
        <table>
          <thead><tr><th scope="col" class="num">Different values</th><th scope="col" class="num">Blocks</th></tr></thead>
          <tbody>{report.levels.map((l) => <tr key={l.values}><td class="num">{count(l.values)}</td><td class="num">{count(l.blocks)}</td></tr>)}</tbody>
        </table>
      </Details>
      <Details title="The blocks with the largest values">
        <table>
          <thead><tr><th scope="col">Block</th><th scope="col" class="num">Row</th><th scope="col" class="num">From column</th><th scope="col" class="num">Largest</th></tr></thead>
          <tbody>{report.largest.map((b) => <tr key={b.index}><td><button type="button" class="link" onClick={() => showBlock(b.index)}>{count(b.index)}</button></td><td class="num">{count(Math.floor((b.index * report.len) / rowLen))}</td><td class="num">{count((b.index * report.len) % rowLen)}</td><td class="num">{real(b.largest)}</td></tr>)}</tbody>
        </table>
      </Details>
    </>
  );
}

