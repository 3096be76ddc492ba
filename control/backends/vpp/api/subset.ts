/** The part of an API description that some messages need. */
import { MissingMessageError } from './errors.js';
import {
  type AliasSchema,
  type ApiSchema,
  type EnumSchema,
  type FieldSchema,
  joinModules,
  type MessageSchema,
  type ModuleSchema,
  type ServiceSchema,
  type StructSchema,
} from './schema.js';

/**
 * The messages named, those that answer them, and the types of all these, as one module. Throws MissingMessageError, unless `lenient`:
 * then what the schema does not have is left out.
 */
export function subsetOf(schema: ApiSchema, names: Iterable<string>, lenient = false): ApiSchema {
  const collector = new Collector(schema);
  for (const name of names) {
    if (schema.messages.has(name)) collector.message(name);
    else if (!lenient) throw new MissingMessageError('no such message in the API files', { object: name });
  }
  return joinModules([collector.module()]);
}

class Collector {
  readonly #types = new Map<string, StructSchema>();
  readonly #unions = new Map<string, StructSchema>();
  readonly #enums = new Map<string, EnumSchema>();
  readonly #aliases = new Map<string, AliasSchema>();
  readonly #messages = new Map<string, MessageSchema>();
  readonly #services = new Map<string, ServiceSchema>();

  constructor(readonly schema: ApiSchema) {}

  message(name: string): void {
    const message = this.schema.messages.get(name);
    if (message === undefined || this.#messages.has(name)) return;
    this.#messages.set(name, { ...message, module: 'subset' });
    const home = this.schema.modules.get(message.module);
    if (home !== undefined) this.#fields(home, message.fields);
    const service = this.schema.services.get(name);
    if (service === undefined) return;
    this.#services.set(name, service);
    for (const answer of [service.reply, service.details]) if (answer !== undefined) this.message(answer);
  }

  module(): ModuleSchema {
    return {
      name: 'subset',
      types: this.#types,
      unions: this.#unions,
      enums: this.#enums,
      aliases: this.#aliases,
      messages: [...this.#messages.values()],
      services: this.#services,
    };
  }

  #fields(home: ModuleSchema, fields: readonly FieldSchema[]): void {
    for (const { type } of fields) this.#type(home, type);
  }

  #type(home: ModuleSchema, name: string): void {
    const struct = home.types.get(name);
    const union = home.unions.get(name);
    const set = home.enums.get(name);
    const alias = home.aliases.get(name);
    if (struct !== undefined && !this.#types.has(name)) {
      this.#types.set(name, struct);
      this.#fields(home, struct.fields);
    }
    if (union !== undefined && !this.#unions.has(name)) {
      this.#unions.set(name, union);
      this.#fields(home, union.fields);
    }
    if (set !== undefined) this.#enums.set(name, set);
    if (alias !== undefined) {
      this.#aliases.set(name, alias);
      this.#type(home, alias.type);
    }
  }
}
