import { signal } from "@preact/signals";

export type Theme = "system" | "light" | "dark";
export const theme = signal<Theme>("system");

export function isTheme(value: unknown): value is Theme {
  return value === "system" || value === "light" || value === "dark";
}
