import { CHUNK, chunks, pointed } from "../../state/run.ts";
import type { GeneratedReport } from "../../wire/report.ts";
import { Text } from "../../widgets/Text.tsx";

/** The tokens that are being written. */
export function Chunks() {
  return <>{chunks.value.map((chunk, i) => <Chunk key={i} chunk={chunk} first={i * CHUNK} />)}</>;
}

/** One chunk of tokens: drawn again only while it grows, or when a token in it is pointed at. */
function Chunk({ chunk, first }: { chunk: readonly GeneratedReport[]; first: number }) {
  const at = pointed.value;
  return (
    <>
      {chunk.map((token, i) => (
        <span
          key={i}
          class={at === first + i ? "token on" : "token"}
          onMouseEnter={() => (pointed.value = first + i)}
          onClick={() => (pointed.value = first + i)}
        ><Text value={token.text} lines /></span>
      ))}
    </>
  );
}
