import type { Output } from '../output.ts';

/** Lines that are drawn again in their place while something goes on. */
export interface LiveText {
  show(data: Readonly<Record<string, unknown>>, lines: readonly string[]): void;
  /** Takes the lines away, so that something else can be printed. */
  clear(): void;
  /** Leaves the lines as they are. */
  end(): void;
}

/** On a terminal, lines that replace the ones before; otherwise only their data, with --json, and nothing as text. */
export function createLiveText(output: Output, stream: NodeJS.WriteStream = process.stdout): LiveText {
  const live = stream.isTTY === true && !output.json;
  let drawn = 0;
  let last = '';
  const clear = () => {
    if (drawn > 0) stream.write(`\x1b[${drawn}A\x1b[J`);
    drawn = 0;
  };
  return {
    show(data, lines) {
      if (!live) {
        output.print(data, '');
        last = lines.join('\n');
        return;
      }
      clear();
      for (const line of lines) stream.write(`${line.slice(0, stream.columns ?? line.length)}\n`);
      drawn = lines.length;
    },
    clear,
    end() {
      // Where nothing could be drawn, the last state is worth keeping.
      if (!live && !output.json && last !== '') stream.write(`${last}\n`);
      drawn = 0;
      last = '';
    },
  };
}
