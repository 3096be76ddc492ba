/** All of interfaces, tables, routes and the mesh, for the registry. Descriptors in the order in which they are read. */
import type { Descriptor, Renderer } from '../objects/types.js';
import { addresses } from './addresses.js';
import { arpOffs } from './arp-off.js';
import { bridgeEntries, bridges, members } from './bridges.js';
import { classifiers, classifierUses } from './classifiers.js';
import { cuts } from './cuts.js';
import { interfaces } from './interfaces.js';
import { links } from './link-settings.js';
import { neighborAgings } from './neighbor-aging.js';
import { neighbors } from './neighbors.js';
import { pingsRenderer } from './pings.js';
import { policers } from './policers.js';
import { proxyAddresses, proxyInterfaces } from './proxies.js';
import { classifiersRenderer } from './render-classifiers.js';
import { interfacesRenderer } from './render-interfaces.js';
import { routesRenderer } from './render-routes.js';
import { tablesRenderer } from './render-tables.js';
import { tunnelsRenderer } from './render-tunnels.js';
import { routes } from './routes.js';
import { sourceChecks } from './source-checks.js';
import { tables } from './tables.js';
import { tunnelInputs } from './tunnel-input.js';
import { ups } from './ups.js';

export const LINK_DESCRIPTORS: readonly Descriptor[] = [
  ...[tables, interfaces, links, addresses, neighbors, neighborAgings, routes],
  ...[bridges, members, bridgeEntries, proxyAddresses, proxyInterfaces],
  ...[arpOffs, sourceChecks, tunnelInputs, cuts, policers, classifiers, classifierUses, ups],
] as readonly Descriptor[];

export const LINK_RENDERERS: readonly Renderer[] = [
  ...[tablesRenderer, interfacesRenderer, routesRenderer, tunnelsRenderer, classifiersRenderer],
  pingsRenderer,
];
