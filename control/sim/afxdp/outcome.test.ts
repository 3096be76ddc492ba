import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { DEFAULT_CONFIG } from '../../compiler/input.js';
import type { Probe, ProbeProtocol } from '../driver.js';
import { interpret } from './outcome.js';

function outcomeOf(
  protocol: ProbeProtocol,
  address: string,
  port: number,
  icmpSender: string | null,
): string {
  const probe: Probe = { from: { type: 'outside' }, address, port, protocol, timeoutMs: 1 };
  return interpret(probe, { outcome: 'refused', answer: icmpSender, millis: 0 }, DEFAULT_CONFIG).outcome;
}

test('a refusal is the destination stack only where a stack can be', () => {
  assert.is(outcomeOf('tcp', '10.1.1.2', 80, null), 'refused');
  assert.is(outcomeOf('udp', '10.1.1.2', 53, '10.1.1.2'), 'refused');
  assert.is(outcomeOf('tcp', '10.96.0.5', 80, '10.96.0.5'), 'rejected');
  assert.is(outcomeOf('udp', '10.96.0.5', 53, '10.96.0.5'), 'rejected');
  assert.is(outcomeOf('udp', '192.168.16.1', 30_053, '192.168.16.1'), 'rejected');
  assert.is(outcomeOf('tcp', '10.96.0.5', 80, null), 'refused');
});

test.run();
