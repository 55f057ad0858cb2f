/// <reference lib="webworker" />
import { layered } from "../lib/graph/layered.ts";
import type { FromLayout, ToLayout } from "../lib/graph/message.ts";

declare const self: DedicatedWorkerGlobalScope;

/** Lays graphs out beside the page, so that it answers while thousands of nodes find their places. */
self.onmessage = ({ data: { id, boxes } }: MessageEvent<ToLayout>) => {
  const tell = (message: FromLayout, transfer: Transferable[] = []) => self.postMessage(message, transfer);
  const layout = layered(boxes, (share) => tell({ id, kind: "progress", share }));
  tell({ id, kind: "done", layout }, [layout.x.buffer, layout.y.buffer]);
};
