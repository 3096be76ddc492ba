/** How ksr reaches the API server: the service account of its pod, or a kubeconfig file; read again, as both are renewed. */
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { InvalidInputError } from '../common/errors.js';
import { type KubeAccess, readKubeconfig, readServiceAccount } from './kubeconfig.js';

const SERVICE_ACCOUNT_TOKEN = '/var/run/secrets/kubernetes.io/serviceaccount/token';
/** A token lives for an hour and is renewed long before. */
const READ_AGAIN_MS = 60_000;

/**
 * What to connect with. `path`: a kubeconfig; null = the pod's service account if there is one, else $KUBECONFIG, else
 * ~/.kube/config. Throws InvalidInputError for a path where there is nothing: that is a slip, while what is there may yet be renewed. The
 * returned function rejects with InvalidInputError; `again`: what it gave last did not do.
 */
export function kubeAccess(path: string | null): (again: boolean) => Promise<KubeAccess> {
  if (path !== null && !existsSync(path))
    throw new InvalidInputError('no such file', { object: 'kubeconfig', value: path });
  const inCluster = path === null && existsSync(SERVICE_ACCOUNT_TOKEN);
  const file = path ?? process.env['KUBECONFIG'] ?? join(homedir(), '.kube', 'config');
  let known: KubeAccess | null = null;
  let readAt = 0;
  let reading: Promise<KubeAccess> | null = null;
  const read = async (): Promise<KubeAccess> => {
    try {
      known = await (inCluster ? readServiceAccount() : readKubeconfig(file));
      readAt = performance.now();
    } catch (error) {
      // It may be replaced just now: what worked may still do.
      if (known === null) throw error;
    } finally {
      reading = null;
    }
    return known;
  };
  return async (again) => {
    if (known !== null && !again && performance.now() - readAt < READ_AGAIN_MS) return known;
    // Who asks meanwhile waits for the same reading: it may start a program.
    reading ??= read();
    return await reading;
  };
}
