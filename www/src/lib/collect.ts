/** Files from drops and pickers, named by their path inside what was chosen. */

export interface Collected {
  name: string;
  file: File;
}

/** More files than any model folder holds: a dropped home directory must not hang the page. */
export const MOST_FILES = 10_000;

/** Entries that belong to tools, not to models: ".git", ".cache". */
function hidden(path: string): boolean {
  return path.split("/").some((part) => part.startsWith("."));
}

/** "folder/a/b" as "a/b": a model knows its files by their path inside its own folder. */
export function insideFolder(path: string): string {
  const at = path.indexOf("/");
  return at < 0 ? path : path.slice(at + 1);
}

/** From an input element; with `webkitdirectory` the files carry their path. */
export function fromList(list: Iterable<File>): Collected[] {
  const out: Collected[] = [];
  for (const file of list) {
    const path = file.webkitRelativePath === "" ? file.name : insideFolder(file.webkitRelativePath);
    if (!hidden(path)) out.push({ name: path, file });
    if (out.length >= MOST_FILES) break;
  }
  // A single hidden file that was named on purpose is meant.
  return out.length === 0 ? [...list].slice(0, MOST_FILES).map((file) => ({ name: file.name, file })) : out;
}

/** From a drop: files as they are, folders walked. Must be called before the event ends; the entries die with it. */
export function fromDrop(data: DataTransfer): Promise<Collected[]> {
  const entries = [...data.items].filter((i) => i.kind === "file").map((i) => i.webkitGetAsEntry());
  if (entries.every((e) => e === null || e.isFile)) return Promise.resolve(fromList(data.files));
  return walk(entries.filter((e) => e !== null));
}

async function walk(roots: FileSystemEntry[]): Promise<Collected[]> {
  const out: Collected[] = [];
  const waiting = roots.map((entry) => ({ entry, path: entry.isDirectory ? "" : entry.name }));
  for (let next = waiting.shift(); next !== undefined && out.length < MOST_FILES; next = waiting.shift()) {
    const { entry, path } = next;
    if (entry.isFile) {
      out.push({ name: path, file: await new Promise<File>((ok, no) => (entry as FileSystemFileEntry).file(ok, no)) });
      continue;
    }
    const reader = (entry as FileSystemDirectoryEntry).createReader();
    const read = () => new Promise<FileSystemEntry[]>((ok, no) => reader.readEntries(ok, no));
    // readEntries gives at most a hundred at a time; an empty answer ends the folder.
    for (let some = await read(); some.length > 0; some = await read()) {
      for (const child of some) {
        if (!child.name.startsWith(".")) waiting.push({ entry: child, path: path === "" ? child.name : `${path}/${child.name}` });
      }
    }
  }
  return out;
}
