/** The views that come behind the first view of a file, with the runner that some of them need. */
export { Bytes } from "./Bytes/index.tsx";
export { Graph } from "./Graph/index.tsx";
export { Notes } from "./Notes/index.tsx";
export { Parts } from "./Overview/parts.tsx";
export { Reach } from "./Overview/reach.tsx";
export { Peek } from "./Peek/index.tsx";
export { Norms } from "./Pictures/norms.tsx";
export { Run } from "./Run/index.tsx";
export { Tokenizer } from "./Tokenizer/index.tsx";
