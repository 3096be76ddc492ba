/** Asks a REST interface as its configuration says it listens: for probes where a kubelet could not ask itself. */
import { readFileSync } from 'node:fs';
import { request as plainRequest } from 'node:http';
import { request as tlsRequest } from 'node:https';
import type { RestConfig } from '../agent/http/rest-config.js';
import { errorText, PteropusError } from '../common/errors.js';

const TIMEOUT_MS = 5000;

/** Nobody answers. */
export class ProbeError extends PteropusError {}

export interface ProbeAnswer {
  readonly status: number;
  readonly text: string;
}

/**
 * Its own certificate serves as the client's: the authority that clients must be from has signed it. Throws ProbeError.
 */
export function probe({ listen, tls }: RestConfig, path: string): Promise<ProbeAnswer> {
  const where = 'path' in listen ? { socketPath: listen.path } : { host: listen.host, port: listen.port };
  // Asked on this machine, by address: what matters is that it is alive, not who it says it is.
  const certificates =
    tls === null
      ? null
      : { cert: readFileSync(tls.certFile), key: readFileSync(tls.keyFile), rejectUnauthorized: false };
  const headers = 'path' in listen ? { host: 'localhost' } : {};
  const options = { ...where, path, headers, agent: false, timeout: TIMEOUT_MS } as const;
  return new Promise((resolve, reject) => {
    const fail = (cause: unknown): void =>
      reject(
        new ProbeError(`does not answer: ${errorText(cause)}`, { object: path, cause, retryable: true }),
      );
    const call = certificates === null ? plainRequest(options) : tlsRequest({ ...options, ...certificates });
    call.on('timeout', () => call.destroy(new Error(`silent for ${TIMEOUT_MS} ms`)));
    call.on('error', fail);
    call.on('response', (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('error', fail);
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text: text.trim() }));
    });
    call.end();
  });
}
