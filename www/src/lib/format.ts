/** Numbers and sizes as people read them. */

const GROUPS = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const UNITS = ["B", "kB", "MB", "GB", "TB", "PB"];

/** 1234567 as "1,234,567". */
export function count(n: number): string {
  return GROUPS.format(n);
}

/** "1 tensor", "2 tensors". */
export function plural(n: number, one: string, many = `${one}s`): string {
  return `${count(n)} ${n === 1 ? one : many}`;
}

/** Decimal units, as disks and browsers print them: 1500 is "1.5 kB". */
export function bytes(n: number): string {
  if (!Number.isFinite(n)) return "unknown";
  if (Math.abs(n) < 1000) return `${Math.round(n)} B`;
  let unit = 0;
  let value = n;
  // 999,950 would print as "1000.0 kB": step up where rounding does.
  while (Math.abs(value) >= 999.95 && unit < UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${value.toFixed(1)} ${UNITS[unit]}`;
}

/** Slowest dimension first: [576, 1536] as "576 × 1,536"; a scalar is "scalar". */
export function shape(dims: readonly number[]): string {
  return dims.length === 0 ? "scalar" : dims.map(count).join(" × ");
}

/** 1.1e9 as "1.1 B", the way model sizes are written. */
export function parameters(n: number): string {
  const steps: [number, string][] = [[1e12, "T"], [1e9, "B"], [1e6, "M"], [1e3, "K"]];
  for (const [size, unit] of steps) {
    if (n >= size) return `${trim((n / size).toPrecision(3))} ${unit}`;
  }
  return count(n);
}

/** A weight, bit count or probability with `digits` significant digits; never "1e+0". */
export function real(x: number | null, digits = 4): string {
  if (x === null || Number.isNaN(x)) return "NaN";
  if (x === 0) return "0";
  const size = Math.abs(x);
  // Whole thousands are written out: as few digits as asked for would take an exponent.
  if (size < 1e6 && size >= 10 ** digits) return count(x).replace("-", "\u2212");
  const text = size >= 1e6 || size < 1e-4 ? x.toExponential(digits - 1) : trim(x.toPrecision(digits));
  return text.replaceAll("-", "\u2212");
}

/** A single-precision number by the fewest digits that mean it: 0.000009999999747378752 is 0.00001. */
export function single(x: number): string {
  for (let digits = 1; digits <= 9; digits++) {
    const short = Number(x.toPrecision(digits));
    if (Math.fround(short) === Math.fround(x)) return String(short);
  }
  return String(x);
}

/** 0.1234 as "12.3 %". */
export function percent(share: number): string {
  const value = share * 100;
  if (value > 0 && value < 0.1) return "< 0.1 %";
  return `${value.toFixed(value >= 99.95 ? 0 : 1)} %`;
}

/** Seconds as "0.12 s" or "340 ms". */
export function seconds(s: number): string {
  if (s < 0.0995) return `${(s * 1000).toFixed(s < 0.00995 ? 1 : 0)} ms`;
  return s < 100 ? `${s.toFixed(s < 10 ? 2 : 1)} s` : `${Math.round(s)} s`;
}

/** Things per second; a dash where no time passed. */
export function rate(things: number, s: number): string {
  if (things <= 0 || s <= 0) return "\u2013";
  const value = things / s;
  return value >= 100 ? count(Math.round(value)) : value.toFixed(1);
}

/** Hexadecimal bytes in pairs. */
export function hexPairs(hex: string): string[] {
  return hex.replace(/\s+/g, "").match(/.{1,2}/g) ?? [];
}

function trim(text: string): string {
  return text.includes(".") && !text.includes("e") ? text.replace(/\.?0+$/, "") : text;
}
