import { beforeEach, describe, expect, it } from "vitest";

import { dropAsWell, joining } from "../../../www/src/lib/join.ts";
import * as join from "../../../www/src/state/join.ts";
import * as model from "../../../www/src/state/model.ts";
import type { ModelReport } from "../../../www/src/wire/report.ts";
import { llama } from "../mock/reports.ts";

const file = (name: string) => ({ name, file: new Blob([]) });

/** A model with a shard missing, in a folder. */
function sharded(missing: string[] = ["m/model-00002-of-00002.safetensors"]): ModelReport {
  const report = llama("m/model-00001-of-00002.safetensors", 0);
  report.missing = missing;
  return report;
}

describe("what arrives beside an open model", () => {
  const names = (report: ModelReport, ...chosen: string[]) => {
    const found = joining(report, chosen.map(file));
    return found === null ? null : [found.sure, ...found.files.map((f) => f.name)];
  };
  it("belongs to it where the model names it as missing, whatever folder it comes from", () => {
    expect(names(sharded(), "model-00002-of-00002.safetensors")).toEqual([true, "m/model-00002-of-00002.safetensors"]);
    expect(names(sharded(), "x/model-00002-of-00002.safetensors", "x/config.json")).toEqual([true, "m/model-00002-of-00002.safetensors", "m/config.json"]);
  });
  it("belongs to it together with the parts that are open already", () => {
    expect(names(sharded(), "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")).toEqual([true, "m/model-00001-of-00002.safetensors", "m/model-00002-of-00002.safetensors"]);
  });
  it("may belong to it where it is what lies beside weights", () => {
    for (const name of ["tokenizer.json", "config.json", "chat_template.jinja", "model.safetensors.index.json"]) expect(names(sharded([]), name)?.[0], name).toBe(false);
  });
  it("belongs to it where the model's place in its family says that it is missing", () => {
    const report = sharded([]);
    report.place.parts = [{ stage: "original", name: "Tokenizer", state: "missing", detail: "" }];
    expect(names(report, "tokenizer.model")).toEqual([true, "m/tokenizer.model"]);
    expect(names(report, "config.json")?.[0]).toBe(false);
  });
  it("is a model of its own otherwise", () => {
    for (const chosen of [["other.gguf"], ["model-00002-of-00002.safetensors", "other.gguf"], ["model-00001-of-00002.safetensors"]]) expect(names(sharded(), ...chosen), chosen.join()).toBeNull();
  });
});

describe("what is to be dropped as well", () => {
  it("is what the model names as missing, and the index of a lone shard", () => {
    const report = sharded();
    report.files[0]!.kind = "shard";
    report.place.stage = "original";
    report.place.parts = [{ stage: "original", name: "config.json", state: "missing", detail: "" }];
    expect(dropAsWell(report)).toEqual(["model-00002-of-00002.safetensors", "config.json", "model.safetensors.index.json"]);
  });
  it("is nothing for a whole model, nor beside a tokenizer alone", () => {
    const report = sharded([]);
    expect(dropAsWell(report)).toEqual([]);
    report.format = "tokenizer";
    report.place.stage = "original";
    report.place.parts = [{ stage: "original", name: "Tokenizer", state: "missing", detail: "" }];
    expect(dropAsWell(report)).toEqual([]);
  });
});

describe("joining", () => {
  let asked: string[][] = [];
  let answer: () => unknown = () => sharded();
  const asker = {
    ask: (call: string, question: { files: { name: string }[] }) => {
      if (call !== "open") return new Promise(() => {});
      asked.push(question.files.map((f) => f.name));
      return (async () => answer())();
    },
    restart: () => {},
    onBytesRead: () => {},
    onRestart: () => {},
  };
  beforeEach(async () => {
    model.attach({ reader: asker, runner: { ...asker } } as never, () => Promise.reject(new Error("no address was expected")));
    join.watchModel();
    answer = () => sharded();
    await model.openFiles([file("m/model-00001-of-00002.safetensors")]);
    asked = [];
  });
  it("of a missing shard opens the whole and says so", async () => {
    answer = () => sharded([]);
    await join.take([file("model-00002-of-00002.safetensors")]);
    expect(asked).toEqual([["m/model-00001-of-00002.safetensors", "m/model-00002-of-00002.safetensors"]]);
    expect(join.joined.value?.map((f) => f.name)).toEqual(["model-00002-of-00002.safetensors"]);
    await join.openInstead(join.joined.value ?? []);
    expect(asked.at(-1)).toEqual(["model-00002-of-00002.safetensors"]);
    expect(join.joined.value).toBeNull();
  });
  it("of what may belong waits for a word", async () => {
    await join.take([file("tokenizer.json")]);
    expect(asked).toEqual([]);
    expect(join.offer.value?.length).toBe(1);
    await join.join(join.offer.value ?? []);
    expect(asked).toEqual([["m/model-00001-of-00002.safetensors", "m/tokenizer.json"]]);
    expect(join.offer.value).toBeNull();
  });
  it("that fails leaves the model as it was", async () => {
    answer = () => { throw new Error("torn"); };
    await join.take([file("model-00002-of-00002.safetensors")]);
    expect(model.openFault.value?.what).toBe("torn");
    expect(join.joined.value).toBeNull();
    answer = () => sharded([]);
    await join.take([file("model-00002-of-00002.safetensors")]);
    expect(asked.at(-1)).toEqual(["m/model-00001-of-00002.safetensors", "m/model-00002-of-00002.safetensors"]);
  });
});
