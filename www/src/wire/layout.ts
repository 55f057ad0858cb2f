import type { Boxes, Layered } from "../lib/graph/layered.ts";
import type { FromLayout, ToLayout } from "../lib/graph/message.ts";
import { fault, FaultError } from "./fault.ts";
import { startLayout } from "./scripts.ts";

let worker: Worker | null = null;
let last = 0;
/** Lets go of the answer that is awaited, if one is. */
let drop: (() => void) | null = null;

/** Lays boxes and edges out in a worker of its own. A later call, or `stopLayout`, ends an earlier one: its answer is null. */
export function layOut(boxes: Boxes, tell: (share: number) => void): Promise<Layered | null> {
  stopLayout();
  const mine = (worker ??= startLayout());
  const id = ++last;
  return new Promise((resolve, reject) => {
    const end = (then: () => void) => {
      drop = null;
      then();
    };
    drop = () => {
      mine.terminate();
      worker = null;
      end(() => resolve(null));
    };
    mine.onmessage = ({ data }: MessageEvent<FromLayout>) => {
      if (data.id !== id) return;
      if (data.kind === "progress") tell(data.share);
      else end(() => resolve(data.layout));
    };
    mine.onerror = () => {
      worker = null;
      end(() => reject(new FaultError(fault("bug", "The graph could not be laid out: its worker failed"))));
    };
    mine.postMessage({ id, boxes } satisfies ToLayout);
  });
}

export function stopLayout(): void {
  drop?.();
}
