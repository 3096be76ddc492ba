/**
 * An etcd of one member for one cluster on this machine. It listens on unix sockets in a folder of mode 0700, so that nobody
 * else on the machine reaches it, from any network namespace, without certificates.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Etcd3 } from 'etcd3';
import { OWN_NETNS } from '../../agent/agent-config.js';
import { NodeProcess, NodeProcessError } from '../afxdp/process.js';
import { programPath } from './programs.js';

export interface EtcdSpec {
  /** For messages: `etcd of pteropus`. */
  readonly name: string;
  /** Its folder: data, sockets, log. Kept from one start to the next. */
  readonly dir: string;
  /** Longest pause before it is started again, milliseconds (default 2000). */
  readonly mostBackoffMs?: number | undefined;
  readonly progress: (line: string) => void;
}

/**
 * etcd 3.4 wants host:port even in unix URLs, takes it as the socket's file name, and takes that relative to its working
 * folder.
 */
const SOCKET = 'localhost:2379';
const PEER = 'localhost:2380';
const READY_MS = 20_000;
const POLL_MS = 30;

export class Etcd {
  readonly process: NodeProcess;
  /** For clients: `unix:///…`. */
  readonly endpoint: string;

  /** Throws MissingProgramError. */
  constructor(private readonly spec: EtcdSpec) {
    const { name, dir, mostBackoffMs, progress } = spec;
    this.endpoint = `unix://${join(dir, SOCKET)}`;
    this.process = new NodeProcess({
      name,
      netns: OWN_NETNS,
      argv: etcdCommand(programPath('etcd'), dir),
      log: join(dir, 'etcd.log'),
      saysReady: false,
      mostBackoffMs,
      onDeath: (reason) => progress(`${name} died (${reason}), starting it again`),
    });
  }

  /** Resolves when it answers. Throws NodeProcessError. */
  async start(): Promise<void> {
    mkdirSync(this.spec.dir, { recursive: true, mode: 0o700 });
    await this.process.start();
    await this.ready();
  }

  /** Resolves when it answers, also after it was started again. Throws NodeProcessError. */
  async ready(): Promise<void> {
    const deadline = Date.now() + READY_MS;
    for (;;) {
      const client = new Etcd3({ hosts: this.endpoint });
      try {
        await client.get('ready').string();
        return;
      } catch (cause) {
        if (Date.now() > deadline) {
          throw new NodeProcessError(`does not answer after ${READY_MS} ms`, {
            object: this.spec.name,
            cause,
          });
        }
      } finally {
        client.close();
      }
      await new Promise((done) => setTimeout(done, POLL_MS));
    }
  }

  async stop(): Promise<void> {
    await this.process.stop();
  }
}

/** The program ends with us (`--pdeathsig`), whatever ends us. */
export function endsWithUs(dir: string, argv: readonly string[]): readonly string[] {
  return ['env', '-C', dir, 'setpriv', '--pdeathsig', 'KILL', '--', ...argv];
}

/** Sockets that a killed etcd left would be in its way. */
const START = `rm -f ${SOCKET} ${PEER} && exec "$0" "$@"`;

function etcdCommand(program: string, dir: string): readonly string[] {
  return endsWithUs(dir, [
    ...['sh', '-c', START, program],
    ...['--data-dir', 'data', '--name', 'default', '--logger', 'zap', '--log-level', 'warn'],
    ...['--listen-client-urls', `unix://${SOCKET}`, '--advertise-client-urls', `unix://${SOCKET}`],
    ...['--listen-peer-urls', `unix://${PEER}`, '--initial-advertise-peer-urls', `http://${PEER}`],
    ...['--initial-cluster', `default=http://${PEER}`],
    // One member has nobody to elect: it need not wait a second for it.
    ...['--heartbeat-interval', '20', '--election-timeout', '200'],
    // As kubeadm has it: history is dropped by time, or the disk fills.
    ...['--auto-compaction-mode', 'periodic', '--auto-compaction-retention', '10m'],
    ...['--quota-backend-bytes', String(2 << 30)],
  ]);
}
