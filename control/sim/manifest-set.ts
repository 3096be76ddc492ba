/** Manifests from files, folders and standard input, read as `kubectl apply -f` reads them. */
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { text as readAll } from 'node:stream/consumers';
import { InvalidInputError } from '../common/errors.js';
import { DuplicateObjectError, type RawDocument } from '../objects/document.js';
import { type Manifests, parseManifests } from '../objects/manifest.js';
import { type KubeObject, objectKey } from '../objects/types.js';
import { workloadName } from './expand.js';

/** One document of a set: an object of a kind we know, or (object null) a workload to be expanded. */
export interface ManifestItem {
  readonly document: RawDocument;
  readonly object: KubeObject | null;
}

/** `KIND/NS/NAME` -> document. */
export type ManifestItems = ReadonlyMap<string, ManifestItem>;

export interface ManifestSet {
  readonly items: ManifestItems;
  /** Kinds that mean nothing to a network -> how many. */
  readonly skipped: ReadonlyMap<string, number>;
  readonly warnings: readonly string[];
}

const MANIFEST = /\.(ya?ml|json)$/;
const STDIN = '-';

/** One input as it was read; `file` is what errors name. */
export interface InputText {
  readonly file: string;
  readonly text: string;
}

/** Reads -f arguments: files, folders, `-` for standard input. Throws InvalidInputError. */
export async function readInputs(
  args: readonly string[],
  stdin: NodeJS.ReadableStream = process.stdin,
): Promise<readonly InputText[]> {
  const files = (await Promise.all(args.map(filesOf))).flat();
  return await Promise.all(
    [...new Set(files)].map(async (file) =>
      file === STDIN
        ? { file: '<stdin>', text: await readAll(stdin) }
        : { file, text: await readFile(file, 'utf8') },
    ),
  );
}

/** Parses inputs again and again, but each text only once. */
export class ManifestReader {
  #parsed = new Map<string, { readonly text: string; readonly manifests: Manifests }>();

  /** Throws InvalidInputError and its subclasses, naming file and line. */
  parse(inputs: readonly InputText[]): ManifestSet {
    const parsed = new Map<string, { readonly text: string; readonly manifests: Manifests }>();
    for (const { file, text } of inputs) {
      refuseDepth(file, text);
      const known = this.#parsed.get(file);
      parsed.set(file, known?.text === text ? known : { text, manifests: parseManifests(text, file) });
    }
    this.#parsed = parsed;
    return merge([...parsed.values()].map(({ manifests }) => manifests));
  }
}

/** Kubernetes objects are some ten deep; parsers and printers that recurse give up on text made to be deep. */
const MAX_DEPTH = 200;

/** Throws InvalidInputError for JSON that is nested too deeply. The parser of YAML has a limit of its own. */
function refuseDepth(file: string, text: string): void {
  if (!/^\s*\{/.test(text)) return;
  let depth = 0;
  let quoted = false;
  for (let i = 0; i < text.length; i++) {
    const char = text.charCodeAt(i);
    if (quoted) {
      if (char === BACKSLASH) i++;
      else if (char === QUOTE) quoted = false;
    } else if (char === QUOTE) quoted = true;
    else if (char === OPEN_LIST || char === OPEN_OBJECT) {
      if (++depth > MAX_DEPTH)
        throw new InvalidInputError(`is nested more than ${MAX_DEPTH} deep`, { object: file });
    } else if (char === OPEN_LIST + 2 || char === OPEN_OBJECT + 2) depth--;
  }
}

const [QUOTE, BACKSLASH, OPEN_LIST, OPEN_OBJECT] = [0x22, 0x5c, 0x5b, 0x7b];

/** The files one -f argument stands for: a folder's manifests in order of their names, not its subfolders'. */
async function filesOf(arg: string): Promise<readonly string[]> {
  if (arg === STDIN) return [arg];
  let info: Awaited<ReturnType<typeof stat>>;
  try {
    info = await stat(arg);
  } catch (cause) {
    throw new InvalidInputError('no such file or folder', { object: '-f', value: arg, cause });
  }
  if (!info.isDirectory()) return [arg];
  const names = (await readdir(arg)).filter((name) => MANIFEST.test(name)).sort();
  if (names.length === 0) throw new InvalidInputError('no *.yaml, *.yml or *.json in it', { object: arg });
  return names.map((name) => join(arg, name));
}

function merge(sets: readonly Manifests[]): ManifestSet {
  const items = new Map<string, ManifestItem>();
  const skipped = new Map<string, number>();
  for (const set of sets) {
    for (const object of set.objects) {
      const key = objectKey(object.kind, object.metadata.namespace, object.metadata.name);
      add(items, key, { document: set.documents.get(key)!, object });
    }
    for (const document of set.workloads) {
      add(items, `${document.kind}/${workloadName(document)}`, { document, object: null });
    }
    for (const [kind, count] of set.skipped) {
      // Expectations may lie beside the manifests they are about.
      if (!kind.startsWith('Reachability')) skipped.set(kind, (skipped.get(kind) ?? 0) + count);
    }
  }
  return { items, skipped, warnings: sets.flatMap((set) => set.warnings) };
}

function add(items: Map<string, ManifestItem>, key: string, item: ManifestItem): void {
  const first = items.get(key)?.document.source;
  if (first !== undefined) {
    throw new DuplicateObjectError(`is defined twice, first in ${first?.file ?? '?'}:${first?.line ?? '?'}`, {
      object: key,
      ...(item.document.source ?? {}),
    });
  }
  items.set(key, item);
}
