/** API descriptions from a folder of `*.api.json` files, or from the text VPP itself hands out. */
import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { errorText } from '../../../common/errors.js';
import { ApiSchemaError } from './errors.js';
import { type ApiSchema, joinModules, parseModule } from './schema.js';

const SUFFIX = '.api.json';

/** Reads all files below a folder (`core/`, `plugins/`). Throws ApiSchemaError, also when there is none. */
export function loadApiDir(dir: string): ApiSchema {
  const files = list(dir).filter((path) => path.endsWith(SUFFIX));
  if (files.length === 0) throw new ApiSchemaError(`no *${SUFFIX} files`, { object: dir });
  return joinModules(files.sort().map((path) => loadFile(join(dir, path))));
}

/** The answer to `get_api_json`: a list of what the files hold, each with its `module`. Throws ApiSchemaError. */
export function parseApiJson(text: string): ApiSchema {
  const modules = parseJson(text, 'get_api_json');
  if (!Array.isArray(modules)) throw new ApiSchemaError('not a list', { object: 'get_api_json' });
  return joinModules(modules.map((module, i) => parseModule(nameOf(module) ?? `module ${i}`, module)));
}

function loadFile(path: string) {
  try {
    const json = parseJson(readFileSync(path, 'utf8'), path);
    return parseModule(nameOf(json) ?? basename(path, SUFFIX), json);
  } catch (error) {
    if (error instanceof ApiSchemaError) throw error;
    throw new ApiSchemaError(errorText(error), { object: path, cause: error });
  }
}

function list(dir: string): string[] {
  try {
    return readdirSync(dir, { recursive: true }).map(String);
  } catch (error) {
    throw new ApiSchemaError(errorText(error), { object: dir, cause: error });
  }
}

function parseJson(text: string, object: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new ApiSchemaError('not JSON', { object, cause: error });
  }
}

function nameOf(module: unknown): string | undefined {
  if (typeof module !== 'object' || module === null || !('module' in module)) return undefined;
  return typeof module.module === 'string' ? module.module : undefined;
}
