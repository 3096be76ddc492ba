/**
 * A real kube-apiserver on loopback: its own serving certificate, static tokens for people and programs, RBAC. What a
 * controller manager or a kubelet would do is not here (see controllers/).
 */
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { OWN_NETNS } from '../../agent/agent-config.js';
import { errorText } from '../../common/errors.js';
import { NodeProcess, NodeProcessError } from '../afxdp/process.js';
import { ApiClient } from './api.js';
import { endsWithUs } from './etcd.js';
import { programPath } from './programs.js';

/** Somebody who may speak to the API, by a token. */
export interface ApiUser {
  /** `system:serviceaccount:NS:NAME` for a service account without its controller. */
  readonly name: string;
  readonly groups: readonly string[];
}

export interface ApiServerSpec {
  readonly dir: string;
  /** etcd's client URL. */
  readonly etcd: string;
  /** As the flag takes it: one range, or one of each family with a comma between. */
  readonly serviceCIDRs: string;
  /** Beside `admin`, who may do everything. */
  readonly users?: readonly ApiUser[];
  readonly progress: (line: string) => void;
}

const ADMIN: ApiUser = { name: 'admin', groups: ['system:masters'] };
const READY_MS = 60_000;
const POLL_MS = 50;

export class ApiServer {
  readonly #tokens = new Map<string, string>();
  #process: NodeProcess | null = null;
  #port = 0;

  constructor(private readonly spec: ApiServerSpec) {
    for (const { name } of [ADMIN, ...(spec.users ?? [])])
      this.#tokens.set(name, randomBytes(24).toString('hex'));
  }

  get process(): NodeProcess {
    if (this.#process === null) throw new NodeProcessError('was not started', { object: 'kube-apiserver' });
    return this.#process;
  }

  /** Path of the administrator's kubeconfig, for kubectl too. */
  get kubeconfig(): string {
    return this.kubeconfigOf(ADMIN.name);
  }

  get url(): string {
    return `https://127.0.0.1:${this.#port}`;
  }

  /** Path of a user's kubeconfig. */
  kubeconfigOf(user: string): string {
    return join(this.spec.dir, `${user.replaceAll(/[^\w.-]/g, '_')}.kubeconfig`);
  }

  /** Resolves when it is ready to serve. Throws MissingProgramError, NodeProcessError. */
  async start(): Promise<void> {
    const { dir, progress } = this.spec;
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    this.#port = await freePort();
    this.#writeSecrets();
    this.#process = new NodeProcess({
      name: 'kube-apiserver',
      netns: OWN_NETNS,
      argv: endsWithUs(dir, [programPath('kube-apiserver'), ...this.#flags()]),
      log: join(dir, 'kube-apiserver.log'),
      saysReady: false,
      onDeath: (reason) => progress(`kube-apiserver died (${reason}), starting it again`),
    });
    await this.#process.start();
    await this.ready();
  }

  /** Resolves when it is ready to serve, also after it was started again. Throws NodeProcessError. */
  async ready(): Promise<void> {
    const deadline = Date.now() + READY_MS;
    for (;;) {
      try {
        this.#writeKubeconfigs();
        const api = await ApiClient.fromKubeconfig(this.kubeconfig);
        try {
          await api.text('/readyz');
          return;
        } finally {
          api.close();
        }
      } catch (cause) {
        if (Date.now() > deadline) {
          const text = `not ready after ${READY_MS} ms: ${errorText(cause)}`;
          throw new NodeProcessError(text, { object: 'kube-apiserver', cause });
        }
      }
      await new Promise((done) => setTimeout(done, POLL_MS));
    }
  }

  async stop(): Promise<void> {
    await this.#process?.stop();
  }

  #writeSecrets(): void {
    const { dir, users = [] } = this.spec;
    const rows = [ADMIN, ...users].map(
      ({ name, groups }) => `${this.#tokens.get(name)},${name},${name},"${groups.join(',')}"`,
    );
    writeFileSync(join(dir, 'tokens.csv'), `${rows.join('\n')}\n`, { mode: 0o600 });
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const pem = privateKey.export({ type: 'sec1', format: 'pem' });
    writeFileSync(join(dir, 'service-accounts.key'), pem, { mode: 0o600 });
  }

  /** The certificate is there only once the server has made it. */
  #writeKubeconfigs(): void {
    const { dir } = this.spec;
    const authority = readFileSync(join(dir, 'certificates/apiserver.crt')).toString('base64');
    for (const [user, token] of this.#tokens) {
      const config = {
        apiVersion: 'v1',
        kind: 'Config',
        clusters: [{ name: 'sim', cluster: { server: this.url, 'certificate-authority-data': authority } }],
        users: [{ name: user, user: { token } }],
        contexts: [{ name: 'sim', context: { cluster: 'sim', user } }],
        'current-context': 'sim',
      };
      writeFileSync(this.kubeconfigOf(user), `${JSON.stringify(config, null, 2)}\n`, { mode: 0o600 });
    }
  }

  #flags(): readonly string[] {
    const flags: Readonly<Record<string, string>> = {
      'etcd-servers': this.spec.etcd,
      'bind-address': '127.0.0.1',
      'secure-port': String(this.#port),
      'cert-dir': 'certificates',
      'token-auth-file': 'tokens.csv',
      'authorization-mode': 'RBAC',
      'service-cluster-ip-range': this.spec.serviceCIDRs,
      'service-account-issuer': 'https://kubernetes.default.svc',
      'service-account-key-file': 'service-accounts.key',
      'service-account-signing-key-file': 'service-accounts.key',
      // Nobody makes a default service account for each namespace here.
      'disable-admission-plugins': 'ServiceAccount',
      // A server on loopback is no endpoint a pod could reach.
      'endpoint-reconciler-type': 'none',
      'allow-privileged': 'true',
      profiling: 'false',
    };
    return Object.entries(flags).map(([name, value]) => `--${name}=${value}`);
  }
}

/** A TCP port of 127.0.0.1 that nobody listens on. */
function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}
