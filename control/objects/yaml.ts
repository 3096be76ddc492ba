/** Text to documents: YAML streams as kubectl reads them, and JSON. Every value can be traced back to its line. */
import { type Document, isNode, isScalar, LineCounter, parseAllDocuments } from 'yaml';
import { type Path, SyntaxInputError } from './document.js';

export interface ReadDocument {
  readonly value: unknown;
  /** 1-based line of the document's first key. */
  readonly line: number;
  readonly locate: (path: Path) => number;
  /** True if `locate` takes long the first time. */
  readonly costly: boolean;
}

export interface ReadText {
  readonly documents: readonly ReadDocument[];
  /** What was tolerated, each with its line. */
  readonly warnings: readonly string[];
}

/** Splits and parses a text. Throws SyntaxInputError with file and line. */
export function readText(text: string, file: string): ReadText {
  return readJson(text, file) ?? readYaml(text, file);
}

/** JSON is YAML, but a cluster's whole state is too much for a YAML parser: lines are looked up only for an error. */
function readJson(text: string, file: string): ReadText | null {
  if (!/^\s*\{/.test(text)) return null;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  let parsed: ReadDocument | undefined;
  const locate = (path: Path): number => {
    parsed ??= readYaml(text, file).documents[0];
    return parsed?.locate(path) ?? 1;
  };
  return { documents: [{ value, line: 1, locate, costly: true }], warnings: [] };
}

function readYaml(text: string, file: string): ReadText {
  const whole = parseChunk(text, 0);
  const error = firstError(whole);
  if (error === null) return { documents: toDocuments(whole, file), warnings: [] };
  const unglued = unglue(text);
  const chunks = unglued.map(({ text: part, lines }) => parseChunk(part, lines));
  // The text as it stands decides what the error says, unless cutting it apart cures it.
  if (unglued.length === 1 || chunks.some((chunk) => firstError(chunk) !== null)) {
    throw new SyntaxInputError(error.message, { file, line: error.line });
  }
  const lines = unglued.slice(1).map((part) => part.lines + 1);
  return {
    documents: chunks.flatMap((chunk) => toDocuments(chunk, file)),
    warnings: [
      `${file}: document separator at the end of a line (${lines.length > 1 ? 'lines' : 'line'} ${lines.join(', ')})`,
    ],
  };
}

interface Chunk {
  readonly documents: readonly Document.Parsed[];
  readonly counter: LineCounter;
  /** Lines of the file before this chunk. */
  readonly before: number;
}

function parseChunk(text: string, before: number): Chunk {
  const counter = new LineCounter();
  const parsed = parseAllDocuments(text, {
    lineCounter: counter,
    prettyErrors: false,
    // What is odd but no error, such as a list as a key, fails where the object is read.
    logLevel: 'error',
    // kubectl reads YAML 1.1 (yes and no are booleans), but without its dates and its numbers in base 60.
    version: '1.1',
    customTags: (tags) =>
      tags.filter(
        (tag) =>
          typeof tag === 'string' || (tag.tag !== 'tag:yaml.org,2002:timestamp' && tag.format !== 'TIME'),
      ),
  });
  return { documents: Array.isArray(parsed) ? parsed : [], counter, before };
}

function firstError(chunk: Chunk): { readonly message: string; readonly line: number } | null {
  for (const document of chunk.documents) {
    const [error] = document.errors;
    if (error !== undefined) return { message: error.message, line: lineAt(chunk, error.pos[0]) };
  }
  return null;
}

function toDocuments(chunk: Chunk, file: string): readonly ReadDocument[] {
  return chunk.documents
    .filter(({ contents }) => contents !== null && !(isScalar(contents) && contents.value === null))
    .map((document) => {
      const line = lineAt(chunk, document.contents?.range?.[0] ?? 0);
      try {
        return {
          value: document.toJS() as unknown,
          line,
          costly: false,
          locate: (path) => locate(chunk, document, path),
        };
      } catch (cause) {
        // An alias without its anchor, or a bomb of aliases.
        throw new SyntaxInputError('the document cannot be resolved', { file, line, cause });
      }
    });
}

function lineAt(chunk: Chunk, offset: number): number {
  return chunk.before + chunk.counter.linePos(offset).line;
}

/** Line of the field at `path`, or of the deepest field on the way to it. */
function locate(chunk: Chunk, document: Document.Parsed, path: Path): number {
  for (let depth = path.length; depth >= 0; depth--) {
    const node = document.getIn(path.slice(0, depth), true);
    if (isNode(node) && node.range) return lineAt(chunk, node.range[0]);
  }
  return chunk.before + 1;
}

/**
 * Cuts the text where a `---` stands at the end of a line behind a closed flow collection (`- {}---`): the mark of
 * files joined without a line break between them. Plain YAML has no such thing.
 */
function unglue(text: string): readonly { readonly text: string; readonly lines: number }[] {
  const parts: { text: string; lines: number }[] = [];
  let from = 0;
  let lines = 0;
  for (const match of text.matchAll(/(?<=[}\]])---[ \t]*\r?$/gm)) {
    const part = text.slice(from, match.index);
    parts.push({ text: part, lines });
    lines += part.split('\n').length - 1;
    from = match.index + match[0].length;
  }
  parts.push({ text: text.slice(from), lines });
  return parts;
}
