import type { Answer } from '../answers/answers.ts';
import type { Output } from '../output.ts';

/** Lines that are drawn again in their place while something goes on. */
export interface LiveText {
  /** `answer`: for machines; undefined: they are not told. */
  show(answer: Answer | undefined, lines: readonly string[]): void;
  /** Takes the lines away, so that something else can be printed. */
  clear(): void;
  /** Leaves the lines as they are. */
  end(): void;
}

/** How often a log is told, where nothing can be drawn again. */
const tellEveryMs = 10_000;

/**
 * On a terminal, lines that replace the ones before. Otherwise plain ones: of what is left standing in the end (`answer`
 * is given) the state every ten seconds and the last one, and nothing of what would be cleared. With --json only data.
 */
export function createLiveText(
  output: Output,
  stream: Pick<NodeJS.WriteStream, 'isTTY' | 'columns' | 'write'> = process.stdout,
  nowMs: () => number = Date.now,
): LiveText {
  const live = stream.isTTY === true && !output.json;
  let drawn = 0;
  let untold: string | undefined;
  let toldAtMs = nowMs();
  const tell = () => {
    if (untold !== undefined && untold !== '') stream.write(`${untold}\n`);
    untold = undefined;
    toldAtMs = nowMs();
  };
  const clear = () => {
    if (drawn > 0) stream.write(`\x1b[${drawn}A\x1b[J`);
    drawn = 0;
  };
  return {
    show(answer, lines) {
      if (live) {
        clear();
        for (const line of lines) stream.write(`${line.slice(0, stream.columns || line.length)}\n`);
        drawn = lines.length;
      } else if (answer && output.json) output.print(answer, '');
      else if (answer) {
        untold = lines.join('\n');
        if (nowMs() - toldAtMs >= tellEveryMs) tell();
      }
    },
    clear,
    end() {
      // Where nothing could be drawn, the last state is worth keeping.
      if (!live) tell();
      drawn = 0;
    },
  };
}
