/** A run of a template: text that is written as it is, a tag, a value, or a comment. */
export interface TemplateRun {
  text: string;
  kind: "text" | "tag" | "value" | "comment";
}

const MARKED = /\{%[\s\S]*?(?:%\}|$)|\{\{[\s\S]*?(?:\}\}|$)|\{#[\s\S]*?(?:#\}|$)/g;
const KINDS: Record<string, TemplateRun["kind"]> = { "{%": "tag", "{{": "value", "{#": "comment" };

/** The lines of a Jinja template, each in runs. Only for the eye: what it means is decided by the engine alone. */
export function templateLines(source: string): TemplateRun[][] {
  const lines: TemplateRun[][] = [[]];
  const add = (text: string, kind: TemplateRun["kind"]) => {
    text.split("\n").forEach((part, i) => {
      if (i > 0) lines.push([]);
      if (part !== "") lines.at(-1)?.push({ text: part, kind });
    });
  };
  let from = 0;
  for (const found of source.matchAll(MARKED)) {
    add(source.slice(from, found.index), "text");
    add(found[0], KINDS[found[0].slice(0, 2)] ?? "text");
    from = found.index + found[0].length;
  }
  add(source.slice(from), "text");
  // A line feed at the very end ends the last line and begins none.
  if (lines.length > 1 && lines.at(-1)?.length === 0) lines.pop();
  return lines;
}
