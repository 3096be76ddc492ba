import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Query } from '../agent/http/query.js';
import type { Answer } from '../agent/http/route.js';
import type { Ksr } from './ksr.js';
import { KsrMetrics } from './metrics.js';
import { ksrRoutes } from './routes.js';

const OBJECT = { apiVersion: 'v1', kind: 'Service', namespace: 'shop', name: 'web', uid: null };

test('a certificate that runs out is among the problems, and counted', async () => {
  const ksr: Pick<Ksr, 'status' | 'problems'> = {
    problems: () => [{ reference: OBJECT, problems: ['spec.externalIPs: ...'] }],
    status: () => {
      throw new Error('nobody asked for it');
    },
  };
  let ending: readonly string[] = ['certificate /c.crt runs out on 2030-01-01, in 3 days'];
  const metrics = new KsrMetrics(() => ending);
  const ask = async (path: string): Promise<Answer> => {
    const route = ksrRoutes(ksr, metrics, () => ending).find((candidate) => candidate.path === path);
    assert.ok(route);
    return route.handle(new Query(new URLSearchParams(), []));
  };
  const problems = async (): Promise<readonly object[]> => {
    const answer = await ask('/problems');
    return 'items' in answer ? [...answer.items] : [];
  };
  const counted = async (): Promise<string> => {
    const answer = await ask('/metrics');
    return 'text' in answer ? answer.text : '';
  };
  const refused = { ...OBJECT, problems: ['spec.externalIPs: ...'] };
  assert.equal(await problems(), [{ kind: null, problems: ending }, refused]);
  assert.match(await counted(), /^pteropus_ksr_certificate_problems 1$/m);
  ending = [];
  assert.equal(await problems(), [refused]);
  assert.match(await counted(), /^pteropus_ksr_certificate_problems 0$/m);
});

test.run();
