/**
 * What stands beside the nodes: an API server with its etcd (our own, or one that a kubeconfig names), the network's own
 * etcd, and ksr between the two.
 */

import { join } from 'node:path';
import { errorText } from '../../common/errors.js';
import { type ClusterConfig, rangesOf } from '../../compiler/input.js';
import { NotRunningError } from '../afxdp/not-running.js';
import { ApiClient } from './api.js';
import { ApiServer } from './apiserver.js';
import { installClusterPolicies } from './crd.js';
import { Etcd } from './etcd.js';
import { Ksr } from './ksr.js';

export interface ControlPlaneSpec {
  /** Everything lies in folders of this one. */
  readonly runDir: string;
  readonly config: ClusterConfig;
  /** Speak to this API server instead of starting one. */
  readonly kubeconfig: string | null;
  /** For tests that kill: see KsrSpec. */
  readonly leaseSeconds?: number;
  readonly mostBackoffMs?: number;
  readonly progress: (line: string) => void;
}

export class ControlPlane {
  /** The network's store. */
  readonly etcd: Etcd;
  readonly ksr: Ksr;
  /** Our own API server and its store; null where another one is used. */
  readonly own: { readonly etcd: Etcd; readonly server: ApiServer } | null;
  #api: ApiClient | null = null;

  /** Makes nothing yet. Throws MissingProgramError. */
  constructor(private readonly spec: ControlPlaneSpec) {
    const { runDir, config, kubeconfig, leaseSeconds, mostBackoffMs, progress } = spec;
    this.etcd = new Etcd({ name: 'etcd', dir: join(runDir, 'etcd'), mostBackoffMs, progress });
    this.own = kubeconfig === null ? ownServer(runDir, config, progress) : null;
    this.ksr = new Ksr({
      kubeconfig: this.kubeconfig,
      endpoint: this.etcd.endpoint,
      dir: join(runDir, 'ksr'),
      leaseSeconds,
      mostBackoffMs,
      progress,
    });
  }

  /** For people and their kubectl. */
  get kubeconfig(): string {
    return this.spec.kubeconfig ?? this.own?.server.kubeconfig ?? '';
  }

  /** Once started. */
  get api(): ApiClient {
    if (this.#api === null) throw new NotRunningError('has not started', { object: 'control plane' });
    return this.#api;
  }

  /** Throws NodeProcessError, ApiError. */
  async start(): Promise<void> {
    const started = performance.now();
    await Promise.all([this.etcd.start(), this.own?.etcd.start().then(() => this.own?.server.start())]);
    this.#api ??= await ApiClient.fromKubeconfig(this.kubeconfig);
    await installClusterPolicies(this.api);
    const { gitVersion } = (await this.api.get('/version')) as { readonly gitVersion?: string };
    const millis = performance.now() - started;
    this.spec.progress(`kube-apiserver ${gitVersion ?? ''} answers (${(millis / 1000).toFixed(1)} s)`);
    // Agents are ready when everything the API server has is reflected.
    await this.ksr.start();
  }

  async stop(): Promise<void> {
    this.#api?.close();
    const results = await Promise.allSettled([
      this.ksr.stop(),
      this.own?.server.stop(),
      this.own?.etcd.stop(),
      this.etcd.stop(),
    ]);
    for (const result of results) {
      if (result.status === 'rejected') this.spec.progress(errorText(result.reason));
    }
  }
}

function ownServer(runDir: string, config: ClusterConfig, progress: (line: string) => void) {
  const etcd = new Etcd({ name: 'etcd of kube-apiserver', dir: join(runDir, 'etcd-apiserver'), progress });
  const server = new ApiServer({
    dir: join(runDir, 'apiserver'),
    etcd: etcd.endpoint,
    serviceCIDRs: rangesOf(config)
      .map(({ serviceCIDR }) => serviceCIDR)
      .join(','),
    progress,
  });
  return { etcd, server };
}
