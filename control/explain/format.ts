/** An explanation as a person reads it at a glance. */
import type { Judgement } from '../ruleset/evaluate.js';
import { formatLocated, type Locate } from '../ruleset/format.js';
import type { Origin } from '../ruleset/types.js';
import type { Place } from './ends.js';
import type { Explanation, Way } from './explain.js';

const VERDICT = { allowed: 'ALLOWED', denied: 'DENIED', some: 'PARTLY ALLOWED' } as const;

export function formatExplanation(explanation: Explanation, locate: Locate): string {
  const { from, protocol, service, ways, verdict, notes } = explanation;
  const port = (number: number) => (protocol === 'ICMP' ? '' : ` ${number}`);
  const [only] = ways;
  const target =
    service !== null
      ? `Service ${service.namespace}/${service.name} (${service.address}), ${protocol}${port(service.port)}`
      : only === undefined
        ? 'nowhere'
        : `${placeText(only.to)}, ${protocol}${port(only.port)}`;
  const lines = [`${VERDICT[verdict]}: ${placeText(from)} -> ${target}`];
  if (service?.refused) lines.push(step('service', service.refused));
  for (const way of ways) {
    if (service !== null)
      lines.push(`  backend ${placeText(way.to)}${port(way.port)}: ${way.allowed ? 'allowed' : 'denied'}`);
    const indent = service === null ? '' : '  ';
    lines.push(...waySteps(from, way, locate).map((line) => indent + line));
  }
  lines.push(...notes.map((note) => step('note', note)));
  return `${lines.join('\n')}\n`;
}

function waySteps(from: Place, { to, egress, route, ingress }: Way, locate: Locate): readonly string[] {
  return [
    egress === null ? [] : [step('egress', judgementText(egress, from, locate))],
    route === null ? [] : [step('route', route.text)],
    ingress === null ? [] : [step('ingress', judgementText(ingress, to, locate))],
  ].flat();
}

function step(stage: string, text: string): string {
  return `  ${stage.padEnd(8)} ${text}`;
}

function judgementText(
  { allowed, by, origin, isolatedBy }: Judgement,
  subject: Place,
  locate: Locate,
): string {
  const named = (o: Origin): string => formatLocated(o, locate);
  switch (by) {
    case 'rule':
      return `${allowed ? 'allowed' : 'denied'} by ${origin === null ? 'a rule' : named(origin)}`;
    case 'isolated':
      return `denied: no rule allows it, and ${subject.name} is selected by ${isolatedBy.map(named).join(', ')}`;
    case 'open':
      return `allowed: no policy selects ${subject.name} in this direction`;
    case 'node':
      return 'allowed: a node may always talk to its own pods';
    case 'self':
      return 'allowed: it is the pod itself';
    case 'unmatched':
      return 'allowed: no rule says anything about it';
  }
}

function placeText({ name, address, node }: Place): string {
  if (name === address) return name;
  return node === null || name === `node ${node}`
    ? `${name} (${address})`
    : `${name} (${address} on ${node})`;
}
