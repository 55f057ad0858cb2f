const PATHS = {
  cube: ["M12 2.5 20.5 7v10L12 21.5 3.5 17V7z", "M3.5 7 12 11.5 20.5 7M12 11.5v10"],
  file: ["M6 2.5h8l4.5 4.5v14.5H6z", "M14 2.5V7h4.5"],
  folder: ["M2.5 5.5h7l2 2.5h10v11.5h-19z"],
  link: ["M10 14.5a4 4 0 0 0 5.7 0l3.6-3.6a4 4 0 0 0-5.7-5.7l-1.4 1.4", "M14 9.5a4 4 0 0 0-5.7 0l-3.6 3.6a4 4 0 0 0 5.7 5.7l1.4-1.4"],
  arrow: ["M4 12h16M14 6l6 6-6 6"],
  chevron: ["M9 6l6 6-6 6"],
  check: ["M4.5 12.5l5 5 10-11"],
  cross: ["M6 6l12 12M18 6L6 18"],
  info: ["M12 3a9 9 0 1 0 0 18a9 9 0 1 0 0-18", "M12 11v5.5M12 7.4v.2"],
  warning: ["M12 3.5 22 20.5H2z", "M12 10v5M12 17.6v.2"],
  error: ["M8 3h8l5 5v8l-5 5H8l-5-5V8z", "M12 7.5v5.5M12 16.2v.2"],
  copy: ["M8.5 8.5h12v12h-12z", "M15.5 8V3.5H3.5V15.5H8"],
  sun: ["M12 8a4 4 0 1 0 0 8a4 4 0 1 0 0-8", "M12 2v2.5M12 19.5V22M2 12h2.5M19.5 12H22M5 5l1.700 1.700M17.300 17.300 19 19M19 5l-1.700 1.700M6.700 17.300 5 19"],
  moon: ["M20 14.5A8.5 8.5 0 0 1 9.5 4a8.5 8.5 0 1 0 10.5 10.5z"],
  system: ["M2.5 4h19v13h-19z", "M8 21h8M12 17v4"],
  question: ["M12 3a9 9 0 1 0 0 18a9 9 0 1 0 0-18", "M9.500 9.500a2.500 2.500 0 1 1 3.500 2.300c-.7.4-1 .9-1 1.700M12 16.4v.2"],
  half: ["M12 3.5a8.5 8.5 0 1 0 0 17a8.5 8.5 0 1 0 0-17"],
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name, size = 16 }: { name: IconName; size?: number }) {
  return (
    <svg class="icon" viewBox="0 0 24 24" width={size} height={size} fill="none" stroke="currentColor" stroke-width={size > 30 ? 1 : 1.75} stroke-linejoin="round" stroke-linecap="round" aria-hidden="true">
      {PATHS[name].map((d) => <path key={d} d={d} />)}
    </svg>
  );
}
