interface AdapterPrototype {
  requestDevice(this: Adapter, descriptor?: { requiredFeatures?: Iterable<string> }): Promise<unknown>;
}
interface Adapter {
  readonly features: ReadonlySet<string>;
}

/**
 * wgpu does not yet map WebGPU's "subgroups" feature (gfx-rs/wgpu#10146), so this adds it to every device request where
 * the adapter has it. Resolves to whether the default adapter has it. Call it before the wasm asks for a device.
 */
export async function installSubgroupShim(): Promise<boolean> {
  const scope = globalThis as unknown as {
    GPUAdapter?: { prototype: AdapterPrototype };
    navigator: { gpu?: { requestAdapter(): Promise<Adapter | null> } };
  };
  const prototype = scope.GPUAdapter?.prototype;
  const gpu = scope.navigator.gpu;
  if (prototype === undefined || gpu === undefined) return false;
  const original = prototype.requestDevice;
  prototype.requestDevice = function (descriptor = {}) {
    // A set: a later wgpu may ask for it itself.
    const features = new Set(descriptor.requiredFeatures ?? []);
    if (this.features.has("subgroups")) features.add("subgroups");
    return original.call(this, { ...descriptor, requiredFeatures: [...features] });
  };
  const adapter = await gpu.requestAdapter().catch(() => null);
  return adapter?.features.has("subgroups") ?? false;
}
