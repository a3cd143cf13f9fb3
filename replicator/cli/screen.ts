import type { Output } from './io.ts';

const ESC = '\u001b[';

/**
 * The whole terminal, redrawn as often as one likes; what stood there before comes back at the end. Long lines are
 * cut by the terminal itself, so that colours cost nothing to measure.
 */
export class FullScreen {
  readonly #output: Output;

  constructor(output: Output) {
    this.#output = output;
    output.write(`${ESC}?1049h${ESC}?25l${ESC}?7l`);
  }

  draw(text: string): void {
    const rows = Math.max(1, (this.#output.rows ?? 24) - 1);
    const lines = text.split('\n').slice(0, rows);
    this.#output.write(`${ESC}H${lines.map((line) => `${line}${ESC}K`).join('\n')}${ESC}J`);
  }

  [Symbol.dispose](): void {
    this.#output.write(`${ESC}?7h${ESC}?25h${ESC}?1049l`);
  }
}

/** Lines at the bottom of a terminal that are redrawn in place, while other lines scroll past above them. */
export class LiveLines {
  readonly #output: Output;
  #shown = 0;

  constructor(output: Output) {
    this.#output = output;
  }

  draw(lines: readonly string[]): void {
    this.#output.write(`${this.#erase()}${ESC}?7l${lines.map((line) => `${line}\n`).join('')}${ESC}?7h`);
    this.#shown = lines.length;
  }

  /** A line that stays. */
  print(text: string): void {
    this.#output.write(`${this.#erase()}${text}\n`);
    this.#shown = 0;
  }

  /** Removes the live lines. */
  clear(): void {
    const erase = this.#erase();
    if (erase !== '') this.#output.write(erase);
    this.#shown = 0;
  }

  #erase(): string {
    return this.#shown === 0 ? '' : `${ESC}${this.#shown}A${ESC}G${ESC}J`;
  }
}
