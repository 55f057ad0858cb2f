/** The host of an address that can be fetched; null for any other kind. */
export function hostOf(url: URL): string | null {
  return url.protocol === "http:" || url.protocol === "https:" ? url.host : null;
}

/** The name of the file at an address: the last part of its path. */
export function nameOf(url: URL): string {
  const last = url.pathname.split("/").filter((part) => part !== "").at(-1) ?? url.host;
  try {
    return decodeURIComponent(last);
  } catch {
    return last;
  }
}
