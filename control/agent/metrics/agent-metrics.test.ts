import { readFileSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Backend, Counters } from '../../backends/backend.js';
import { DEFAULT_CONFIG, DEFAULT_IPV6 } from '../../compiler/input.js';
import type { Agent } from '../agent.js';
import { directory, Machine, request, wired } from '../fixtures.js';
import type { AgentSource } from '../http/source.js';
import { AgentMetrics } from './agent-metrics.js';
import { measuredCni } from './measured-cni.js';
import { METRICS } from './names.js';

class Source implements AgentSource {
  readonly node = 'n1';
  readonly version = '1.2.3';
  readonly config = DEFAULT_CONFIG;
  agent: Agent | null = null;
  waiting: string | null = null;
}

const COUNTED: Counters = {
  interfaces: {
    'interface/pod/shop/web': {
      rxPackets: 3,
      rxBytes: 300,
      txPackets: 4,
      txBytes: 400,
      drops: 1,
      mode: 'copy',
      sends: 'batch',
    },
    'interface/uplink': { rxPackets: 1, rxBytes: 60, txPackets: 0, txBytes: 0, drops: 0 },
  },
  outcomes: { 'forward-local': 3, 'drop-policy-ingress': 1 },
  services: {},
  rules: {},
  sessions: { active: 2, created: 5, evicted: 0, expired: 3 },
  tables: { routes: { used: 12, limit: 4096 } },
  workers: [{ packets: 3 }, { packets: 1 }],
};

/** Values by series: `name{a="b"}`. */
async function scrape(metrics: AgentMetrics): Promise<ReadonlyMap<string, number>> {
  const lines = (await metrics.text()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.split(' ').at(-1))]));
}

test('before the agent runs there is little to tell, and it is told', async () => {
  const source = new Source();
  const values = await scrape(new AgentMetrics(source));
  assert.is(values.get('pteropus_agent_ready'), 0);
  assert.is(values.get('pteropus_dataplane_up'), 0);
  assert.is(values.get('pteropus_agent_info{node="n1",version="1.2.3"}'), 1);
});

test('a running agent tells of its pods, its rules and the traffic, and names no pod', async () => {
  const machine = new Machine();
  const source = new Source();
  const metrics = new AgentMetrics(source);
  let counted: Counters | null = COUNTED;
  const openBackend = async (): Promise<Backend> => {
    const backend = await machine.dataplane.open();
    return Object.assign(backend, {
      counters: () => (counted === null ? Promise.reject(new Error('lost')) : Promise.resolve(counted)),
    });
  };
  const agent = await machine.agent({
    config: { ...DEFAULT_CONFIG, ipv6: DEFAULT_IPV6 },
    openBackend,
    recorded: (record) => metrics.recorded(record),
  });
  source.agent = agent;
  const cni = measuredCni(agent.cni, (...told) => metrics.answered(...told));
  await wired(agent, 'web');
  await cni.add(request('db'));
  machine.links.failAttach = new Error('no');
  await cni.add(request('late'));
  await agent.resync('upstream');
  const expected: Record<string, number> = {
    pteropus_agent_ready: 1,
    pteropus_agent_node_id: 1,
    pteropus_agent_pods: 2,
    'pteropus_agent_problems{source="object"}': 0,
    'pteropus_agent_problems{source="node"}': 0,
    'pteropus_agent_ruleset_items{kind="endpoint"}': 2,
    'pteropus_agent_events_total{event="CNI ADD",result="done"}': 2,
    'pteropus_agent_events_total{event="CNI ADD",result="reverted"}': 1,
    'pteropus_agent_resyncs_total{kind="full",result="done"}': 1,
    'pteropus_agent_resyncs_total{kind="upstream",result="done"}': 1,
    pteropus_agent_drifts_total: 0,
    'pteropus_ipam_addresses{family="IPv4",state="used"}': 2,
    'pteropus_ipam_addresses{family="IPv4",state="free"}': 250,
    'pteropus_ipam_addresses{family="IPv6",state="used"}': 2,
    'pteropus_cni_requests_total{command="ADD",result="0"}': 1,
    'pteropus_cni_requests_total{command="ADD",result="100"}': 1,
    'pteropus_cni_request_duration_seconds_count{command="ADD"}': 2,
    pteropus_dataplane_up: 1,
    pteropus_dataplane_opens_total: 1,
    'pteropus_dataplane_interfaces{interface="pod",mode="copy",sends="batch"}': 1,
    'pteropus_dataplane_received_packets_total{interface="pod"}': 3,
    'pteropus_dataplane_sent_bytes_total{interface="pod"}': 400,
    'pteropus_dataplane_dropped_packets_total{interface="pod"}': 1,
    'pteropus_dataplane_packets_total{outcome="drop-policy-ingress"}': 1,
    pteropus_dataplane_sessions: 2,
    'pteropus_dataplane_worker_packets_total{worker="0"}': 3,
    'pteropus_dataplane_sessions_total{event="expired"}': 3,
    'pteropus_dataplane_table_entries{table="routes"}': 12,
    'pteropus_dataplane_table_limit{table="routes"}': 4096,
  };
  const values = await scrape(metrics);
  for (const [series, value] of Object.entries(expected)) assert.is(values.get(series), value, series);
  const known = values.get('pteropus_agent_store_revision_known');
  assert.is(values.get('pteropus_agent_store_revision_applied'), known);
  const names = Object.values(METRICS).map(({ name }) => name);
  for (const name of names) {
    assert.ok(
      [...values.keys()].some((series) => series.startsWith(name)),
      `${name} is told`,
    );
  }
  assert.not.match(await metrics.text(), 'shop', 'no label names a pod');
  const again = await scrape(metrics);
  assert.is(again.get('pteropus_dataplane_received_packets_total{interface="pod"}'), 3, 'counted once');
  counted = null;
  assert.is((await scrape(metrics)).get('pteropus_dataplane_up'), 0);
  await agent.close();
});

test('docs/metrics.md lists every metric with its labels and its meaning, and no other', () => {
  const path = fileURLToPath(new URL('../../../../../docs/metrics.md', import.meta.url));
  const listed = [...readFileSync(path, 'utf8').matchAll(/^\| `(pteropus_[a-z_]+)` \|([^|]*)\|([^|]*)\|$/gm)];
  const rows = listed.map(([, name, labels, meaning]) => [name, labels?.trim(), meaning?.trim()]);
  const wanted = Object.values(METRICS).map(({ name, labels, help }) => {
    return [name, labels.map((label) => `\`${label}\``).join(', '), help];
  });
  assert.equal(
    rows.filter(([name]) => /_(agent|ipam|cni|dataplane)_/.test(name ?? '')),
    wanted,
  );
});

test.after(() => rmSync(directory, { recursive: true, force: true }));
test.run();
