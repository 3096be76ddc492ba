/** The small cluster that the policy tests speak about: two pods in `default` on n1, one in `other` on n2. */
import * as assert from 'uvu/assert';
import { apiNamespace, apiPod, type CompiledCluster, judgeBoth } from './fixture.js';

export const P1 = '10.1.1.2';
export const P2 = '10.1.1.3';
export const P3 = '10.1.2.2';
/** What stands for "any other protocol" in Contiv/VPP's tables. */
export const OTHER = 'icmp 0';

export const PODS = [
  apiPod('pod1', 'default', P1, 'n1', { app: 'one' }),
  apiPod('pod2', 'default', P2, 'n1', { app: 'two' }),
  apiPod('pod3', 'other', P3, 'n2', { app: 'three' }),
  apiNamespace('default'),
  apiNamespace('other', { team: 'x' }),
];
export const pods = (app: string) => ({ podSelector: { matchLabels: { app } } });
export const tcp = (...ports: number[]) => ports.map((port) => ({ protocol: 'TCP', port }));
export const udp = (...ports: number[]) => ports.map((port) => ({ protocol: 'UDP', port }));
export const block = (cidr: string, ...except: string[]) => ({ ipBlock: { cidr, except } });
export const ANY_TCP = [{ protocol: 'TCP' }];

/** `tcp 80`, `udp 53`, `icmp 0`. */
export function check(
  cluster: CompiledCluster,
  from: string,
  to: string,
  expected: Readonly<Record<string, boolean>>,
): void {
  for (const [what, allowed] of Object.entries(expected)) {
    const [name = '', port] = what.split(' ');
    const protocol = ({ tcp: 'TCP', udp: 'UDP', sctp: 'SCTP', icmp: null } as const)[name] ?? null;
    const got = judgeBoth(cluster, { from, to, protocol, port: Number(port) });
    assert.is(got.allowed, allowed, `${from} -> ${to} ${what}: ${JSON.stringify(got)}`);
  }
}

export const ONE = { matchLabels: { app: 'one' } };
