/** A real etcd for tests: random ports on loopback, a folder of its own, TLS with client certificates if asked. */
import { type ChildProcess, spawn } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Certificates, makeCertificates } from './certificates.js';
import { program, type Requirement } from './requires.js';

export interface TestEtcd {
  /** What a client needs to reach it: the agent's and ksr's `store`. */
  readonly config: {
    readonly endpoints: readonly string[];
    readonly caFile?: string;
    readonly certFile?: string;
    readonly keyFile?: string;
  };
  /** Process id of the etcd that runs now; null while it is stopped. */
  readonly pid: number | null;
  /** Ends it (SIGKILL unless told otherwise); the data stays. Resolves when the process is gone. */
  stop(signal?: NodeJS.Signals): Promise<void>;
  /** Starts it again on the same ports and data. Resolves when it answers. */
  start(): Promise<void>;
  /** Removes the data of a stopped etcd: the next start is a new, empty store. */
  empty(): void;
  /** Keeps a copy of the data of a stopped etcd, as a snapshot does. */
  keep(): void;
  /** The data of a stopped etcd are again what was kept. */
  putBack(): void;
  /** Ends it and removes everything. */
  close(): Promise<void>;
}

export interface TestEtcdOptions {
  /** Serve TLS and ask clients for a certificate (needs openssl). */
  readonly tls?: boolean;
  /** More flags. */
  readonly args?: readonly string[];
}

/** The etcd program: the one beside envtest's kube-apiserver if there is one, else Debian's. */
export function etcdProgram(): string {
  const assets = process.env['KUBEBUILDER_ASSETS'];
  const own = assets === undefined ? null : join(assets, 'etcd');
  return own !== null && existsSync(own) ? own : 'etcd';
}

/** For testIf: null where there is an etcd. */
export function etcd(): Requirement {
  return etcdProgram() === 'etcd' ? program('etcd') : null;
}

/** Starts an empty etcd; resolves when it answers. */
export async function startEtcd(options: TestEtcdOptions = {}): Promise<TestEtcd> {
  const directory = mkdtempSync(join(tmpdir(), 'pteropus-etcd-'));
  directories.add(directory);
  const server = new EtcdServer(directory, await freePort(), await freePort(), options);
  try {
    await server.start();
    return server;
  } catch (error) {
    await server.close();
    throw error;
  }
}

/** Ended with this process, however it ends by itself. */
const running = new Set<ChildProcess>();
const directories = new Set<string>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
  for (const directory of directories) rmSync(directory, { recursive: true, force: true });
});

class EtcdServer implements TestEtcd {
  readonly config: TestEtcd['config'];
  readonly #certificates: Certificates | null;
  #child: ChildProcess | null = null;
  #log = '';

  constructor(
    private readonly directory: string,
    private readonly port: number,
    private readonly peerPort: number,
    private readonly options: TestEtcdOptions,
  ) {
    this.#certificates = options.tls === true ? makeCertificates(join(directory, 'tls')) : null;
    const endpoints = [this.#clientUrl];
    this.config =
      this.#certificates === null
        ? { endpoints }
        : {
            endpoints,
            caFile: this.#certificates.ca,
            certFile: this.#certificates.client.cert,
            keyFile: this.#certificates.client.key,
          };
  }

  get pid(): number | null {
    return this.#child?.pid ?? null;
  }

  async start(): Promise<void> {
    const peer = `http://127.0.0.1:${this.peerPort}`;
    const child = spawn(
      etcdProgram(),
      [
        ...['--name', 'test', '--data-dir', this.#data, '--logger', 'zap', '--log-outputs', 'stderr'],
        ...['--listen-client-urls', this.#clientUrl, '--advertise-client-urls', this.#clientUrl],
        ...['--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer],
        ...['--initial-cluster', `test=${peer}`],
        // One member has nobody to elect: it need not wait a second for it.
        ...['--heartbeat-interval', '20', '--election-timeout', '200'],
        ...this.#tlsArguments(),
        ...(this.options.args ?? []),
      ],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    );
    this.#child = child;
    this.#log = '';
    running.add(child);
    await new Promise<void>((resolve, reject) => {
      child.on('error', reject);
      child.on('exit', () => {
        running.delete(child);
        if (this.#child === child) this.#child = null;
        reject(new Error(`etcd ended: ${this.#log.slice(-2000)}`));
      });
      child.stderr?.on('data', (chunk: Buffer) => {
        this.#log = (this.#log + chunk.toString('utf8')).slice(-20_000);
        // 3.4 and later, with and without TLS.
        if (/serving (insecure )?client (requests|traffic)/.test(this.#log)) resolve();
      });
    });
  }

  async stop(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const child = this.#child;
    if (child === null) return;
    const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    child.kill(signal);
    await gone;
  }

  empty(): void {
    rmSync(this.#data, { recursive: true, force: true });
  }

  keep(): void {
    rmSync(`${this.#data}.kept`, { recursive: true, force: true });
    cpSync(this.#data, `${this.#data}.kept`, { recursive: true });
  }

  putBack(): void {
    this.empty();
    cpSync(`${this.#data}.kept`, this.#data, { recursive: true });
  }

  async close(): Promise<void> {
    await this.stop();
    rmSync(this.directory, { recursive: true, force: true });
    directories.delete(this.directory);
  }

  get #data(): string {
    return join(this.directory, 'data');
  }

  get #clientUrl(): string {
    return `${this.options.tls === true ? 'https' : 'http'}://127.0.0.1:${this.port}`;
  }

  #tlsArguments(): readonly string[] {
    if (this.#certificates === null) return [];
    const { ca, server } = this.#certificates;
    return [
      ...['--cert-file', server.cert, '--key-file', server.key],
      ...['--client-cert-auth', '--trusted-ca-file', ca],
    ];
  }
}

/** A TCP port of the loopback nobody has now. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.on('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  await new Promise<void>((resolve) => server.close(() => resolve()));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}
