/** Keeps a VPP running: takes over the one that is there, starts another one when it ends or is stuck. */
import { setTimeout as wait } from 'node:timers/promises';
import { errorText } from '../common/errors.js';
import type { VppProcess } from './vpp-process.js';

export interface SupervisorSpec {
  /** Takes over or starts. */
  readonly obtain: () => Promise<VppProcess>;
  /** VPP ends with us. */
  readonly endsWithUs: boolean;
  readonly log: (line: string) => void;
  /** Instead of the pauses below, for tests. */
  readonly pauses?: Partial<typeof PAUSES>;
}

/** Milliseconds. After `steady` a VPP is taken for sound, and the next one is started without a pause. */
const PAUSES = { first: 50, most: 5000, steady: 10_000 };

export class Supervisor {
  #current: VppProcess | null = null;
  #closing = false;
  readonly #stop = new AbortController();
  #running: Promise<void> = Promise.resolve();
  /** How often another VPP was started because one ended. */
  restarts = 0;

  private constructor(private readonly spec: SupervisorSpec) {}

  /** Resolves when the first VPP answers. Throws what `obtain` throws: a configuration VPP does not take is not tried twice. */
  static async start(spec: SupervisorSpec): Promise<Supervisor> {
    const supervisor = new Supervisor(spec);
    const first = await spec.obtain();
    supervisor.#follow(first);
    supervisor.#running = supervisor.#run(first);
    return supervisor;
  }

  /** null between two of them. */
  get vpp(): VppProcess | null {
    return this.#current;
  }

  async close(): Promise<void> {
    this.#closing = true;
    this.#stop.abort();
    const vpp = this.#current;
    if (vpp !== null) await (this.spec.endsWithUs ? vpp.stop() : vpp.leave());
    await this.#running;
  }

  #follow(vpp: VppProcess): void {
    this.#current = vpp;
    const how = vpp.adopted ? 'goes on' : 'started';
    this.spec.log(`VPP ${vpp.version} ${how}, process ${vpp.record.pid}`);
    if (!vpp.current) {
      this.spec.log('it was started with another configuration; --restart starts it with the current one');
    }
  }

  async #run(first: VppProcess): Promise<void> {
    const { first: least, most, steady } = { ...PAUSES, ...this.spec.pauses };
    let pause = least;
    let vpp = first;
    for (let since = performance.now(); ; since = performance.now()) {
      const reason = await vpp.ended;
      this.#current = null;
      if (this.#closing) return;
      this.spec.log(`VPP is gone: ${reason}`);
      if (performance.now() - since > steady) pause = least;
      else {
        await this.#pause(pause);
        pause = Math.min(pause * 2, most);
      }
      const next = await this.#again(() => this.#pause(pause));
      if (next === null) return;
      vpp = next;
    }
  }

  /** Tries until one runs; null when we are asked to end. */
  async #again(rest: () => Promise<void>): Promise<VppProcess | null> {
    while (!this.#closing) {
      try {
        const vpp = await this.spec.obtain();
        this.restarts++;
        this.#follow(vpp);
        if (!this.#closing) return vpp;
        await (this.spec.endsWithUs ? vpp.stop() : vpp.leave());
      } catch (error) {
        this.spec.log(errorText(error));
        await rest();
      }
    }
    return null;
  }

  async #pause(milliseconds: number): Promise<void> {
    await wait(milliseconds, undefined, { signal: this.#stop.signal }).catch(() => undefined);
  }
}
