/** The pods of a test's cluster by name, in the namespace `default`. */
import type { Workload } from '../../../control/sim/afxdp/workload.js';
import { ManifestReader } from '../../../control/sim/manifest-set.js';
import { type Manifest, manifestText } from '../../e2e/support/manifests.js';
import type { TestCluster } from './cluster.js';

export class Pods {
  readonly #reader = new ManifestReader();

  constructor(private readonly running: TestCluster) {}

  /** Makes the cluster what the manifests say. */
  async bring(manifests: readonly Manifest[]): Promise<void> {
    const text = manifestText(manifests);
    await this.running.cluster.bring(this.#reader.parse([{ file: 'test', text }]));
  }

  workload(name: string): Workload {
    return this.running.driver.workload({ type: 'pod', pod: { namespace: 'default', name } });
  }

  /** Empty as long as it has none. */
  ip(name: string): string {
    const found = this.running.cluster.state.pods.find(({ pod: { metadata } }) => metadata.name === name);
    return found?.pod.status.podIPs[0] ?? '';
  }
}
