/** Between our words and etcd's: keys under a root, entries, ranges, transactions. */
import {
  CompareResult,
  CompareTarget,
  type ICompare,
  type IEvent,
  type IKeyValue,
  type IRequestOp,
  type ITxnRequest,
} from 'etcd3/lib/rpc.js';
import { InvalidInputError } from '../common/errors.js';
import { TransactionTooLargeError } from './errors.js';
import {
  type Condition,
  type Entry,
  MAX_OPERATIONS,
  type Operation,
  type Prefixes,
  type StoreEvent,
} from './store.js';

/** etcd's own bound of a request is 1.5 MiB; what is beside keys and values is small. */
const MAX_REQUEST_BYTES = 1_500_000;

interface KeyRange {
  readonly key: Buffer;
  readonly range_end: Buffer;
}

/** The prefixes as a list. */
export function listOf(prefixes: Prefixes): readonly string[] {
  return typeof prefixes === 'string' ? [prefixes] : prefixes;
}

export class EtcdCodec {
  /** Names the store's history; outside the keys that callers see. */
  readonly identityKey: Buffer;

  /** `root` goes before every key, so that a cluster can share an etcd with others. */
  constructor(private readonly root: string) {
    this.identityKey = Buffer.from(`${root}#pteropus-identity`, 'utf8');
  }

  key(key: string): Buffer {
    return Buffer.from(this.root + key, 'utf8');
  }

  /** All keys that start with `prefix`. */
  range(prefix: string): KeyRange {
    const start = this.key(prefix);
    // An empty key stands for the very first.
    return { key: start.length === 0 ? Buffer.of(0) : start, range_end: after(start) };
  }

  /** The one range that all keys under these prefixes lie in; others may lie between them. */
  span(prefixes: Prefixes): KeyRange {
    const sorted = listOf(prefixes)
      .map((prefix) => this.range(prefix))
      .sort((a, b) => Buffer.compare(a.key, b.key));
    const [first, last] = [sorted[0], sorted.at(-1)];
    if (first === undefined || last === undefined) throw new InvalidInputError('no prefix is named', {});
    return { key: first.key, range_end: last.range_end };
  }

  isIdentity(key: Buffer): boolean {
    return key.equals(this.identityKey);
  }

  keyOf(key: Buffer): string {
    return key.toString('utf8').slice(this.root.length);
  }

  entry(kv: IKeyValue): Entry {
    return {
      key: this.keyOf(kv.key),
      value: kv.value.toString('utf8'),
      revision: Number(kv.mod_revision),
      created: Number(kv.create_revision),
    };
  }

  event({ type, kv }: IEvent): StoreEvent {
    return type === 'Put'
      ? { type: 'put', entry: this.entry(kv) }
      : { type: 'delete', key: this.keyOf(kv.key), revision: Number(kv.mod_revision) };
  }

  /** Throws InvalidInputError, TransactionTooLargeError. */
  transaction(conditions: readonly Condition[], operations: readonly Operation[]): ITxnRequest {
    checkSize(conditions, operations);
    const seen = new Set<string>();
    const success = operations.map((operation): IRequestOp => {
      if (seen.has(operation.key))
        throw new InvalidInputError('a transaction changes a key once', { object: operation.key });
      seen.add(operation.key);
      const key = this.key(operation.key);
      if (operation.type === 'delete') return { request_delete_range: { key } };
      const value = Buffer.from(operation.value, 'utf8');
      return {
        request_put: { key, value, ...(operation.lease === undefined ? {} : { lease: operation.lease }) },
      };
    });
    const compare = conditions.map(
      ({ key, revision }): ICompare => ({
        key: this.key(key),
        target: CompareTarget.Mod,
        result: CompareResult.Equal,
        mod_revision: revision,
      }),
    );
    return { compare, success };
  }
}

function checkSize(conditions: readonly Condition[], operations: readonly Operation[]): void {
  const count = Math.max(conditions.length, operations.length);
  if (count > MAX_OPERATIONS) {
    const text = `a transaction has at most ${MAX_OPERATIONS} operations and conditions`;
    throw new TransactionTooLargeError(text, { value: count });
  }
  const bytes = operations.reduce(
    (sum, operation) => sum + operation.key.length + (operation.type === 'put' ? operation.value.length : 0),
    0,
  );
  if (bytes <= MAX_REQUEST_BYTES) return;
  throw new TransactionTooLargeError(`a transaction has at most ${MAX_REQUEST_BYTES} bytes`, {
    ...(operations[0] === undefined ? {} : { object: operations[0].key }),
    value: bytes,
  });
}

/** The first key after all that start with `prefix`. A single zero byte is etcd's word for the end of all keys. */
function after(prefix: Buffer): Buffer {
  const end = Buffer.from(prefix);
  for (let i = end.length - 1; i >= 0; i--) {
    const byte = end[i] ?? 0;
    if (byte === 255) continue;
    end[i] = byte + 1;
    return end.subarray(0, i + 1);
  }
  return Buffer.of(0);
}
