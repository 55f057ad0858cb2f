import { effect } from "@preact/signals";
import { render } from "preact";

import { visible } from "./lib/visible.ts";
import * as beside from "./state/beside.ts";
import * as bytes from "./state/bytes.ts";
import * as chat from "./state/chat.ts";
import * as fit from "./state/fit.ts";
import * as join from "./state/join.ts";
import * as metadata from "./state/metadata.ts";
import * as model from "./state/model.ts";
import { arrive, follow, route } from "./state/route.ts";
import * as run from "./state/run.ts";
import * as tensors from "./state/tensors.ts";
import * as talk from "./state/talk.ts";
import { isTheme, theme } from "./state/theme.ts";
import * as tokens from "./state/tokens.ts";
import * as vectors from "./state/vectors.ts";
import * as vocabulary from "./state/vocabulary.ts";
import * as xray from "./state/xray.ts";
import { App } from "./views/App/index.tsx";
import { fetchViews } from "./views/App/later.tsx";
import { keepForOffline } from "./wire/scripts.ts";
import { openRemote, reader, runner } from "./wire/worker.ts";

const THEME_KEY = "glassbox-theme";

/** Reading storage throws where the browser forbids it. */
function storedTheme(): string | null {
  try {
    return localStorage.getItem(THEME_KEY);
  } catch {
    return null;
  }
}
const stored = storedTheme();
if (isTheme(stored)) theme.value = stored;
effect(() => {
  if (theme.value === "system") delete document.documentElement.dataset["theme"];
  else document.documentElement.dataset["theme"] = theme.value;
  try {
    localStorage.setItem(THEME_KEY, theme.value);
  } catch {
    // Not remembered, then.
  }
});

follow(location.hash, (hash, replace) => history[replace ? "replaceState" : "pushState"](null, "", hash));
addEventListener("popstate", () => arrive(location.hash));
addEventListener("hashchange", () => arrive(location.hash));
effect(() => {
  document.title = model.report.value === null ? "Glassbox" : `${visible(model.title.value)} \u2013 ${route.value.tab} \u2013 Glassbox`;
});

const reported = (navigator as { deviceMemory?: number }).deviceMemory;
if (reported !== undefined) fit.memory.value = reported;

model.attach({ reader, runner }, openRemote);
for (const watch of [
  bytes.watchModel, join.watchModel, tensors.watchModel, metadata.watchModel, tokens.watchModel, run.watchModel, fit.watchModel, chat.watchModel, talk.watchModel,
  xray.watchModel, vocabulary.watchModel, beside.watchModel, xray.watchPicked, vocabulary.watchQuery, beside.watchBoth,
  vectors.watchModel, tensors.watchSelection, tokens.watchText, tokens.watchSelection, chat.watchConversation, talk.watchMode,
]) watch();

const root = document.getElementById("app");
if (root !== null) render(<App />, root);

// The engine is fetched after the first paint: a frame, then whatever time is left over.
requestAnimationFrame(() => setTimeout(() => {
  // What is kept for offline use is fetched last, and only by a built page: a development server's files change.
  void fetchViews();
  void model.warm().then(() => { if (import.meta.env.MODE === "production") keepForOffline(); });
}, 0));
