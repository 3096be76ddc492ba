/**
 * A VPP for tests of the engine: holds objects, gives them numbers, and is strict about order: an object is refused without what it
 * needs, what others need is not removed, and no two hold the same claim. Can be told to fail.
 */
import type { VppApi } from '../api/api.js';
import { VppLostError, VppRetvalError } from '../api/errors.js';
import type { Descriptor, ObjectKey, VppObject } from './types.js';

export interface FakeAction {
  readonly type: 'create' | 'update' | 'remove';
  readonly key: ObjectKey;
}

export class FakeVpp {
  readonly objects = new Map<ObjectKey, { object: VppObject; handle: number }>();
  /** Everything that was asked of it, in order. */
  readonly actions: FakeAction[] = [];
  /** Asked before each action; an error is what VPP says to it. `half`: it does it all the same. */
  fail: (action: FakeAction) => { readonly error: Error; readonly half?: boolean } | null = () => null;
  readonly lacking = new Set<string>();
  readonly api: VppApi;
  #handles = 100;
  #lose: (reason: Error) => void = () => undefined;

  constructor() {
    this.api = {
      version: 'fake',
      pid: 4711,
      has: (message) => !this.lacking.has(message),
      request: () => Promise.reject(new VppRetvalError('request', -1)),
      dump: () => Promise.resolve([]),
      cli: () => Promise.resolve(`Time now ${(Date.now() - 1_700_000_000_000) / 1000}, `),
      onEvent: () => () => undefined,
      lost: new Promise((resolve) => {
        this.#lose = resolve;
      }),
      close: () => Promise.resolve(),
    };
  }

  /** The connection ends with this action. */
  loseAt(key: ObjectKey): void {
    const error = new VppLostError('gone');
    let gone = false;
    this.fail = (action) => {
      gone ||= action.key === key;
      if (gone) this.#lose(error);
      return gone ? { error } : null;
    };
  }

  descriptor(kind: string, options: { readonly update?: boolean } = {}): Descriptor {
    return {
      kind,
      messages: [`${kind}_add`, `${kind}_dump`],
      read: async ({ handles }) => {
        const found = [...this.objects.values()].filter(({ object }) => object.kind === kind);
        for (const { object, handle } of found) handles.set(object.key, handle);
        return found.map(({ object }) => ({ ...object, notes: undefined }));
      },
      create: async ({ handles }, object) => {
        await this.#act('create', object, () => {
          const handle = this.#handles++;
          this.#put(object, handle);
          handles.set(object.key, handle);
        });
      },
      ...(options.update === true
        ? {
            update: async ({ handles }, _old: VppObject, object: VppObject) => {
              await this.#act('update', object, () => this.#put(object, handles.get(object.key)));
            },
          }
        : {}),
      remove: async ({ handles }, object) => {
        await this.#act('remove', object, () => {
          if (handles.get(object.key) !== this.objects.get(object.key)?.handle) {
            throw new Error(`${object.key} has another number`);
          }
          for (const { object: other } of this.objects.values()) {
            if (other.needs.includes(object.key)) throw new Error(`${other.key} needs ${object.key}`);
          }
          this.objects.delete(object.key);
        });
      },
    };
  }

  async #act(type: FakeAction['type'], object: VppObject, work: () => void): Promise<void> {
    const action = { type, key: object.key };
    this.actions.push(action);
    const failure = this.fail(action);
    if (failure !== null) {
      if (failure.half === true) work();
      throw failure.error;
    }
    const exists = this.objects.has(object.key);
    if (exists !== (type !== 'create')) throw new Error(`cannot ${type} ${object.key}`);
    work();
  }

  #put(object: VppObject, handle: number): void {
    for (const need of object.needs)
      if (!this.objects.has(need)) throw new Error(`${object.key}: no ${need}`);
    for (const claim of object.claims ?? []) {
      for (const { object: other } of this.objects.values()) {
        if (other.key !== object.key && other.claims?.includes(claim) === true) {
          throw new Error(`${object.key}: ${other.key} has ${claim}`);
        }
      }
    }
    this.objects.set(object.key, { object, handle });
  }
}
