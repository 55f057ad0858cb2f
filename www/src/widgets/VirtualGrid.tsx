import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useId, useLayoutEffect, useRef } from "preact/hooks";

import { Icon } from "./Icon.tsx";

export interface Column {
  key: string;
  label: string;
  numeric?: boolean;
  sorted?: "ascending" | "descending";
  onSort?: () => void;
}

export interface GridRow {
  key: string;
  cells: ComponentChildren[];
  selected?: boolean;
  /** Depth in a tree, from 0; leave out for a flat table. */
  level?: number;
  /** Whether a tree's group is open; leave out for a leaf. */
  open?: boolean;
}

interface Props {
  label: string;
  columns: Column[];
  count: number;
  row: (i: number) => GridRow;
  onSelect: (i: number) => void;
  onToggle?: (i: number, open: boolean) => void;
  /** The row's parent group, for the Left key. */
  parent?: (i: number) => number;
  /** Row to bring into view when it changes; -1 for none. */
  reveal?: number;
  empty: ComponentChildren;
}

export const ROW_HEIGHT = 32;
const OVERSCAN = 8;

/** A table or tree of any length of which only the rows in sight exist. One tab stop; arrows move, Enter selects. */
export function VirtualGrid({ label, columns, count, row, onSelect, onToggle, parent, reveal = -1, empty }: Props) {
  const id = useId();
  const box = useRef<HTMLDivElement>(null);
  const top = useSignal(0);
  const height = useSignal(480);
  const active = useSignal(0);
  const tree = onToggle !== undefined;

  useLayoutEffect(() => {
    const element = box.current;
    if (element === null) return;
    const watcher = new ResizeObserver(() => { height.value = element.clientHeight; });
    watcher.observe(element);
    height.value = element.clientHeight;
    return () => watcher.disconnect();
  }, []);

  const show = (i: number) => {
    const element = box.current;
    if (element === null) return;
    const head = ROW_HEIGHT;
    const from = i * ROW_HEIGHT;
    const room = element.clientHeight - head;
    if (from < element.scrollTop) element.scrollTop = from;
    else if (from + ROW_HEIGHT > element.scrollTop + room) element.scrollTop = from + ROW_HEIGHT - room;
  };
  useEffect(() => {
    if (reveal < 0) return;
    active.value = reveal;
    show(reveal);
  }, [reveal]);

  const at = Math.min(active.value, Math.max(0, count - 1));
  const first = Math.max(0, Math.floor(top.value / ROW_HEIGHT) - OVERSCAN);
  const last = Math.min(count, Math.ceil((top.value + height.value) / ROW_HEIGHT) + OVERSCAN);
  const inSight: number[] = [];
  for (let i = first; i < last; i++) inSight.push(i);
  // The active row must exist for aria-activedescendant, wherever the list is scrolled to.
  if (count > 0 && (at < first || at >= last)) inSight.push(at);

  const move = (to: number) => {
    active.value = Math.max(0, Math.min(count - 1, to));
    show(active.value);
  };
  const activate = (i: number) => {
    const open = row(i).open;
    if (open !== undefined && onToggle !== undefined) onToggle(i, !open);
    else onSelect(i);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.target !== box.current || count === 0) return;
    const page = Math.max(1, Math.floor(height.value / ROW_HEIGHT) - 2);
    const open = row(at).open;
    switch (event.key) {
      case "ArrowDown": move(at + 1); break;
      case "ArrowUp": move(at - 1); break;
      case "PageDown": move(at + page); break;
      case "PageUp": move(at - page); break;
      case "Home": move(0); break;
      case "End": move(count - 1); break;
      case "ArrowRight":
        if (open === false) onToggle?.(at, true);
        else if (open === true) move(at + 1);
        break;
      case "ArrowLeft":
        if (open === true) onToggle?.(at, false);
        else if (parent !== undefined && parent(at) >= 0) move(parent(at));
        break;
      case "Enter": case " ": activate(at); break;
      default: return;
    }
    event.preventDefault();
  };

  return (
    <div
      ref={box}
      class="grid-box"
      role={tree ? "treegrid" : "grid"}
      aria-label={label}
      aria-rowcount={count + 1}
      aria-colcount={columns.length}
      tabIndex={0}
      {...(count > 0 ? { "aria-activedescendant": `${id}-${at}` } : {})}
      onScroll={(e) => { top.value = e.currentTarget.scrollTop; }}
      onKeyDown={onKeyDown}
    >
      <div role="rowgroup" class="grid-head">
        <div role="row" class="grid-row" aria-rowindex={1}>
          {columns.map((c) => (
            <span key={c.key} role="columnheader" class={c.numeric ? "num" : ""} {...(c.sorted ? { "aria-sort": c.sorted } : {})}>
              {c.onSort ? (
                <button type="button" class={c.sorted ? `sort ${c.sorted}` : "sort"} onClick={c.onSort}>{c.label}<Icon name="chevron" size={10} /></button>
              ) : c.label}
            </span>
          ))}
        </div>
      </div>
      {count === 0 ? <div role="rowgroup"><div role="row"><div role="gridcell" class="grid-empty">{empty}</div></div></div> : (
        <div role="rowgroup" class="grid-body" style={{ height: `${count * ROW_HEIGHT}px` }}>
          {inSight.map((i) => {
            const { key, cells, selected, level, open } = row(i);
            return (
              <div
                key={key}
                id={`${id}-${i}`}
                role="row"
                aria-rowindex={i + 2}
                {...(level === undefined ? {} : { "aria-level": level + 1 })}
                {...(open === undefined ? {} : { "aria-expanded": open })}
                aria-selected={selected ?? false}
                class={`grid-row${i === at ? " active" : ""}`}
                style={{ top: `${i * ROW_HEIGHT}px` }}
                onClick={() => { active.value = i; activate(i); }}
              >
                {cells.map((cell, c) => (
                  <span
                    key={columns[c]?.key ?? c}
                    role={c === 0 ? "rowheader" : "gridcell"}
                    class={columns[c]?.numeric ? "num" : ""}
                    style={c === 0 && level !== undefined ? { paddingLeft: `${level * 16}px` } : {}}
                  >
                    {c === 0 && tree ? <span class={open === undefined ? "twist none" : open ? "twist open" : "twist"}>{open === undefined ? null : <Icon name="chevron" size={12} />}</span> : null}
                    {cell}
                  </span>
                ))}
              </div>
            );
          })}
        </div>
      )}
    </div>
  );
}
