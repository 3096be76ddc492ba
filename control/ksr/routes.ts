/** ksr's REST interface: health for probes, status and problems for people, metrics. */
import { json, list, type Route } from '../agent/http/route.js';
import type { Ksr } from './ksr.js';
import type { KsrMetrics } from './metrics.js';

/** `certificates`: what is wrong with them now, a line each. */
export function ksrRoutes(
  ksr: Pick<Ksr, 'status' | 'problems'>,
  metrics: KsrMetrics,
  certificates: () => readonly string[] = () => [],
): readonly Route[] {
  const get = (path: string, summary: string, handle: Route['handle']): Route => {
    return { method: 'GET', path, summary, query: [], handle };
  };
  const routes = [
    get('/healthz', 'liveness: answers as long as the process does', () => json({ status: 'ok' })),
    get('/readyz', 'readiness: 503 unless everything is reflected, or another ksr leads', () => {
      const status = ksr.status();
      return json({ ready: status.ready, troubles: status.troubles }, status.ready ? 200 : 503);
    }),
    get('/status', 'role, leader, and what it waits for', () => json(ksr.status())),
    get('/problems', 'objects of which something is not honoured; certificates that run out', () =>
      list([
        ...certificates().map((problem) => ({ kind: null, problems: [problem] })),
        ...ksr.problems().map(({ reference, problems }) => ({ ...reference, problems })),
      ]),
    ),
    get('/metrics', 'metrics in the text format of Prometheus', async () => ({
      status: 200,
      contentType: metrics.registry.contentType,
      text: await metrics.registry.metrics(),
    })),
  ];
  const index = get('/', 'this list', () =>
    list([index, ...routes].map(({ method, path, summary }) => ({ method, path, summary }))),
  );
  return [index, ...routes];
}
