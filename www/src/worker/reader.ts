import type { ReaderWasm } from "./glassbox.ts";
import { loader, serve } from "./pump.ts";
import { Reader } from "./read.ts";

serve(new Reader(loader<ReaderWasm>(() => import("../wasm/reader.js")), () => import("./measures.ts")));
