/** What can go wrong in the wasm backend, one class for each. */
import { PteropusError } from '../../common/errors.js';
import type { Key } from '../../ruleset/types.js';

/** A table of the image has no room for what an item needs. Nothing was published. */
export class TableFullError extends PteropusError {
  constructor(
    readonly table: string,
    readonly capacity: number,
    object: Key,
  ) {
    super(`the data plane's table of ${table} is full (${capacity})`, { object });
  }
}

/** The WebAssembly pipeline could not be loaded, or it trapped. */
export class PipelineError extends PteropusError {}

/** The data plane is gone: its process ended or its worker cannot be restarted. */
export class DataPlaneLostError extends PteropusError {}

/** A link could not be opened for an interface. */
export class PortError extends PteropusError {}
