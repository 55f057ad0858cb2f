import "./style.css";

import { bytes, count, plural, shape } from "../../lib/format.ts";
import { encodingColour } from "../../lib/palette.ts";
import { visible } from "../../lib/visible.ts";
import { go, route } from "../../state/route.ts";
import { found, foundBytes, mode, rows, select, selected, sort, sortBy, type SortKey, tensors, toggle } from "../../state/tensors.ts";
import { Search } from "../../widgets/Search.tsx";
import { Segmented } from "../../widgets/Segmented.tsx";
import { Swatch } from "../../widgets/StackBar.tsx";
import { Text } from "../../widgets/Text.tsx";
import { type Column, type GridRow, VirtualGrid } from "../../widgets/VirtualGrid.tsx";
import { later } from "../App/later.tsx";

/** They come behind the first view of a file. */
const Peek = later("Peek");
const Norms = later("Norms");
const ARRANGEMENTS = [{ value: "tree", label: "Tree" }, { value: "table", label: "Table" }, { value: "norms", label: "Norms" }] as const;

export function Tensors() {
  if (tensors.value.length === 0) {
    return <section class="card nothing"><h2>There are no tensors here</h2><p class="muted">This file lists none: it may be a vocabulary, an adapter's configuration, or the first part of a split model. Metadata and Notes say more.</p></section>;
  }
  const open = selected.value;
  const norms = route.value.part === "norms";
  const arrange = (to: (typeof ARRANGEMENTS)[number]["value"]) => {
    if (to !== "norms") mode.value = to;
    go({ part: to === "norms" ? to : "", search: route.value.search });
  };
  return (
    <div class={open !== null ? "split tensors chosen" : norms ? "split tensors alone" : "split tensors"}>
      <div class="list">
        <div class="row tools">
          <div class="grow">{norms ? null : <Search label="Search tensors" placeholder="Search names, encodings, shapes: attn q4 576x1536" value={route.value.search} onInput={(q) => go({ search: q }, true)} />}</div>
          <Segmented label="Arrangement" options={ARRANGEMENTS} value={norms ? "norms" : mode.value} onChange={arrange} />
        </div>
        {norms ? <Norms /> : (
          <>
            <List />
            <p class="small muted sum" role="status">
              {found.value.length === tensors.value.length ? plural(tensors.value.length, "tensor") : `${count(found.value.length)} of ${plural(tensors.value.length, "tensor")}`} · {bytes(foundBytes.value)}
            </p>
          </>
        )}
      </div>
      {open === null && norms ? null : open === null ? (
        <section class="card nothing hint"><h2>Choose a tensor</h2><p class="muted">Its values, statistics and bytes are read from the file only then.</p></section>
      ) : <Peek />}
    </div>
  );
}

function List() {
  const list = rows.value;
  const all = tensors.value;
  const sorted = (key: SortKey): Partial<Column> => ({
    onSort: () => sortBy(key),
    ...(sort.value.key === key ? { sorted: sort.value.descending ? ("descending" as const) : ("ascending" as const) } : {}),
  });
  const columns: Column[] = [
    { key: "name", label: "Name", ...sorted("name") },
    { key: "encoding", label: "Encoding", ...sorted("encoding") },
    { key: "shape", label: "Shape", ...sorted("shape") },
    { key: "bytes", label: "Size", numeric: true, ...sorted("bytes") },
  ];
  const tree = mode.value === "tree";
  const open = selected.value;
  const row = (i: number): GridRow => {
    const r = list[i];
    if (r === undefined) return { key: `none${i}`, cells: [] };
    const level = tree ? { level: r.level } : {};
    if (r.kind === "group") {
      return {
        key: r.key,
        ...level,
        open: r.open,
        cells: [
          <span class="mono group"><Text value={r.label} /></span>,
          <Mix names={r.encodings} />,
          <span class="muted">{plural(r.tensors, "tensor")}</span>,
          bytes(r.bytes),
        ],
      };
    }
    const t = all[r.index];
    if (t === undefined) return { key: r.key, cells: [] };
    return {
      key: r.key,
      ...level,
      selected: r.index === open,
      cells: [
        <span class="mono" title={visible(t.name)}><Text value={r.label} /></span>,
        <span><Swatch colour={encodingColour(t.encoding)} />{t.encoding}</span>,
        <span class="muted">{shape(t.shape)}</span>,
        t.place === "here" || t.place === "inline" ? (t.bytes === null ? "–" : bytes(t.bytes)) : <span class="gone">{t.place}</span>,
      ],
    };
  };
  const parent = (i: number) => {
    const level = list[i]?.level ?? 0;
    for (let k = i - 1; k >= 0; k--) if ((list[k]?.level ?? 0) < level) return k;
    return -1;
  };
  return (
    <VirtualGrid
      label="Tensors"
      columns={columns}
      count={list.length}
      row={row}
      onSelect={(i) => { const r = list[i]; if (r?.kind === "tensor") select(r.index); }}
      {...(tree ? { onToggle: (i: number, to: boolean) => { const r = list[i]; if (r?.kind === "group") toggle(r.key, to); } } : {})}
      parent={parent}
      reveal={open === null ? -1 : list.findIndex((r) => r.kind === "tensor" && r.index === open)}
      empty="No tensor matches all of these words."
    />
  );
}

/** The encodings below a group: their colours, and the names as far as they fit. */
function Mix({ names }: { names: string[] }) {
  return <span class="muted" title={visible(names.join(", "))}>{names.slice(0, 5).map((n) => <Swatch key={n} colour={encodingColour(n)} />)}{names.length === 1 ? names[0] : null}<span class="quiet">{names.join(", ")}</span></span>;
}
