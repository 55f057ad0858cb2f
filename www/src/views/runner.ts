/** The views that come behind the first view of a file, with the runner that some of them need. */
export { Graph } from "./Graph/index.tsx";
export { Parts } from "./Overview/parts.tsx";
export { Pictures } from "./Pictures/index.tsx";
export { Norms } from "./Pictures/norms.tsx";
export { Run } from "./Run/index.tsx";
export { Tokenizer } from "./Tokenizer/index.tsx";
