/** One picture a shape: nanoseconds a header by the number of rules, both logarithmic. */
import type { Classified } from './run.js';

const WIDTH = 520;
const HEIGHT = 320;
const LEFT = 56;
const BOTTOM = 40;
const TOP = 44;

export function plot(results: readonly Classified[], machine: string): [name: string, svg: string][] {
  const shapes = [...new Set(results.map(({ shape }) => shape))];
  return shapes.map((shape) => [
    `classify-${shape.toLowerCase()}`,
    picture(
      shape,
      results.filter((r) => r.shape === shape),
      machine,
    ),
  ]);
}

function picture(shape: string, results: readonly Classified[], machine: string): string {
  const best = (r: Classified) => Math.min(...Object.values(r.acl).map(({ median }) => median));
  const values = results.flatMap((r) => [r.wasm.median, best(r)]).filter(Number.isFinite);
  const top = 10 ** Math.ceil(Math.log10(Math.max(...values)));
  const x = (rules: number) => LEFT + 20 + (Math.log10(rules / 100) / 3) * (WIDTH - LEFT - 60);
  const y = (ns: number) => HEIGHT - BOTTOM - (Math.log10(ns) / Math.log10(top)) * (HEIGHT - BOTTOM - TOP);
  const text = (at: number, height: number, content: string, more = '') =>
    `<text x="${at.toFixed(0)}" y="${height.toFixed(0)}" font-family="sans-serif" font-size="12" ${more}>${content}</text>`;
  const curve = (color: string, value: (r: Classified) => number) => {
    const points = results
      .filter((r) => Number.isFinite(value(r)))
      .map((r) => [x(r.rules), y(value(r))] as const);
    const path = points.map(([px, py]) => `${px.toFixed(1)},${py.toFixed(1)}`).join(' ');
    const dots = points.map(
      ([px, py]) => `<circle cx="${px.toFixed(1)}" cy="${py.toFixed(1)}" r="3" fill="${color}"/>`,
    );
    return `<polyline points="${path}" fill="none" stroke="${color}" stroke-width="2"/>${dots.join('')}`;
  };
  const escaped = machine.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  const steps = Array.from({ length: Math.round(Math.log10(top)) + 1 }, (_, i) => 10 ** i);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${HEIGHT}">`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>`,
    text(LEFT, 16, `${shape} shape: ns a header (median), by rules`, 'font-weight="bold"'),
    text(LEFT, 32, escaped),
    ...steps.map((ns) => text(8, y(ns) + 4, String(ns))),
    ...results.map((r) => text(x(r.rules), HEIGHT - 22, String(r.rules), 'text-anchor="middle"')),
    curve('#888888', best),
    curve('#1060c0', (r) => r.wasm.median),
    text(WIDTH - 250, HEIGHT - 6, 'WebAssembly', 'fill="#1060c0"'),
    text(WIDTH - 150, HEIGHT - 6, 'librte_acl, best', 'fill="#888888"'),
    '</svg>\n',
  ].join('\n');
}
