// Stands in for the generated bindings before the first build; the generated ones win where they exist.
declare module "*/wasm/reader.js" {
  const wasm: unknown;
  export = wasm;
}
declare module "*/wasm/runner.js" {
  const wasm: unknown;
  export = wasm;
}
