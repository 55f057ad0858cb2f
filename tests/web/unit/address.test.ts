import { describe, expect, it } from "vitest";

import { type Address, parseAddress } from "../../../www/src/lib/address.ts";

const url = (text: string) => (parseAddress(text) as Address).url;
const why = (text: string) => (parseAddress(text) as { why: string }).why;

describe("an address", () => {
  it("names whom it asks and the file, and leaves the fragment out", () => {
    expect(parseAddress(" https://host.example:8443/a/b%20c.gguf?download=true#part ")).toEqual({
      url: "https://host.example:8443/a/b%20c.gguf?download=true", host: "host.example:8443", name: "b c.gguf", changed: null,
    });
  });
  it("without a scheme is taken as https, on this machine as http", () => {
    expect(url("host.example/m.gguf")).toBe("https://host.example/m.gguf");
    expect(url("host.example:81/m.gguf")).toBe("https://host.example:81/m.gguf");
    expect(url("localhost:8000/m.gguf")).toBe("http://localhost:8000/m.gguf");
    expect(url("127.0.0.1/m.gguf")).toBe("http://127.0.0.1/m.gguf");
  });
  it("of another kind is refused by name", () => {
    for (const text of ["ftp://host.example/m", "data:text/plain,x", "blob:https://a.example/1", "javascript:alert(1)"]) expect(why(text)).toContain(text.split(":")[0]);
    for (const text of ["C:\\models\\m.gguf", "/home/me/m.gguf", "~/m.gguf", "file:///m.gguf", "\\\\server\\m.gguf"]) expect(why(text)).toContain("disk");
    expect(why("")).toContain("paste");
    for (const text of ["https://", "not an address", "http://[::"]) expect(why(text)).toContain("not an address");
  });
  it("with a user name or a password is refused, so that neither is sent", () => {
    expect(why("https://me:secret@host.example/m.gguf")).toContain("password");
    expect(why("https://me@host.example/m.gguf")).toContain("password");
  });
  it("of Hugging Face's page about a file becomes the file's own, and says so", () => {
    const address = parseAddress("https://huggingface.co/org/repo/blob/main/sub/m.gguf") as Address;
    expect(address.url).toBe("https://huggingface.co/org/repo/resolve/main/sub/m.gguf");
    expect(address.changed).toContain("the file itself");
    expect(url("https://huggingface.co/datasets/org/repo/blob/main/m.gguf")).toBe("https://huggingface.co/datasets/org/repo/resolve/main/m.gguf");
    expect(url("https://elsewhere.example/org/repo/blob/main/m.gguf")).toContain("/blob/");
  });
  it("gives no name with a folder in it, and survives a broken escape", () => {
    expect((parseAddress("https://h.example/a%2F..%2Fb.gguf") as Address).name).toBe("b.gguf");
    expect((parseAddress("https://h.example/a%ZZ") as Address).name).toBe("a%ZZ");
    expect((parseAddress("https://h.example/") as Address).name).toBe("h.example");
  });
});
