/** VPP's statistics as lines: one for each figure. */
import type { Stats } from '../backends/vpp/stats/stats.js';
import { combinedAt, lengthOf, type StatValue, simpleAt } from '../backends/vpp/stats/values.js';

export interface StatLine {
  readonly name: string;
  /** Of a vector: which element; null: there is only one. */
  readonly index: number | null;
  /** Interface of the element, where the vector has one for each. */
  readonly of: string | null;
  /** One figure; two are packets and bytes. */
  readonly values: readonly number[];
}

/** @param all figures that are 0, too */
export async function readStats(stats: Stats, pattern: RegExp, all: boolean): Promise<StatLine[]> {
  const names = (await stats.names()).filter((name) => pattern.test(name));
  const read = await stats.read([...names, '/if/names']);
  const interfaces = read.get('/if/names');
  const lines = names.flatMap((name) => linesOf(name, read.get(name), interfaces));
  return all ? lines : lines.filter(({ values }) => values.some((value) => value !== 0));
}

export function formatStat({ name, index, of, values }: StatLine): string {
  const element = index === null ? '' : `[${index}]`;
  const [first = 0, bytes] = values;
  const figure = bytes === undefined ? String(first) : `${first} packets ${bytes} bytes`;
  return `${name}${element} ${figure}${of === null ? '' : ` (${of})`}`;
}

function linesOf(name: string, value: StatValue | undefined, interfaces: StatValue | undefined): StatLine[] {
  if (value === undefined || value.type === 'names' || value.type === 'ring') return [];
  if (value.type === 'scalar') return [{ name, index: null, of: null, values: [value.value] }];
  const length = lengthOf(value);
  return Array.from({ length }, (_, index) => ({
    ...{ name, index: length === 1 ? null : index, of: interfaceOf(name, index, interfaces) },
    values: figuresAt(value, index),
  }));
}

function figuresAt(value: StatValue, index: number): number[] {
  if (value.type === 'combined') {
    const { packets, bytes } = combinedAt(value, index);
    return [packets, bytes];
  }
  if (value.type !== 'histogram') return [simpleAt(value, index)];
  return [value.threads.reduce((sum, bins) => sum + Number(bins[index] ?? 0n), 0)];
}

function interfaceOf(name: string, index: number, interfaces: StatValue | undefined): string | null {
  if (!name.startsWith('/if/') || interfaces?.type !== 'names') return null;
  return interfaces.names[index] ?? null;
}
