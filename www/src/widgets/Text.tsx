import { type Segment, segments } from "../lib/visible.ts";

/** Text from a file: hidden characters stand out, directions stay inside. */
export function Text({ value, lines = false }: { value: string; lines?: boolean }) {
  const runs = segments(value, lines);
  if (runs.length === 1 && runs[0]?.hidden === undefined) return <bdi>{value}</bdi>;
  return <bdi><Runs of={runs} /></bdi>;
}

export function Runs({ of }: { of: Segment[] }) {
  return <>{of.map((run, i) => (run.hidden === undefined ? run.text : <span key={i} class="hidden-char" title={run.hidden}>{run.text}</span>))}</>;
}
