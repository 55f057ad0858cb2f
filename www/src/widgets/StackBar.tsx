export interface BarPart {
  label: string;
  size: number;
  colour: string;
}

/** Shares of a whole side by side. Its numbers belong in a table beside it. */
export function StackBar({ label, parts, whole }: { label: string; parts: BarPart[]; whole?: number }) {
  const total = whole ?? parts.reduce((n, p) => n + p.size, 0);
  if (total <= 0) return null;
  return (
    <div class="stackbar" role="img" aria-label={label}>
      {parts.filter((p) => p.size > 0).map((p) => (
        <i key={p.label} title={p.label} style={{ width: `${Math.min(1, p.size / total) * 100}%`, background: p.colour }} />
      ))}
    </div>
  );
}

export function Swatch({ colour }: { colour: string }) {
  return <i class="swatch" style={{ background: colour }} aria-hidden="true" />;
}
