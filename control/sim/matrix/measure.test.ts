import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Probe, ProbeResult } from '../driver.js';
import { expected, podColumn, podRow, result, serviceColumn } from './fixtures.js';
import { type ExpectedCell, measure } from './measure.js';

const planned = (column = podColumn('shop/web')): ExpectedCell['planned'] => ({
  row: podRow('shop/cart'),
  column,
  targets: column.targets,
});

/** A prober that answers from a function and keeps what it was asked. */
function prober(answer: (probe: Probe, call: number) => ProbeResult) {
  const calls: (readonly Probe[])[] = [];
  return {
    calls,
    probe: (probes: readonly Probe[]) => {
      calls.push(probes);
      return Promise.resolve(probes.map((probe) => answer(probe, calls.length)));
    },
  };
}

test('what should answer is asked before what should not', async () => {
  const yes = { planned: planned(podColumn('shop/a', 1)), expected: expected('yes') };
  const no = { planned: planned(podColumn('shop/b', 2)), expected: expected('no') };
  const driver = prober(({ port }) => result(port === 1 ? 'connected' : 'timeout'));
  const cells = await measure(driver, [no, yes]);
  assert.equal(
    driver.calls.map(([first]) => first?.port),
    [1, 2],
  );
  assert.equal(
    cells.map(({ column }) => column.port),
    [2, 1],
    'cells keep their order',
  );
  assert.ok(cells.every(({ agrees }) => agrees));
});

test('a cell that differs is asked once more, and the second answer counts', async () => {
  const driver = prober((_probe, call) => result(call === 1 ? 'timeout' : 'connected'));
  const [cell] = await measure(driver, [{ planned: planned(), expected: expected('yes') }]);
  assert.is(driver.calls.length, 2);
  assert.ok(cell?.agrees);
  const stubborn = prober(() => result('timeout'));
  const [wrong] = await measure(stubborn, [{ planned: planned(), expected: expected('yes') }]);
  assert.is(stubborn.calls.length, 2);
  assert.not(wrong?.agrees);
});

test('a Service is asked for each backend twice, a mix far more often, silence once', async () => {
  const service = planned(serviceColumn('shop/web'));
  const count = async (cell: ExpectedCell) => {
    const driver = prober(() => result(cell.expected.reach === 'no' ? 'timeout' : 'connected'));
    await measure(driver, [cell]);
    return driver.calls[0]?.length;
  };
  const three = ['a/1', 'a/2', 'a/3'];
  assert.is(await count({ planned: service, expected: expected('yes', three) }), 6);
  assert.is(await count({ planned: service, expected: expected('some', three) }), 18);
  assert.is(await count({ planned: service, expected: expected('no', three) }), 1);
});

test('silence is waited for longer where answers are slow', async () => {
  const cells = [
    { planned: planned(podColumn('shop/a', 1)), expected: expected('yes') },
    { planned: planned(podColumn('shop/b', 2)), expected: expected('no') },
  ];
  const waits = async (millis: number) => {
    const driver = prober(({ port }) => ({ ...result(port === 1 ? 'connected' : 'timeout'), millis }));
    await measure(driver, cells);
    return driver.calls[1]?.[0]?.timeoutMs;
  };
  assert.is(await waits(1), 250);
  assert.is(await waits(100), 500);
  assert.is(await waits(1900), 1000);
});

test.run();
