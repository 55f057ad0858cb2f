import { accessible, expect, open, test } from "../page.ts";

test("the graph is drawn with its layers in one box, and the table holds the same", async ({ page }) => {
  await open(page, "m.onnx", "graph");
  const drawing = page.getByRole("application", { name: "Drawing of the graph" });
  await expect(drawing).toBeVisible();
  await expect(page.getByText("9 boxes, 8 edges; 1 constant drawn with what reads it")).toBeVisible();
  await drawing.focus();
  await page.keyboard.press("Home");
  await expect(page.getByRole("heading", { name: "Graph input" })).toBeVisible();
  // Down along the edges to the operator that ONNX Runtime lacks, up again, and back down to the layers.
  for (const box of ["Gather", "Add", "com.example.Fancy"]) {
    await page.keyboard.press("ArrowDown");
    await expect(page.getByRole("heading", { name: box })).toBeVisible();
  }
  await expect(page.getByText("ONNX Runtime lacks it: an operator of com.example")).toBeVisible();
  await page.keyboard.press("ArrowUp");
  await expect(page.getByRole("heading", { name: "Add" })).toBeVisible();
  for (let i = 0; i < 3; i++) await page.keyboard.press("ArrowDown");
  await expect(page.getByRole("heading", { name: "encoder: 39 × layer" })).toBeVisible();
  await page.keyboard.press("Enter");
  await expect(page.getByText(/^47 boxes/)).toBeVisible();
  await accessible(page);
  await page.getByText("Table", { exact: true }).click();
  await expect(page.getByRole("grid", { name: "Nodes in the order of the file" })).toBeVisible();
  await expect(page).toHaveURL(/part=table/);
  await accessible(page);
});

test("a node of the address is chosen, with attributes, shapes and the way to its neighbours", async ({ page }) => {
  await open(page, "m.onnx", "graph?node=8");
  await expect(page.getByRole("heading", { name: "Softmax" })).toBeVisible();
  await expect(page.getByText("/encoder/layer.0/attention/Softmax_3")).toBeVisible();
  await expect(page.getByText("axis", { exact: true })).toBeVisible();
  await expect(page.getByText("F32 batch × sequence × 384").first()).toBeVisible();
  await page.getByRole("region", { name: "Selection" }).getByRole("button", { name: "MatMul" }).click();
  await expect(page.getByRole("heading", { name: "MatMul" })).toBeVisible();
  await expect(page).toHaveURL(/node=9/);
  await page.getByRole("button", { name: "onnx::MatMul_928" }).click();
  await expect(page).toHaveURL(/#tensors\?tensor=onnx/);
});

test("the search goes from hit to hit, opening the groups that hold them", async ({ page }) => {
  await open(page, "m.onnx", "graph");
  await page.getByRole("searchbox", { name: "Search nodes" }).fill("layer.7 softmax");
  await expect(page.getByText("1 node", { exact: true })).toBeVisible();
  await page.getByRole("button", { name: "Next" }).click();
  await expect(page.getByText("/encoder/layer.7/attention/Softmax_3")).toBeVisible();
  await page.getByRole("button", { name: "attention" }).click();
  await expect(page.getByRole("heading", { name: "attention" })).toBeVisible();
});

test("ten thousand operators are laid out beside the page, and it saves them as pictures", async ({ page }) => {
  await open(page, "large.onnx", "graph");
  await page.getByRole("button", { name: "Open all groups" }).click();
  await expect(page.getByText(/^10,008 boxes/)).toBeVisible();
  await page.getByRole("button", { name: "Close all" }).click();
  await expect(page.getByText(/^\d boxes/)).toBeVisible();
  for (const kind of ["SVG", "PNG"]) {
    const saved = page.waitForEvent("download");
    await page.getByRole("button", { name: `Save ${kind}` }).click();
    expect((await saved).suggestedFilename()).toBe(`large.${kind.toLowerCase()}`);
  }
});

test("boxes are coloured by what their weights take, with the numbers beside", async ({ page }) => {
  await open(page, "m.onnx", "graph");
  await page.getByText("Weight bytes", { exact: true }).click();
  await page.getByRole("button", { name: "encoder: 39 × layer" }).click();
  const about = page.getByRole("region", { name: "Selection" });
  await expect(about.getByText("Weight bytes")).toBeVisible();
  await expect(about.getByText("11.8 MB")).toBeVisible();
});
