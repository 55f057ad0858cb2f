import { ESLint } from "eslint";
import { describe, expect, it } from "vitest";

/** Text from files reaches the page as text nodes alone: the linter refuses every way to make markup or code of a string. */
const WAYS = [
  "e.innerHTML = x;", "e.outerHTML = x;", "e.insertAdjacentHTML('beforeend', x);", "e.setHTMLUnsafe(x);", "document.write(x);",
  "document.createRange().createContextualFragment(x);", "new DOMParser().parseFromString(x, 'text/html');", "frame.srcdoc = x;",
  "eval(x);", "new Function(x);", "setTimeout('x', 0);", "export const V = () => <b dangerouslySetInnerHTML={{ __html: x }} />;",
];

describe("the linter", () => {
  const linter = new ESLint();
  it.each(WAYS)("refuses %s", async (code) => {
    const [result] = await linter.lintText(`declare const x: string, e: Element, frame: HTMLIFrameElement;\n${code}\n`, { filePath: "www/src/views/App/probe.tsx" });
    expect(result?.messages.filter((m) => m.severity === 2 && m.line === 2).length, JSON.stringify(result?.messages)).toBeGreaterThan(0);
  });
  it("lets text nodes pass", async () => {
    const [result] = await linter.lintText("declare const e: Element;\ne.textContent = e.id;\nexport const V = ({ x }: { x: string }) => <b title={x}>{x}</b>;\n", { filePath: "www/src/views/App/probe.tsx" });
    expect(result?.messages).toEqual([]);
  });
});
