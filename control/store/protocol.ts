/** What store client and server say to each other, as frames (control/common/frames.ts) on a unix socket. */
import type { Condition, Entry, LeaseId, Operation, Prefixes, Snapshot, StoreEvent } from './store.js';

/** The first message of every connection, from the server. */
export interface Hello {
  readonly type: 'hello';
  readonly identity: string;
}

export type Request =
  | { readonly op: 'get'; readonly key: string }
  | { readonly op: 'list'; readonly prefixes: Prefixes }
  | {
      readonly op: 'transact';
      readonly conditions: readonly Condition[];
      readonly operations: readonly Operation[];
    }
  | { readonly op: 'put'; readonly key: string; readonly value: string }
  | { readonly op: 'delete'; readonly key: string }
  | {
      readonly op: 'watch';
      readonly watch: number;
      readonly prefixes: Prefixes;
      readonly fromRevision: number;
    }
  | { readonly op: 'unwatch'; readonly watch: number }
  | { readonly op: 'lease'; readonly ttlSeconds: number }
  | { readonly op: 'keep-lease'; readonly lease: LeaseId }
  | { readonly op: 'revoke'; readonly lease: LeaseId };

export interface RequestMessage {
  readonly id: number;
  readonly request: Request;
}

/** What each operation answers. */
export interface Answers {
  get: Entry | null;
  list: Snapshot;
  transact: { readonly ok: boolean; readonly revision: number };
  put: number;
  delete: boolean;
  watch: null;
  unwatch: null;
  lease: LeaseId;
  'keep-lease': null;
  revoke: null;
}

export interface ErrorText {
  readonly name: string;
  readonly message: string;
  readonly retryable: boolean;
}

export type ServerMessage =
  | Hello
  | { readonly type: 'answer'; readonly id: number; readonly result: unknown }
  | { readonly type: 'error'; readonly id: number; readonly error: ErrorText }
  | {
      readonly type: 'events';
      readonly watch: number;
      readonly events: readonly StoreEvent[];
      readonly revision: number;
    }
  | { readonly type: 'lost'; readonly watch: number; readonly reason: string }
  | { readonly type: 'lease-lost'; readonly lease: LeaseId };
