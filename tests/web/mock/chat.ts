/** Chat templates for the page's own tests. */
import type { DiffLineReport, DiffReport, TemplateReport, TemplatesReport } from "../../../www/src/wire/report.ts";

const DEFAULT = `{# Written for the tests. #}
{%- for message in messages %}
    {%- if message.role not in ["system", "user", "assistant", "tool"] %}{{ raise_exception("Unknown role " ~ message.role) }}{% endif %}
    {{- '<|im_start|>' ~ message.role ~ '\n' ~ message.content ~ '<|im_end|>\n' }}
    {%- if 'https://example.org' in message.content %}\u200b{% endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% if enable_thinking %}{{ '<think>' }}{% endif %}{% endif %}
`;

export const TEMPLATES: TemplateReport[] = [
  {
    name: "default", from: "tokenizer.chat_template", source: DEFAULT, variables: ["enable_thinking"],
    findings: [
      { lines: [5], note: { code: "remark", severity: "warning", what: "The template holds 1 control, bidi or invisible characters, the first (U+200B) in line 5.", file: null, at: null, why: "They can hide text from who reads the template, and the model sees them.", advice: null } },
      { lines: [5], note: { code: "remark", severity: "info", what: "The template writes the address https://example.org in line 5.", file: null, at: null, why: null, advice: null } },
    ],
  },
  { name: "tool_use", from: "tokenizer.chat_template.tool_use", source: DEFAULT.replace("{# Written for the tests. #}", "{# For tools. #}\n{{- tools | tojson }}"), variables: [], findings: [] },
];

/** A model whose name begins with "plain" has none. */
export function templates(model: string): TemplatesReport {
  return { templates: model.startsWith("plain") || model.endsWith(".onnx") ? [] : TEMPLATES, can_encode: true, notes: [] };
}

export function lines(text: string): string[] {
  return text.match(/[^\n]*\n|[^\n]+$/g) ?? [];
}

/** Common lines at both ends, and everything between as removed and added. */
export function difference(left: string[], right: string[]): DiffReport {
  let head = 0;
  while (head < Math.min(left.length, right.length) && left[head] === right[head]) head += 1;
  let tail = 0;
  while (tail < Math.min(left.length, right.length) - head && left[left.length - 1 - tail] === right[right.length - 1 - tail]) tail += 1;
  const out: DiffLineReport[] = [];
  for (let i = 0; i < head; i++) out.push({ change: "same", left: i + 1, right: i + 1, text: left[i] ?? "" });
  for (let i = head; i < left.length - tail; i++) out.push({ change: "removed", left: i + 1, right: null, text: left[i] ?? "" });
  for (let i = head; i < right.length - tail; i++) out.push({ change: "added", left: null, right: i + 1, text: right[i] ?? "" });
  for (let i = 0; i < tail; i++) out.push({ change: "same", left: left.length - tail + i + 1, right: right.length - tail + i + 1, text: left[left.length - tail + i] ?? "" });
  return { removed: left.length - tail - head, added: right.length - tail - head, lines: out, fault: null };
}
