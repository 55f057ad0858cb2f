/** What passes between the page and the worker that lays graphs out. */
import type { Boxes, Layered } from "./layered.ts";

export interface ToLayout {
  id: number;
  boxes: Boxes;
}

export type FromLayout =
  | { id: number; kind: "progress"; share: number }
  | { id: number; kind: "done"; layout: Layered };
