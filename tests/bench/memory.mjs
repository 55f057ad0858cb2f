// Proportional memory of a browser's pages, sampled while they work. Linux only: elsewhere it is null.
import fs from "node:fs";

function children(root) {
  const parents = new Map();
  for (const entry of fs.readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      const stat = fs.readFileSync(`/proc/${entry}/stat`, "utf8");
      parents.set(Number(entry), Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]));
    } catch { /* it ended */ }
  }
  const below = (pid) => { for (let p = parents.get(pid); p > 1; p = parents.get(p)) if (p === root) return true; return false; };
  return [...parents.keys()].filter(below);
}

/** Bytes held by the processes that run pages. */
function held() {
  let sum = 0;
  for (const pid of children(process.pid)) {
    try {
      if (!fs.readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("--type=renderer")) continue;
      sum += Number(/^Pss:\s+(\d+)/m.exec(fs.readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"))?.[1] ?? 0) * 1024;
    } catch { /* it ended */ }
  }
  return sum;
}

/** Starts sampling; `end()` gives the most that was held beyond the start, in bytes. */
export function watchMemory(every = 40) {
  if (!fs.existsSync("/proc/self/smaps_rollup")) return { end: () => null };
  const before = held();
  let most = before;
  const sample = () => { most = Math.max(most, held()); };
  const timer = setInterval(sample, every);
  return { end: () => { clearInterval(timer); sample(); return most - before; } };
}
