// Texts for the tokenizer benchmarks, out of what is installed: files with an ending, in the order of their names, identical ones once.
//   node tests/bench/texts.mjs OUT ENDING[,ENDING...] FOLDER...      (an ending of "-" takes any file)
import fs from "node:fs";
import path from "node:path";

const BYTES = Number(process.env.BYTES ?? 1_000_000);
const [out, endings, ...folders] = process.argv.slice(2);
if (!folders.length) throw new Error("say a file to write, endings and folders");
const wanted = endings.split(",");
const seen = new Set();
const utf8 = new TextDecoder("utf-8", { fatal: true });
const parts = [];
let total = 0;

function* walk(folder) {
  for (const entry of fs.readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const name = path.join(folder, entry.name);
    if (entry.isDirectory()) yield* walk(name);
    else if (entry.isFile() && (endings === "-" || wanted.some((e) => entry.name.endsWith(e)))) yield name;
  }
}

// The folders take turns, so that each has its share.
const walks = folders.map(walk);
while (walks.length && total < BYTES) {
  const files = walks.shift();
  const { value, done } = files.next();
  if (done) continue;
  walks.push(files);
  let text;
  try { text = utf8.decode(fs.readFileSync(value)); } catch { continue; }
  if (!text.trim() || seen.has(text)) continue;
  seen.add(text);
  // No file fills more than a tenth, unless there is but one.
  const part = Buffer.from(text).subarray(0, folders.length > 1 ? BYTES / 10 : BYTES);
  parts.push(part);
  total += part.length;
}
const all = Buffer.concat(parts).subarray(0, BYTES);
// Cut at a line's end, which is also the end of a character.
const text = new TextDecoder().decode(all.subarray(0, all.lastIndexOf(10) + 1)).replaceAll("\uFFFD", "");
fs.writeFileSync(out, text);
console.log(`${out}: ${Buffer.byteLength(text)} bytes of ${parts.length} files`);
