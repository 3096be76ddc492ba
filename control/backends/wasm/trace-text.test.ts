import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as L from '../../../dataplane-as/layout/index.js';
import type { Lowering } from './lowering.js';
import { traceStep } from './trace-text.js';

test('a Service that sends a packet nowhere says why', () => {
  const service = { namespace: 'shop', name: 'web', backends: [] };
  const lowering = {
    ports: { itemAt: () => undefined },
    services: { itemAt: () => service },
  } as unknown as Lowering;
  const text = (b: number, c: number): string => {
    const words = [1, b, c, 0, 0] as const;
    return traceStep(
      { packet: 1, time: 0, stage: L.STAGE_SERVICE, port: 1, words: [...words], six: null },
      lowering,
    ).text;
  };
  assert.is(text(0xffffffff, 0), 'service: Service shop/web: no endpoint is ready');
  assert.match(
    text(L.DROP_SERVICE_SOURCE, 0),
    /Service shop\/web: the client is not in loadBalancerSourceRanges/,
  );
  assert.match(text(L.DROP_SERVICE_ELSEWHERE, 0), /no endpoint is on this node/);
  assert.match(text(0x0100000a, 0x901f), /Service shop\/web -> 10\.0\.0\.1:8080/);
});

test.run();
