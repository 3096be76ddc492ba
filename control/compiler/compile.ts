import type { Model } from '../model/model.js';
import { rulesetOf } from '../ruleset/canonical.js';
import type { Ruleset } from '../ruleset/types.js';
import { allAddresses, makeContext } from './context.js';
import { compileHostPorts } from './host-ports.js';
import type { ClusterConfig, NodeLocal } from './input.js';
import { compileInterfaces } from './interfaces.js';
import { compileNode } from './node.js';
import { compilePolicies } from './policies.js';
import { compileRoutes } from './routes.js';
import { compileServices } from './services.js';
import { compileSnat } from './snat.js';
import { compileTunnels } from './tunnels.js';

/**
 * The ruleset of one node. Pure and deterministic: the same model, node and configuration give the same bytes, whatever the
 * order in which they were told. Throws UnknownNodeError if the model has no NodeRecord for the node.
 */
export function compile(model: Model, local: NodeLocal, config: ClusterConfig): Ruleset {
  const context = makeContext(model, local, config);
  return rulesetOf([
    compileNode(context),
    ...compileInterfaces(context),
    ...compileTunnels(context),
    ...compileRoutes(context),
    ...compilePolicies(context),
    ...compileServices(context),
    ...[...context.attached.values()].flatMap((wired) => compileHostPorts(wired, allAddresses(context.self))),
    compileSnat(context),
  ]);
}
