import tseslint from "typescript-eslint";

/** Rooms of the page from top to bottom; each may import the ones it names, all of them below it. */
const ROOMS = {
  views: ["views", "widgets", "state", "lib"],
  widgets: ["widgets", "lib"],
  state: ["state", "wire", "lib"],
  wire: ["wire", "lib"],
  worker: ["worker", "wire", "wasm", "lib"],
  fetcher: ["fetcher", "wire"],
  layout: ["layout", "lib"],
  offline: ["offline"],
  package: ["package", "widgets", "worker", "wire", "wasm", "lib", "styles"],
  lib: ["lib"],
};
const ALL = ["views", "widgets", "state", "wire", "worker", "fetcher", "layout", "offline", "package", "wasm", "lib", "styles"];

/** Types of reports and calls are vocabulary, not machinery: views and widgets may name them. */
const TYPES_ONLY = { views: ["wire"], widgets: [] };

const layers = Object.entries(ROOMS).map(([room, may]) => ({
  files: [`www/src/${room}/**/*.{ts,tsx}`],
  rules: {
    "@typescript-eslint/no-restricted-imports": [
      "error",
      {
        patterns: ALL.filter((other) => !may.includes(other)).map((other) => ({
          group: [`**/${other}/**`],
          allowTypeImports: TYPES_ONLY[room]?.includes(other) ?? false,
          message: `The room ${room} may import ${may.join(", ")} only (house.md, front end).`,
        })),
      },
    ],
  },
}));

export default tseslint.config(
  { ignores: ["dist/", "target/", "node_modules/", "www/src/wasm/", "www/public/", "test-results/", "playwright-report/"] },
  ...tseslint.configs.recommended,
  {
    files: ["**/*.{ts,tsx}"],
    rules: {
      "@typescript-eslint/no-unused-vars": ["error", { argsIgnorePattern: "^_" }],
      "@typescript-eslint/consistent-type-imports": "error",
      eqeqeq: ["error", "always", { null: "ignore" }],
      "no-eval": "error",
      "no-new-func": "error",
      "no-restricted-syntax": [
        "error",
        { selector: "MemberExpression[property.name=/^(innerHTML|outerHTML|insertAdjacentHTML|setHTMLUnsafe|createContextualFragment|parseFromString|srcdoc)$/]", message: "Model files are hostile: build text nodes." },
        { selector: "CallExpression[callee.object.name='document'][callee.property.name=/^write/]", message: "Model files are hostile: build text nodes." },
        { selector: "CallExpression[callee.name=/^set(Timeout|Interval)$/][arguments.0.type=/^(Literal|TemplateLiteral)$/]", message: "No code is made of a string." },
        { selector: "JSXAttribute[name.name=/^(dangerouslySetInnerHTML|srcdoc)$/]", message: "Model files are hostile: build text nodes." },
      ],
    },
  },
  {
    // The document belongs to views and widgets: state is tested without one.
    files: ["www/src/{state,wire,lib}/**/*.ts"],
    rules: { "no-restricted-globals": ["error", "document", "window", "location", "history", "localStorage"] },
  },
  ...layers,
);
