/**
 * Tells people of objects that are not honoured where they look: an Event on the object (events.k8s.io/v1). One event for one
 * problem of one object, named after both, so that a restart or another leader does not tell it twice.
 */
import { createHash } from 'node:crypto';
import { errorText } from '../common/errors.js';
import type { KubeApi } from './api.js';
import type { ObjectReference } from './reduce.js';
import type { ObjectProblems } from './wanted.js';

/** API servers forget events after an hour. */
const AGAIN_MS = 3_600_000;
/** Events waiting to be sent; what does not fit is told by metrics and REST all the same. */
const MOST_WAITING = 1000;
const NOTE_CHARACTERS = 1024;
/** Objects come and go, and each has names of its own: beyond this, what was told more than an hour ago is forgotten. */
const MOST_TOLD = 10_000;

export class ProblemReporter {
  /** Event name -> when it was sent. */
  readonly #told = new Map<string, number>();
  #waiting: { readonly path: string; readonly name: string; readonly event: object }[] = [];
  #sending = false;

  constructor(
    private readonly api: KubeApi,
    private readonly identity: string,
    private readonly log: (line: string) => void,
  ) {}

  /** All problems there are now; those that were told already are not told again for an hour. */
  report(all: readonly ObjectProblems[]): void {
    const now = performance.now();
    if (this.#told.size > MOST_TOLD) {
      for (const [name, at] of this.#told) if (now - at >= AGAIN_MS) this.#told.delete(name);
    }
    for (const { reference, problems } of all) {
      for (const problem of problems) {
        const name = eventName(reference, problem);
        if (now - (this.#told.get(name) ?? Number.NEGATIVE_INFINITY) < AGAIN_MS) continue;
        this.#told.set(name, now);
        this.log(`${describe(reference)}: ${problem}`);
        if (this.#waiting.length >= MOST_WAITING) continue;
        const namespace = reference.namespace ?? 'default';
        this.#waiting.push({
          path: `/apis/events.k8s.io/v1/namespaces/${namespace}/events`,
          name,
          event: eventOf(reference, problem, name, namespace, this.identity),
        });
      }
    }
    if (!this.#sending) void this.#send();
  }

  /** We lead no more: nothing that waits is sent. */
  clear(): void {
    this.#waiting = [];
  }

  async #send(): Promise<void> {
    this.#sending = true;
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      try {
        await this.api.create(next.path, next.event);
      } catch (error) {
        // Not worth more: what it says is in the log, the metrics and REST.
        this.log(`the event ${next.name} cannot be sent: ${errorText(error)}`);
      }
    }
    this.#sending = false;
  }
}

function describe({ kind, namespace, name }: ObjectReference): string {
  return `${kind} ${namespace === null ? name : `${namespace}/${name}`}`;
}

function eventName(reference: ObjectReference, problem: string): string {
  const { kind, namespace, name, uid } = reference;
  const text = JSON.stringify([kind, namespace, name, uid, problem]);
  const digest = createHash('sha256').update(text).digest('hex').slice(0, 16);
  return `${name.slice(0, 200)}.${digest}`;
}

function eventOf(
  { apiVersion, kind, namespace, name, uid }: ObjectReference,
  problem: string,
  eventNamed: string,
  eventNamespace: string,
  identity: string,
): object {
  return {
    apiVersion: 'events.k8s.io/v1',
    kind: 'Event',
    metadata: { name: eventNamed, namespace: eventNamespace },
    // MicroTime has six digits.
    eventTime: new Date().toISOString().replace('Z', '000Z'),
    reportingController: 'pteropus.io/ksr',
    reportingInstance: identity.slice(0, 128),
    action: 'Reflect',
    reason: 'NotHonoured',
    type: 'Warning',
    regarding: {
      ...{ apiVersion, kind, name },
      ...(namespace === null ? {} : { namespace }),
      ...(uid === null ? {} : { uid }),
    },
    note: problem.slice(0, NOTE_CHARACTERS),
  };
}
