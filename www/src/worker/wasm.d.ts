// Stands in for the generated bindings before the first build; the generated ones win where they exist.
declare module "*/wasm/glassbox.js" {
  const wasm: unknown;
  export = wasm;
}
