/** A real kube-apiserver over a real etcd for one test file: on loopback, in a folder of its own, gone at the end. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ApiClient } from '../../../control/sim/kubernetes/api.js';
import { ApiServer, type ApiUser } from '../../../control/sim/kubernetes/apiserver.js';
import { Etcd } from '../../../control/sim/kubernetes/etcd.js';
import { findProgram } from '../../../control/sim/kubernetes/programs.js';
import type { Requirement } from '../requires.js';

export interface TestKubernetesOptions {
  /** Who may speak to it beside the administrator: `{name: 'system:serviceaccount:ns:ksr', groups: [...]}`. */
  readonly users?: readonly ApiUser[];
  readonly serviceCIDRs?: string;
}

export interface TestKubernetes {
  /** Kubeconfig of the administrator, who may do everything. */
  readonly kubeconfig: string;
  /** Kubeconfig of one of `users`: what RBAC gives them counts. */
  kubeconfigOf(user: string): string;
  /** Speaks as the administrator. */
  readonly api: ApiClient;
  readonly server: ApiServer;
  /** The API server's own store. */
  readonly etcd: Etcd;
  /** Ends both and removes everything. */
  close(): Promise<void>;
}

/** For testIf: null where a real API server can be started. */
export function kubernetes(): Requirement {
  if (process.platform !== 'linux') return 'needs Linux';
  const missing = (['etcd', 'kube-apiserver'] as const).filter((name) => findProgram(name) === null);
  return missing.length === 0 ? null : `needs ${missing.join(' and ')}`;
}

/** For testIf: null where containernetworking's cnitool was built. */
export function cnitool(): Requirement {
  return findProgram('cnitool') === null ? 'needs cnitool' : null;
}

/** For testIf: null where there is a helm. */
export function helm(): Requirement {
  return findProgram('helm') === null ? 'needs helm' : null;
}

/** Starts both (some 5 s); resolves when the API server is ready. */
export async function startKubernetes(options: TestKubernetesOptions = {}): Promise<TestKubernetes> {
  const dir = mkdtempSync(join(tmpdir(), 'pteropus-kubernetes-'));
  const progress = (line: string) => process.stderr.write(`${line}\n`);
  const etcd = new Etcd({ name: 'etcd of kube-apiserver', dir: join(dir, 'etcd'), progress });
  const server = new ApiServer({
    dir: join(dir, 'apiserver'),
    etcd: etcd.endpoint,
    serviceCIDRs: options.serviceCIDRs ?? '10.96.0.0/12',
    users: options.users ?? [],
    progress,
  });
  let api: ApiClient | null = null;
  const close = async () => {
    api?.close();
    await server.stop();
    await etcd.stop();
    rmSync(dir, { recursive: true, force: true });
  };
  try {
    await etcd.start();
    await server.start();
    api = await ApiClient.fromKubeconfig(server.kubeconfig);
  } catch (error) {
    await close();
    throw error;
  }
  const { kubeconfig } = server;
  return { kubeconfig, kubeconfigOf: (user) => server.kubeconfigOf(user), api, server, etcd, close };
}
