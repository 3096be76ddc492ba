/** The figures of bench/compile.ts as one SVG: what an event costs, at both sizes, next to a compile from scratch. */
import type { NaiveFigures } from './compile-naive.js';
import type { RunFigures } from './compile-turns.js';

/** Of a whole run, as `results/compile.json` keeps them. */
export interface CompileResults {
  readonly machine: string;
  readonly node: string;
  readonly date: string;
  readonly runs: readonly RunFigures[];
  readonly naive: readonly NaiveFigures[];
}

interface Bar {
  readonly label: string;
  readonly p50: number;
  readonly p99: number;
}

const WIDTH = 1000;
const LABEL = 330;
const ROW = 16;
const RIGHT = 90;
const FONT = 'font-family="sans-serif" font-size="11"';
/** Milliseconds at both ends of the scale, which is logarithmic. */
const FROM = 0.001;
const TO = 10_000;

function x(value: number): number {
  const share = Math.log10(Math.min(TO, Math.max(FROM, value)) / FROM) / Math.log10(TO / FROM);
  return LABEL + share * (WIDTH - LABEL - RIGHT);
}

function text(value: number): string {
  return value >= 100 ? value.toFixed(0) : value >= 1 ? value.toFixed(1) : value.toFixed(3);
}

/** One row: a bar to the median, a line from there to the 99th percentile. */
function row({ label, p50, p99 }: Bar, y: number, color: string): string {
  const middle = y + ROW / 2;
  return [
    `<text x="${LABEL - 8}" y="${middle + 4}" text-anchor="end" ${FONT}>${label}</text>`,
    `<rect x="${LABEL}" y="${y + 3}" width="${(x(p50) - LABEL).toFixed(1)}" height="${ROW - 6}" fill="${color}"/>`,
    `<line x1="${x(p50).toFixed(1)}" x2="${x(p99).toFixed(1)}" y1="${middle}" y2="${middle}" stroke="#333"/>`,
    `<circle cx="${x(p99).toFixed(1)}" cy="${middle}" r="2.5" fill="#333"/>`,
    `<text x="${(x(p99) + 6).toFixed(1)}" y="${middle + 4}" ${FONT}>${text(p50)} / ${text(p99)}</text>`,
  ].join('\n');
}

export function plot({ runs, machine, node, date }: CompileResults): string {
  const parts: string[] = [];
  let y = 70;
  for (const run of runs) {
    parts.push(`<text x="10" y="${y + 12}" ${FONT} font-weight="bold">${run.text}</text>`);
    y += ROW + 2;
    const events = run.events.map(({ name, p50, p99 }) => ({
      bar: { label: name, p50, p99 },
      color: '#4a90c2',
    }));
    const scratch = { label: 'everything from scratch', p50: run.scratch, p99: run.scratch };
    const load = run.read + run.load + run.compile;
    const first = { label: 'stored objects read, loaded, compiled', p50: load, p99: load };
    for (const { bar, color } of [
      ...events,
      { bar: scratch, color: '#c9c9c9' },
      { bar: first, color: '#c9c9c9' },
    ]) {
      parts.push(row(bar, y, color));
      y += ROW;
    }
    y += 10;
  }
  const grid: string[] = [];
  for (let value = FROM; value <= TO; value *= 10) {
    const at = x(value).toFixed(1);
    grid.push(`<line x1="${at}" x2="${at}" y1="60" y2="${y}" stroke="#e2e2e2"/>`);
    grid.push(
      `<text x="${at}" y="54" text-anchor="middle" ${FONT}>${Number(value.toPrecision(1))} ms</text>`,
    );
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${y + 10}" viewBox="0 0 ${WIDTH} ${y + 10}">
<rect width="100%" height="100%" fill="white"/>
<text x="10" y="20" font-family="sans-serif" font-size="15">What an event costs the rule compiler: bar = median, dot = 99th percentile</text>
<text x="10" y="36" ${FONT} fill="#666">${machine}, Node ${node}, ${date}; a node with 110 pods among 1,000 nodes</text>
${grid.join('\n')}
${parts.join('\n')}
</svg>
`;
}
