/** SVG plots of the benchmark: nanoseconds a packet over the number of flows, one file a case. */
import type { Result } from './dataplane-run.js';

const WIDTH = 520;
const HEIGHT = 320;
const LEFT = 50;
const BOTTOM = 40;
const TOP = 40;

const x = (flows: number) => LEFT + (Math.log10(flows) / 6) * (WIDTH - LEFT - 10);

function curve(points: readonly (readonly [number, number])[], color: string): string {
  const path = points.map(([px, py]) => `${px.toFixed(1)},${py.toFixed(1)}`).join(' ');
  const dots = points.map(
    ([px, py]) => `<circle cx="${px.toFixed(1)}" cy="${py.toFixed(1)}" r="3" fill="${color}"/>`,
  );
  return `<polyline points="${path}" fill="none" stroke="${color}" stroke-width="2"/>${dots.join('')}`;
}

function text(at: number, y: number, content: string, extra = ''): string {
  return `<text x="${at}" y="${y}" font-family="sans-serif" font-size="12" ${extra}>${content}</text>`;
}

/** File name and picture of each case that was measured with several numbers of flows. */
export function plot(results: readonly Result[], machine: string): [string, string][] {
  const names = [...new Set(results.map(({ scenario }) => scenario))];
  return names.flatMap((name): [string, string][] => {
    const of = results.filter(({ scenario }) => scenario === name);
    // Two numbers of flows, as stages have, are no curve.
    if (of.length < 3) return [];
    const top = Math.max(...of.flatMap(({ wasm, native }) => [wasm.median, native.median || 0])) * 1.1;
    const y = (ns: number) => HEIGHT - BOTTOM - (ns / top) * (HEIGHT - BOTTOM - TOP);
    const wasm = of.map(({ flows, wasm: w }) => [x(flows), y(w.median)] as const);
    const native = of
      .filter((r) => !Number.isNaN(r.native.median))
      .map((r) => [x(r.flows), y(r.native.median)] as const);
    const ticks = of.map(({ flows }) => text(x(flows), HEIGHT - 22, String(flows), 'text-anchor="middle"'));
    const steps = [0, 0.25, 0.5, 0.75, 1].map((part) => text(8, y(top * part) + 4, (top * part).toFixed(0)));
    const parts = [
      `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${HEIGHT}">`,
      `<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>`,
      text(LEFT, 16, `${name}: ns a packet (median), by flows`, 'font-weight="bold"'),
      text(LEFT, 32, machine.replaceAll('&', '&amp;').replaceAll('<', '&lt;')),
      ...steps,
      ...ticks,
      curve(native, '#888888'),
      curve(wasm, '#1060c0'),
      text(WIDTH - 200, HEIGHT - 6, 'WebAssembly', 'fill="#1060c0"'),
      text(WIDTH - 100, HEIGHT - 6, 'C', 'fill="#888888"'),
      '</svg>\n',
    ];
    return [[`dataplane-${name.toLowerCase().replaceAll(/[^a-z]+/g, '-')}`, parts.join('\n')]];
  });
}
