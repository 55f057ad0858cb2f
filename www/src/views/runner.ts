/** The views that need the runner: fetched with it, behind the first view of a file. */
export { Run } from "./Run/index.tsx";
export { Tokenizer } from "./Tokenizer/index.tsx";
