import { asWritten } from '../config/as-written.ts';
import type { LoadedConfig } from '../config/load.ts';
import { Document, isMap, isScalar, isSeq } from 'yaml';

/** The configuration as a file that means the same, each value with where it came from. */
export function renderYaml({ config, origins }: LoadedConfig): string {
  const document = new Document(asWritten(config));
  for (const [path, origin] of origins) {
    const steps = path.split('.');
    const node = document.getIn(steps, true);
    if (isScalar(node)) node.comment = ` ${origin}`;
    else if (isSeq(node) && node.items.every((item) => isScalar(item))) {
      node.flow = true;
      node.comment = ` ${origin}`;
    } else if (isSeq(node)) commentKey(document, steps, origin);
  }
  return document.toString({ lineWidth: 0 });
}

/** {config, origins}. */
export function renderJson({ config, origins }: LoadedConfig): string {
  return `${JSON.stringify(toJson({ config, origins }), null, 2)}\n`;
}

/** The same as a value. */
export function toJson({ config, origins }: LoadedConfig): { config: object; origins: Record<string, string> } {
  return { config: asWritten(config), origins: Object.fromEntries(origins) };
}

/** A list of mappings has no end of line to write on: the comment goes before its first item. */
function commentKey(document: Document, steps: readonly string[], origin: string): void {
  const parent = document.getIn(steps.slice(0, -1), true);
  if (!isMap(parent)) return;
  const pair = parent.items.find(({ key }) => isScalar(key) && key.value === steps.at(-1));
  if (isScalar(pair?.key)) pair.key.commentBefore = ` ${origin}`;
}
