import type { Answer } from './answers/answers.ts';
import { answerVersions } from './answers/versions.ts';
import { type Paint, painterOf } from './text/paint.ts';

/** Where a command says what it has found: text for people, or one JSON object a line for machines; never both. */
export interface Output {
  readonly json: boolean;
  /** `answer` for machines; `text` for people, without the final line end (empty: nothing). Both go to stdout. */
  print(answer: Answer, text: string): void;
  /** The same, to stderr. */
  complain(answer: Answer, text: string): void;
  /** For people only. */
  say(text: string): void;
  /** Colours the text that goes to stdout, where that is a terminal. */
  readonly paint: Paint;
}

export function createOutput(json: boolean): Output {
  const say = (stream: NodeJS.WriteStream, text: string) => {
    if (!json && text !== '') stream.write(`${text}\n`);
  };
  const writeTo = (stream: NodeJS.WriteStream) => (answer: Answer, text: string) => {
    const { event, ...rest } = answer;
    if (json) stream.write(`${JSON.stringify({ event, version: answerVersions[event], ...rest })}\n`);
    else say(stream, text);
  };
  return {
    json,
    print: writeTo(process.stdout),
    complain: writeTo(process.stderr),
    say: (text) => say(process.stdout, text),
    paint: painterOf(process.stdout),
  };
}

/** `lockstep status | head -1` closes our output while we write: that ends the process, and is no error. */
export function tolerateClosedOutput(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') process.exit();
      throw error;
    });
  }
}
