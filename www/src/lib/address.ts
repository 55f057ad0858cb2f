/** Addresses that people paste: what will be asked, of whom, or why nothing will be. */

export interface Address {
  /** What is asked for; without fragment, user name and password. */
  url: string;
  /** Whom: host and, where it is not the usual one, port. */
  host: string;
  /** The file's name, as the address has it. */
  name: string;
  /** What was changed in the text that was given; null for nothing. */
  changed: string | null;
}

export interface Refusal {
  why: string;
}

const ON_DISK = /^(?:[a-z]:[\\/]|\\\\|\/|~\/|\.{1,2}\/|file:)/i;
const LOCAL = /^(?:localhost|127(?:\.\d+){3}|\[::1\])$/i;

/** Reads an address. Nothing is asked of the network here. */
export function parseAddress(text: string): Address | Refusal {
  const given = text.trim();
  if (given === "") return { why: "Type or paste the address of a file." };
  if (ON_DISK.test(given)) return { why: "This is a place on a disk. Choose the file, or drop it on the page." };
  let url = parsed(given);
  // "localhost:8000/m.gguf" and "host.example/m.gguf" have no scheme, whatever the standard makes of the first.
  if (!/^[a-z][a-z0-9+.-]*:\/\//i.test(given)) {
    const scheme = /^[a-z]+:(?!\d)/i.test(given) ? url : null;
    if (scheme === null) url = parsed(`https://${given}`);
    if (scheme === null && url !== null && LOCAL.test(url.hostname)) url = parsed(`http://${given}`);
  }
  if (url === null) return { why: "This is not an address. One looks like https://host.example/folder/model.gguf" };
  if (url.protocol !== "https:" && url.protocol !== "http:") return { why: `Only http and https addresses can be read by ranges, not ${url.protocol.replace(":", "")}` };
  if (url.username !== "" || url.password !== "") return { why: "The address carries a user name or a password. Glassbox sends neither: download the file and choose it here." };
  url.hash = "";
  const changed = filePage(url) ? "That is the address of a page about the file; the file itself will be read." : null;
  return { url: url.href, host: url.host, name: fileName(url), changed };
}

function parsed(text: string): URL | null {
  try {
    return new URL(text);
  } catch {
    return null;
  }
}

/** Hugging Face shows a file at .../blob/..., and gives it at .../resolve/... */
function filePage(url: URL): boolean {
  if (url.hostname !== "huggingface.co" && url.hostname !== "hf.co") return false;
  const path = url.pathname.replace(/^((?:\/(?:datasets|spaces))?\/[^/]+\/[^/]+)\/blob\//, "$1/resolve/");
  if (path === url.pathname) return false;
  url.pathname = path;
  return true;
}

/** The last part of the path, decoded; the host where there is none. */
function fileName(url: URL): string {
  const last = url.pathname.split("/").findLast((part) => part !== "") ?? url.hostname;
  try {
    return decodeURIComponent(last).split(/[\\/]/).findLast((part) => part !== "") ?? last;
  } catch {
    return last;
  }
}
