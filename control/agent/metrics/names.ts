/** Every metric of the agent: its name, its kind, its labels and what it means. docs/metrics.md lists the same. */

export interface MetricName {
  readonly name: string;
  readonly help: string;
  readonly labels: readonly string[];
}

function metric(name: string, help: string, ...labels: string[]): MetricName {
  return { name: `pteropus_${name}`, help, labels };
}

export const METRICS = {
  info: metric('agent_info', 'Always 1; the labels say what runs.', 'node', 'version'),
  nodeId: metric('agent_node_id', 'Id of the node.'),
  ready: metric('agent_ready', '1 if CNI ADD would be served now, else 0.'),
  problems: metric('agent_problems', 'Things known to be wrong, by where they are.', 'source'),
  drifts: metric(
    'agent_drifts_total',
    'Items in which the ruleset kept up to date differed from one compiled anew.',
  ),
  rulesetItems: metric('agent_ruleset_items', 'Items of the compiled ruleset.', 'kind'),
  refused: metric('agent_refused_items', 'Items the data plane does not take.'),
  pods: metric('agent_pods', 'Pods wired on the node.'),
  queued: metric('agent_events_queued', 'Events that wait.'),
  runningSeconds: metric(
    'agent_event_running_seconds',
    'How long the current event has been running; 0 = none runs.',
  ),
  events: metric('agent_events_total', 'Events done.', 'event', 'result'),
  eventSeconds: metric('agent_event_duration_seconds', 'Time an event took, without its wait.', 'event'),
  changes: metric('agent_changes_total', 'Changes of ruleset items that were brought into force.'),
  resyncs: metric('agent_resyncs_total', 'Resyncs done, also those inside a start.', 'kind', 'result'),
  revisionKnown: metric('agent_store_revision_known', 'Store revision of the objects the agent knows.'),
  revisionApplied: metric(
    'agent_store_revision_applied',
    'Store revision that is in force in the data plane.',
  ),
  storeAway: metric(
    'agent_store_away',
    '1 while the store does not answer: the agent works with the objects as they were last.',
  ),
  ipam: metric('ipam_addresses', 'Pod addresses of the node.', 'family', 'state'),
  cni: metric(
    'cni_requests_total',
    'CNI commands answered; result 0 is success, else the code of the CNI specification.',
    'command',
    'result',
  ),
  cniSeconds: metric(
    'cni_request_duration_seconds',
    'Time from a CNI command’s arrival to its answer.',
    'command',
  ),
  dataplaneInfo: metric(
    'dataplane_info',
    'Always 1 while there is one; the labels say which (version: of VPP).',
    'backend',
    'version',
  ),
  dataplaneUp: metric('dataplane_up', '1 if the data plane answers, else 0.'),
  dataplaneOpens: metric(
    'dataplane_opens_total',
    'Connections made to the data plane: one, and one more after each loss.',
  ),
  interfaces: metric(
    'dataplane_interfaces',
    'Interfaces by how their packets come in and leave; those of a data plane that has one way alone are not counted.',
    'interface',
    'mode',
    'sends',
  ),
  rxPackets: metric('dataplane_received_packets_total', 'Packets received.', 'interface'),
  rxBytes: metric('dataplane_received_bytes_total', 'Bytes received.', 'interface'),
  txPackets: metric('dataplane_sent_packets_total', 'Packets sent.', 'interface'),
  txBytes: metric('dataplane_sent_bytes_total', 'Bytes sent.', 'interface'),
  drops: metric(
    'dataplane_dropped_packets_total',
    'Packets dropped that came in by the interface, or that it could not send.',
    'interface',
  ),
  outcomes: metric(
    'dataplane_packets_total',
    'Packets by outcome: every packet has exactly one (docs/outcomes.md).',
    'outcome',
  ),
  sessionsActive: metric('dataplane_sessions', 'Open sessions.'),
  sessions: metric(
    'dataplane_sessions_total',
    'Sessions created, evicted because their row was full, expired.',
    'event',
  ),
  workerPackets: metric(
    'dataplane_worker_packets_total',
    'Packets that came to a worker, where there are several.',
    'worker',
  ),
  workerRestarts: metric('dataplane_worker_restarts_total', 'How often a worker died and was replaced.'),
  tableUsed: metric('dataplane_table_entries', 'Entries in use of a table of the data plane.', 'table'),
  tableLimit: metric('dataplane_table_limit', 'Entries a table of the data plane has room for.', 'table'),
} as const;
