/** Everything by which a worker could reach the network. */
const DOORS = ["fetch", "XMLHttpRequest", "WebSocket", "WebSocketStream", "WebTransport", "EventSource", "importScripts", "Worker"];

/**
 * Closes them for good. A worker does not inherit the policy of a page that is served without headers, so after the
 * wasm has been fetched nothing is left in here that could send a byte of a model anywhere. What a person opens by its
 * address comes through a port from the fetcher, which gives ranges of that one file and takes nothing else.
 */
export function seal(scope: object): void {
  for (const door of DOORS) {
    if (door in scope) Object.defineProperty(scope, door, { value: undefined, writable: false, configurable: false });
  }
}
