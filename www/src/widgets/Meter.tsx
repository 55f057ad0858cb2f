/** How much of something is done or full. `share` null: under way, amount unknown. */
export function Meter({ label, share, now }: { label: string; share: number | null; now?: string }) {
  const part = share === null ? null : Math.min(1, Math.max(0, share));
  return (
    <div
      class={part === null ? "meter unknown" : "meter"}
      role="progressbar"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={100}
      {...(part === null ? {} : { "aria-valuenow": Math.round(part * 100) })}
      {...(now === undefined ? {} : { "aria-valuetext": now })}
    >
      <i style={part === null ? {} : { width: `${part * 100}%` }} />
    </div>
  );
}
