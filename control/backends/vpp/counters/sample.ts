/** One reading of VPP's statistics, as far as counters need it. */
import type { Stats } from '../stats/stats.js';
import { type Combined, combinedAt, lengthOf, packetsOf, type StatValue, simpleAt } from '../stats/values.js';

/** What VPP counted of one interface. */
export interface PortSample {
  readonly name: string;
  readonly rx: Combined;
  readonly tx: Combined;
  /** Received here and dropped, anywhere on the way. */
  readonly dropped: number;
  /** Received here and for somebody whom VPP does not know. */
  readonly punted: number;
  /** Lost before VPP had them, or for want of room to send. */
  readonly missed: number;
  /** ARP and neighbor discovery that VPP sent of its own. */
  readonly spoken: number;
}

export interface Sample {
  /** By sw_if_index. */
  readonly ports: readonly PortSample[];
  /** `NODE/ERROR` → count; only what is not 0. */
  readonly errors: ReadonlyMap<string, number>;
  /** Index of an ACL → hits of its rules. */
  readonly acls: ReadonlyMap<number, readonly number[]>;
  /** Number of a CNAT translation → connections it made. */
  readonly translations: readonly number[];
  readonly natSessions: number;
  readonly values: ReadonlyMap<string, StatValue>;
}

const MISSED = ['/if/rx-miss', '/if/rx-no-buf', '/if/rx-error', '/if/tx-error'];
const SPOKEN = [
  '/net/arp/tx/requests',
  '/net/arp/tx/replies',
  '/net/ip6-nd/tx/requests',
  '/net/ip6-nd/tx/replies',
];
const NAMES = [
  // Received first: what the others say of packets that came meanwhile is too much then, never too little.
  '/if/rx',
  '/if/names',
  '/if/tx',
  '/if/drops',
  '/if/punt',
  ...MISSED,
  ...SPOKEN,
  '/acl/*',
  '/net/cnat-translation',
  '/nat44-ed/total-sessions',
  '/cnat/sessions/total',
  '/buffer-pools/*',
  '/mem/main heap/*',
  '/mem/stat segment/*',
];
const ERRORS = '/err/';

/** Throws as Stats does. */
export async function takeSample(stats: Stats): Promise<Sample> {
  const values = await stats.read(NAMES);
  const errors = new Map<string, number>();
  for (const [name, count] of await stats.elements('/node/errors')) {
    if (count > 0 && name.startsWith(ERRORS)) errors.set(name.slice(ERRORS.length), count);
  }
  const translations = values.get('/net/cnat-translation');
  return {
    ports: portsOf(values),
    errors,
    acls: aclsOf(values),
    translations: translations === undefined ? [] : packetsOf(translations),
    natSessions: simpleAt(values.get('/nat44-ed/total-sessions'), 0),
    values,
  };
}

function portsOf(values: ReadonlyMap<string, StatValue>): PortSample[] {
  const names = values.get('/if/names');
  const sum = (stats: readonly string[], index: number): number =>
    stats.reduce((total, name) => total + simpleAt(values.get(name), index), 0);
  return Array.from({ length: lengthOf(names) }, (_, index) => ({
    name: (names?.type === 'names' ? names.names[index] : null) ?? '',
    rx: combinedAt(values.get('/if/rx'), index),
    tx: combinedAt(values.get('/if/tx'), index),
    dropped: sum(['/if/drops'], index),
    punted: sum(['/if/punt'], index),
    missed: sum(MISSED, index),
    spoken: sum(SPOKEN, index),
  }));
}

function aclsOf(values: ReadonlyMap<string, StatValue>): Map<number, number[]> {
  const acls = new Map<number, number[]>();
  for (const [name, value] of values) {
    const index = /^\/acl\/(\d+)\/matches$/.exec(name)?.[1];
    if (index === undefined) continue;
    acls.set(Number(index), packetsOf(value));
  }
  return acls;
}
