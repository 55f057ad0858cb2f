import { openAsBlob } from "node:fs";
import { readdir, readFile, stat } from "node:fs/promises";
import { basename, join, relative, sep } from "node:path";

import type { CallName, Calls, NamedFile, SentFile } from "../wire/calls.ts";
import type { AskOptions } from "../wire/client.ts";
import { Cancelled, FaultError, faultOf } from "../wire/fault.ts";
import type { ReaderWasm, RunnerWasm } from "../worker/glassbox.ts";
import { Reader } from "../worker/read.ts";
import { Runner as Engine } from "../worker/run.ts";
import { type Asker, Model, type Platform } from "./model.ts";

export type { GenerateOptions, MetaItem, NamedFile } from "../wire/calls.ts";
export type * from "../wire/report.ts";
export { Cancelled, FaultError } from "../wire/fault.ts";
export { type Generation, type LoadOptions, Model, Runner } from "./model.ts";

/** A path to a file or to a model's folder, or bytes with a name. */
export type Source = string | NamedFile;

/** Files of a folder that are looked at; a model has fewer. */
const MOST_FILES = 10_000;

interface Module {
  default(options: { module_or_path: Uint8Array }): Promise<unknown>;
}

/** Each module is compiled once in a process, and only when it is needed. */
const modules: { reader?: Promise<ReaderWasm>; runner?: Promise<RunnerWasm> } = {};

async function start<W>(load: () => Promise<unknown>, wasm: string): Promise<W> {
  const module = (await load()) as Module;
  await module.default({ module_or_path: await readFile(new URL(wasm, import.meta.url)) });
  return module as W;
}

const reader = (): Promise<ReaderWasm> => (modules.reader ??= start<ReaderWasm>(() => import("../wasm/reader.js"), "./reader_bg.wasm"));
const runner = (): Promise<RunnerWasm> => (modules.runner ??= start<RunnerWasm>(() => import("../wasm/runner.js"), "./runner_bg.wasm"));

/** The module itself, on the thread that asks: Node.js programs choose their own workers. */
class InProcess implements Asker {
  private readonly engine: Reader | Engine;
  private open = true;
  private readonly running = new Set<AbortController>();

  constructor(engine: Reader | Engine) {
    this.engine = engine;
  }

  async ask<C extends CallName>(call: C, ask: Calls[C]["ask"], options: AskOptions<C> = {}): Promise<Calls[C]["tell"]> {
    if (!this.open || options.signal?.aborted) throw new Cancelled();
    const stop = new AbortController();
    const end = (): void => stop.abort();
    options.signal?.addEventListener("abort", end, { once: true });
    this.running.add(stop);
    try {
      const handlers = this.engine.handlers as unknown as Record<C, (ask: Calls[C]["ask"], emit: (json: string) => void, stop: AbortSignal) => Promise<string>>;
      const json = await handlers[call](ask, (piece) => options.onPiece?.(JSON.parse(piece)), stop.signal);
      if (!this.open) throw new Cancelled();
      return JSON.parse(json);
    } catch (error) {
      if (error instanceof Cancelled || error instanceof FaultError) throw error;
      throw new FaultError(faultOf(error));
    } finally {
      options.signal?.removeEventListener("abort", end);
      this.running.delete(stop);
    }
  }

  close(): void {
    this.open = false;
    for (const stop of this.running) stop.abort();
    this.engine.close();
  }
}

const PLATFORM: Platform = {
  reader: () => new InProcess(new Reader(reader)),
  runner: () => new InProcess(new Engine(runner)),
  send: (_, files) => ({ files: files as SentFile[], transfer: [] }),
  release: () => {},
};

/**
 * Opens a model: a file, a folder with all its files, or several of either. Files are read by ranges, never whole.
 * @throws FaultError where the files cannot be read or are no model; its `report` tells the file, the byte and what was expected
 */
export async function open(source: Source | readonly Source[], options: { signal?: AbortSignal } = {}): Promise<Model> {
  const sources = Array.isArray(source) ? source as readonly Source[] : [source as Source];
  const files = (await Promise.all(sources.map(named))).flat();
  return Model.open(PLATFORM, files, options.signal);
}

async function named(source: Source): Promise<NamedFile[]> {
  if (typeof source !== "string") return [source];
  if (!(await stat(source)).isDirectory()) return [{ name: basename(source), file: await openAsBlob(source) }];
  const files: NamedFile[] = [];
  for (const entry of await readdir(source, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    if (files.length === MOST_FILES) throw new RangeError(`a model's folder expected, ${source} holds more than ${MOST_FILES} files`);
    const path = join(entry.parentPath, entry.name);
    files.push({ name: relative(source, path).split(sep).join("/"), file: await openAsBlob(path) });
  }
  return files;
}
