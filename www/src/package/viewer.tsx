import { type JSX, render } from "preact";

import base from "../styles/base.css?inline";
import tokens from "../styles/tokens.css?inline";
import { bytes } from "../lib/format.ts";
import { Cancelled } from "../wire/fault.ts";
import type { ModelReport } from "../wire/report.ts";
import widgets from "../widgets/widgets.css?inline";
import { open, type Source } from "./browser.ts";
import type { Model } from "./model.ts";
import { Card, Drop, Failed, Opening } from "./views.tsx";
import own from "./viewer.css?inline";

export * from "./browser.ts";

let sheet: CSSStyleSheet | null = null;

/** The page's own styles, for a shadow tree; constructed, since a strict policy forbids style elements. */
function styles(): CSSStyleSheet {
  if (sheet === null) {
    sheet = new CSSStyleSheet();
    sheet.replaceSync([tokens.replaceAll(":root[data-theme=\"light\"]", ":host([theme=\"light\"])").replaceAll(":root[data-theme=\"dark\"]", ":host([theme=\"dark\"])").replaceAll(":root", ":host"), base, widgets, own].join("\n"));
  }
  return sheet;
}

/**
 * `<glassbox-viewer src="model.gguf">`: what a model file is, in a page. Without `src` it takes files that are dropped on it.
 *
 * Attributes: `src` (an address, or several with spaces between), `theme` ("light" or "dark"; else as the system is).
 * Properties: `files` (files to show), `model` (the open model; null before). Events: `open` (detail: the report), `fault` (detail: the error).
 */
export class GlassboxViewer extends HTMLElement {
  static readonly observedAttributes = ["src"];
  private readonly root: ShadowRoot;
  private attempt: AbortController | null = null;
  private chosen: readonly Source[] = [];
  /** The open model; null before it is open. It is closed when the element leaves the page. */
  model: Model | null = null;

  constructor() {
    super();
    this.root = this.attachShadow({ mode: "open" });
    this.root.adoptedStyleSheets = [styles()];
  }

  /** The files shown. */
  get files(): readonly Source[] {
    return this.chosen;
  }
  set files(files: readonly Source[] | Source) {
    this.chosen = Array.isArray(files) ? [...(files as readonly Source[])] : [files as Source];
    if (this.isConnected) void this.show(this.chosen);
  }

  connectedCallback(): void {
    const src = this.getAttribute("src");
    if (this.chosen.length > 0) void this.show(this.chosen);
    else if (src !== null && src.trim() !== "") void this.show(src.trim().split(/\s+/));
    else this.draw(<Drop onFiles={(files) => { this.files = files; }} />);
  }

  disconnectedCallback(): void {
    this.attempt?.abort();
    this.model?.close();
    this.model = null;
    render(null, this.root);
  }

  attributeChangedCallback(_: string, before: string | null, src: string | null): void {
    if (!this.isConnected || before === src || src === null || src.trim() === "") return;
    this.chosen = [];
    void this.show(src.trim().split(/\s+/));
  }

  private async show(sources: readonly Source[]): Promise<void> {
    this.attempt?.abort();
    const mine = (this.attempt = new AbortController());
    this.draw(<Opening what="Reading the header" />);
    try {
      const model = await open(sources, {
        signal: mine.signal,
        onFetched: (n) => { if (!mine.signal.aborted && this.model !== null) return; else if (!mine.signal.aborted) this.draw(<Opening what={`Reading the header: ${bytes(n)}`} />); },
      });
      if (mine.signal.aborted) return model.close();
      this.model?.close();
      this.model = model;
      this.draw(<Card report={model.report} />);
      this.dispatchEvent(new CustomEvent<ModelReport>("open", { detail: model.report }));
    } catch (error) {
      if (mine.signal.aborted || error instanceof Cancelled) return;
      this.model?.close();
      this.model = null;
      this.draw(<Failed error={error} again={this.getAttribute("src") === null ? () => this.draw(<Drop onFiles={(files) => { this.files = files; }} />) : null} />);
      this.dispatchEvent(new CustomEvent<unknown>("fault", { detail: error }));
    }
  }

  private draw(view: JSX.Element): void {
    render(view, this.root);
  }
}

if (customElements.get("glassbox-viewer") === undefined) customElements.define("glassbox-viewer", GlassboxViewer);
