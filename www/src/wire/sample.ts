import type { NamedFile } from "./calls.ts";
import { fault, FaultError } from "./fault.ts";

interface SampleRow {
  name: string;
  bytes: number;
}

const PREFERRED = "sample-q8_0.gguf";

/** Fetches the sample from the page's own host: the only request the page ever makes after loading, on a click. */
export async function fetchSample(onProgress: (done: number, total: number) => void, signal: AbortSignal): Promise<NamedFile[]> {
  const rows = (await (await get("sample/index.json", signal)).json()) as SampleRow[];
  const row = rows.find((r) => r.name.endsWith(PREFERRED)) ?? rows.find((r) => r.name.endsWith(".gguf"));
  if (row === undefined) throw new FaultError(fault("source", "This copy of the page holds no sample model"));
  const response = await get(`sample/${row.name}`, signal);
  const parts: BlobPart[] = [];
  let done = 0;
  onProgress(0, row.bytes);
  const reader = response.body?.getReader();
  if (reader === undefined) throw new FaultError(fault("source", "The sample arrived without a body"));
  for (let step = await reader.read(); !step.done; step = await reader.read()) {
    parts.push(step.value as BlobPart);
    done += step.value.byteLength;
    onProgress(done, row.bytes);
  }
  const name = row.name.split("/").at(-1) ?? row.name;
  return [{ name, file: new File(parts, name) }];
}

async function get(path: string, signal: AbortSignal): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(path, { signal });
  } catch (error) {
    if (signal.aborted) throw error;
    throw new FaultError(fault("source", `The sample could not be fetched: the page's host did not answer for ${path}`));
  }
  if (!response.ok) throw new FaultError(fault("source", `The sample could not be fetched: the page's host answered ${response.status} for ${path}`));
  return response;
}
