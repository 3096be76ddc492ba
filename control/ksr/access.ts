/** How ksr reaches the API server: the service account of its pod, or a kubeconfig file; read again, as both are renewed. */
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { errorText, InvalidInputError } from '../common/errors.js';
import { type KubeAccess, readKubeconfig } from './kubeconfig.js';

const SERVICE_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';
/** A token lives for an hour and is renewed long before. */
const READ_AGAIN_MS = 60_000;

/**
 * What to connect with. `path`: a kubeconfig; null = the pod's service account if there is one, else $KUBECONFIG, else
 * ~/.kube/config. The returned function throws InvalidInputError; `again`: what it gave last did not do.
 */
export function kubeAccess(path: string | null): (again: boolean) => KubeAccess {
  const inCluster = path === null && existsSync(join(SERVICE_ACCOUNT, 'token'));
  const file = path ?? process.env['KUBECONFIG'] ?? join(homedir(), '.kube', 'config');
  let known: KubeAccess | null = null;
  let readAt = 0;
  return (again) => {
    if (known !== null && !again && Date.now() - readAt < READ_AGAIN_MS) return known;
    try {
      known = inCluster ? serviceAccount() : readKubeconfig(file);
      readAt = Date.now();
    } catch (error) {
      // It may be replaced just now: what worked may still do.
      if (known === null) throw error;
    }
    return known;
  };
}

function serviceAccount(): KubeAccess {
  const host = process.env['KUBERNETES_SERVICE_HOST'] ?? '';
  const port =
    process.env['KUBERNETES_SERVICE_PORT_HTTPS'] ?? process.env['KUBERNETES_SERVICE_PORT'] ?? '443';
  if (host === '') throw new InvalidInputError('is not set', { object: 'KUBERNETES_SERVICE_HOST' });
  const read = (name: string): string => {
    const path = join(SERVICE_ACCOUNT, name);
    try {
      return readFileSync(path, 'utf8').trim();
    } catch (cause) {
      throw new InvalidInputError(`cannot be read: ${errorText(cause)}`, { object: path, cause });
    }
  };
  const name = host.includes(':') ? `[${host}]` : host;
  return {
    server: `https://${name}:${port}`,
    ca: read('ca.crt'),
    token: read('token'),
    cert: null,
    key: null,
  };
}
