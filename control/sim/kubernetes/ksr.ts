/** ksr as a process of its own: it reflects the API server's objects into the network's store. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { OWN_NETNS } from '../../agent/agent-config.js';
import { NodeProcess } from '../afxdp/process.js';

const PTEROPUS = fileURLToPath(new URL('../../../../../bin/pteropus.mjs', import.meta.url));

export interface KsrSpec {
  readonly kubeconfig: string;
  /** The store's etcd. */
  readonly endpoint: string;
  readonly dir: string;
  /** How long a ksr that was killed keeps the next one from leading, seconds (ksr's own default). */
  readonly leaseSeconds?: number | undefined;
  /** Longest pause before it is started again, milliseconds (default 2000). */
  readonly mostBackoffMs?: number | undefined;
  readonly progress: (line: string) => void;
}

export class Ksr {
  readonly process: NodeProcess;

  constructor(private readonly spec: KsrSpec) {
    const { dir, mostBackoffMs, progress } = spec;
    this.process = new NodeProcess({
      name: 'ksr',
      netns: OWN_NETNS,
      argv: [process.execPath, PTEROPUS, 'ksr', '--config', this.#file],
      log: join(dir, 'ksr.log'),
      saysReady: true,
      mostBackoffMs,
      onDeath: (reason) => progress(`ksr died (${reason}), starting it again`),
    });
  }

  /** Resolves when the store holds what the API server has. Throws NodeProcessError. */
  async start(): Promise<void> {
    const { kubeconfig, endpoint, dir, leaseSeconds } = this.spec;
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    const lease = leaseSeconds === undefined ? {} : { leaseSeconds };
    // A socket of its own: several simulated clusters may run side by side.
    const rest = join(dir, 'rest.sock');
    const config = { kubeconfig, store: { endpoints: [endpoint] }, rest, ...lease, dieWithStdin: true };
    writeFileSync(this.#file, `${JSON.stringify(config, null, 2)}\n`, { mode: 0o600 });
    await this.process.start();
  }

  async stop(): Promise<void> {
    await this.process.stop();
  }

  get #file(): string {
    return join(this.spec.dir, 'ksr.json');
  }
}
