/** Asks an agent's REST interface over its unix socket. */
import { request } from 'node:http';

export interface RestReply {
  readonly status: number;
  // Each path answers something else.
  readonly body: ReturnType<typeof JSON.parse>;
}

/** Rejects when nobody listens. */
export function rest(socketPath: string, path: string, method: 'GET' | 'POST' = 'GET'): Promise<RestReply> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath, path, method, agent: false, timeout: 10_000 }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (piece: string) => {
        text += piece;
      });
      response.on('error', reject).on('end', () => {
        resolve({ status: response.statusCode ?? 0, body: JSON.parse(text) });
      });
    });
    asked.on('error', reject).on('timeout', () => asked.destroy(new Error(`${path}: no answer`)));
    asked.end();
  });
}
