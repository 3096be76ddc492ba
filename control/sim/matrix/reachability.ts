/**
 * The expectation file of `--expect`: what its author wants to be reachable, in lines a person can read.
 *
 *     apiVersion: sim.pteropus.io/v1
 *     kind: Reachability
 *     default: deny            # what holds where no line says anything: allow, deny or ignore (the default)
 *     expect:
 *       - allow: shop/web -> shop/cart:7070
 *       - deny: "* -> payments/ledger"
 *       - partly: outside -> service/shop/web
 *       - ignore: "* -> ops/debug"
 *
 * A line is `FROM -> TO`; each side may list several names, separated by commas. The last line that matches a cell counts.
 * FROM: `NS/NAME` (a workload or a pod; `*` inside stands for anything), `outside`, `*`, or `node/NAME`.
 * TO: `NS/NAME`, `service/NS/NAME` (all its addresses), `outside` or `outside/ADDRESS`; then optionally `:PORT` (of a Service
 * its own port, or its nodePort for that alone) and `/tcp`, `/udp` or `/icmp`; of a dual-stack cluster one family alone with
 * `/tcp4`, `/tcp6` and so on, or `/ipv4` and `/ipv6`.
 *
 * Not compared, since Kubernetes leaves it open whatever policies say: a pod asking itself, directly or through a Service it
 * stands behind; and nodes (which reach their own pods), unless a line names them with `node/`.
 */
import { parseDocument } from 'yaml';
import { InvalidInputError } from '../../common/errors.js';
import { isRecord } from '../../objects/document.js';
import { type Cell, isSelf, type Reach } from './cell.js';
import type { Column, Row } from './plan.js';

export type Wish = 'allow' | 'deny' | 'partly' | 'ignore';

export interface Statement {
  readonly wish: Wish;
  readonly text: string;
  readonly from: readonly RegExp[];
  readonly to: readonly Target[];
  readonly line: number | null;
}

interface Target {
  readonly name: RegExp;
  readonly port: number | null;
  readonly protocol: string | null;
  readonly family: 4 | 6 | null;
}

export interface Reachability {
  readonly file: string;
  readonly fallback: 'allow' | 'deny' | 'ignore';
  readonly statements: readonly Statement[];
}

export interface Mismatch {
  readonly cell: Cell;
  readonly wanted: Reach;
  /** The line of the file that says so, or its default. */
  readonly because: string;
}

const REACH: Readonly<Record<Wish, Reach | null>> = {
  allow: 'yes',
  deny: 'no',
  partly: 'some',
  ignore: null,
};

const isWish = (word: string | undefined): word is Wish => word !== undefined && Object.hasOwn(REACH, word);

/** Throws InvalidInputError naming file and line. */
export function parseReachability(text: string, file: string): Reachability {
  const document = parseDocument(text);
  const syntax = document.errors[0];
  const lineAt = (offset: number | undefined) =>
    offset === undefined ? null : text.slice(0, offset).split('\n').length;
  const fail = (message: string, value: unknown, line: number | null): never => {
    throw new InvalidInputError(message, { file, value, ...(line === null ? {} : { line }) });
  };
  if (syntax !== undefined)
    return fail(syntax.message.split('\n')[0] ?? 'not YAML', undefined, lineAt(syntax.pos[0]));
  const root: unknown = document.toJS();
  if (!isRecord(root) || !Array.isArray(root['expect'])) {
    return fail('needs a list `expect`', root, 1);
  }
  const fallback = root['default'] ?? 'ignore';
  if (fallback !== 'allow' && fallback !== 'deny' && fallback !== 'ignore') {
    return fail('default must be allow, deny or ignore', fallback, null);
  }
  const statements = root['expect'].map((item: unknown, i): Statement => {
    const node = document.getIn(['expect', i], true) as { readonly range?: readonly number[] } | undefined;
    const line = lineAt(node?.range?.[0]);
    const entry = isRecord(item) ? Object.entries(item) : [];
    const [wish, words] = entry[0] ?? [];
    if (entry.length !== 1 || typeof words !== 'string' || !isWish(wish)) {
      return fail('each line must be `allow:`, `deny:`, `partly:` or `ignore:` with FROM -> TO', item, line);
    }
    const sides = words.split(/->|→/).map((side) => side.trim());
    const [from, to] = sides;
    if (sides.length !== 2 || !from || !to) return fail('must read FROM -> TO', words, line);
    return {
      wish,
      text: words,
      line,
      from: from.split(',').map((name) => pattern(name.trim())),
      to: to.split(',').map((target) => parseTarget(target.trim()) ?? fail('not a target', target, line)),
    };
  });
  return { file, fallback, statements };
}

function parseTarget(text: string): Target | null {
  const match = /^([^:]+?)(?::(\d+))?(?:\/(tcp|udp|icmp|ipv(?=[46]))([46])?)?$/i.exec(text);
  if (match === null) return null;
  const [, name = '', port, protocol, family] = match;
  return {
    name: pattern(name),
    port: port === undefined ? null : Number(port),
    protocol: protocol === undefined || protocol === 'ipv' ? null : protocol.toLowerCase(),
    family: family === undefined ? null : family === '6' ? 6 : 4,
  };
}

/** `*` stands for any characters. */
function pattern(name: string): RegExp {
  return new RegExp(`^${name.replace(/[.+?^${}()|[\]\\]/g, '\\$&').replace(/\*/g, '.*')}$`);
}

/** Compares what was measured with what the file wants. */
export function compare(
  cells: readonly Cell[],
  wanted: Reachability,
): {
  readonly checked: number;
  readonly mismatches: readonly Mismatch[];
  /** Statements that no cell matches: a name in the file is wrong. */
  readonly unused: readonly Statement[];
} {
  const used = new Set<Statement>();
  const mismatches: Mismatch[] = [];
  let checked = 0;
  for (const cell of cells) {
    const matching = wanted.statements.filter((statement) => matches(statement, cell));
    for (const statement of matching) used.add(statement);
    const last = matching.at(-1);
    const reach =
      last !== undefined ? REACH[last.wish] : cell.row.type === 'node' ? null : REACH[wanted.fallback];
    if (reach === null || isSelf(cell)) continue;
    checked++;
    if (cell.measured === reach) continue;
    const because =
      last === undefined
        ? `${wanted.file}: default: ${wanted.fallback}`
        : `${wanted.file}${last.line === null ? '' : `:${last.line}`}: ${last.wish}: ${last.text}`;
    mismatches.push({ cell, wanted: reach, because });
  }
  return { checked, mismatches, unused: wanted.statements.filter((statement) => !used.has(statement)) };
}

function matches(statement: Statement, { row, column }: Cell): boolean {
  const from = namesOfRow(row);
  const named = statement.from.some(
    (name) => (row.type !== 'node' || name.source.startsWith('^node')) && from.some((own) => name.test(own)),
  );
  if (!named) return false;
  const to = namesOfColumn(column);
  return statement.to.some(
    ({ name, port, protocol, family }) =>
      to.some((own) => name.test(own)) &&
      (port === null || portsOf(column).includes(port)) &&
      (protocol === null || protocol === column.protocol) &&
      (family === null || family === familyOf(column)),
  );
}

/** Column ids of IPv6 say so (plan.ts). */
function familyOf({ id }: Column): 4 | 6 {
  return /(tcp|udp|icmp)6$/.test(id) ? 6 : 4;
}

function namesOfRow(row: Row): readonly string[] {
  return row.type === 'node' ? [`node/${row.id}`] : [row.id, row.group];
}

function namesOfColumn({ pod, service, group, targets }: Column): readonly string[] {
  if (pod !== null) return [`${pod.namespace}/${pod.name}`, group.replace(/[: ][^/]*(\/\w+)?$/, '')];
  if (service !== null) {
    const { namespace, name } = service.service.metadata;
    return [`service/${namespace}/${name}`];
  }
  return ['outside', ...targets.map(({ address }) => `outside/${address}`)];
}

/** A Service is named by its own port, whichever frontend the cell is about; a nodePort also by itself. */
function portsOf(column: Column): readonly number[] {
  return column.service === null ? [column.port] : [column.service.port.port, column.port];
}
