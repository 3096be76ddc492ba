import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { InterfaceCounters } from '../../backends/backend.js';
import { Traffic } from './traffic.js';

const counted = (n: number): InterfaceCounters => {
  return { rxPackets: n, rxBytes: n * 100, txPackets: n + 1, txBytes: 0, drops: 1 };
};

test('sums by kind that never fall, though interfaces go, start anew, and change hands', () => {
  const traffic = new Traffic();
  const pods = (): number | undefined => traffic.sums.get('pod')?.rxPackets;
  traffic.add({
    'interface/uplink': counted(5),
    'interface/pod/s/a': counted(10),
    'interface/pod/s/b': counted(7),
  });
  assert.is(pods(), 17);
  traffic.add({ 'interface/uplink': counted(6), 'interface/pod/s/b': counted(9) });
  assert.is(pods(), 19, 'a pod that is gone takes nothing along');
  traffic.add({
    'interface/uplink': counted(6),
    'interface/pod/s/a': counted(2),
    'interface/pod/s/b': counted(9),
  });
  assert.is(pods(), 21, 'another pod of that name');
  traffic.add({
    'interface/uplink': counted(1),
    'interface/pod/s/a': counted(1),
    'interface/pod/s/b': counted(9),
  });
  assert.is(pods(), 22, 'counted anew after a restart');
  assert.is(traffic.sums.get('uplink')?.rxPackets, 7);
  assert.is(traffic.sums.get('host')?.rxPackets, 0);
});

test.run();
