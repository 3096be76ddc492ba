/** Talks to the supervisor of a kept cluster. */
import { connect, type Socket } from 'node:net';
import { InvalidInputError, PteropusError } from '../common/errors.js';
import { onFrames, sendFrame } from '../common/frames.js';
import { keptNames, socketPath } from './paths.js';
import type { Reply } from './wire.js';

/** The supervisor's answer is no. */
export class SupervisorError extends PteropusError {}

/** There is no kept cluster of that name. */
export class NoClusterError extends InvalidInputError {}

export class SupervisorClient {
  #next = 1;
  readonly #waiting = new Map<
    number,
    { resolve: (value: unknown) => void; reject: (error: Error) => void; progress: (line: string) => void }
  >();

  private constructor(readonly socket: Socket) {
    onFrames(socket, (message) => this.#take(message as Reply));
    socket.on('error', () => undefined);
    socket.on('close', () => {
      for (const { reject } of this.#waiting.values()) {
        reject(new SupervisorError('the connection to the cluster was lost', { retryable: false }));
      }
      this.#waiting.clear();
    });
  }

  /** Throws NoClusterError when nobody answers. */
  static open(name: string): Promise<SupervisorClient> {
    return new Promise((resolve, reject) => {
      const socket = connect(socketPath(name));
      socket.once('error', (cause) => {
        const others = keptNames().filter((other) => other !== name);
        const hint =
          others.length === 0
            ? 'no such cluster is running; start one with `pteropus sim --keep`'
            : `no such cluster is running; there ${others.length === 1 ? 'is' : 'are'} ${others.join(', ')} (--name)`;
        reject(new NoClusterError(hint, { object: `cluster ${name}`, cause }));
      });
      socket.once('connect', () => resolve(new SupervisorClient(socket)));
    });
  }

  /** One request; rejects with InvalidInputError where what was asked is wrong, else with SupervisorError. */
  call(
    method: string,
    params: unknown,
    progress: (line: string) => void = () => undefined,
  ): Promise<unknown> {
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject, progress });
      sendFrame(this.socket, { id, method, params });
    });
  }

  close(): void {
    this.#waiting.clear();
    this.socket.destroy();
  }

  #take(reply: Reply): void {
    const waiting = this.#waiting.get(reply.id);
    if (waiting === undefined) return;
    if ('progress' in reply) {
      waiting.progress(reply.progress);
      return;
    }
    this.#waiting.delete(reply.id);
    if ('error' in reply) {
      const { known, message } = reply.error;
      waiting.reject(known ? new InvalidInputError(message) : new SupervisorError(message));
    } else waiting.resolve(reply.result);
  }
}
