import { count } from "../../lib/format.ts";
import { formatHash, START } from "../../lib/hash.ts";
import { report } from "../../state/model.ts";
import { go } from "../../state/route.ts";

/** "byte 1,811,584", which leads to the bytes there; plain text where the file is not among those given. */
export function ByteLink({ at, file = null, tensor = null }: { at: number; file?: string | null; tensor?: string | null }) {
  const files = report.value?.files ?? [];
  const number = file === null ? (files.length === 1 ? 0 : -1) : files.findIndex((f) => f.name === file);
  if (number < 0) return <>byte {count(at)}</>;
  const to = { tab: "bytes" as const, tensor, search: "", file: number, at };
  return (
    <a
      class="byte-link"
      href={formatHash({ ...START, ...to })}
      onClick={(e) => {
        if (e.metaKey || e.ctrlKey || e.shiftKey) return;
        e.preventDefault();
        go(to);
      }}
    >byte {count(at)}</a>
  );
}
