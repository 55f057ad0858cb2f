import type { ComponentChildren } from "preact";

export function Chip({ kind = "plain", children }: { kind?: "plain" | "ok" | "warn" | "bad"; children: ComponentChildren }) {
  return <span class={`chip ${kind}`}>{children}</span>;
}
