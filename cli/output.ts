/** Where a command says what it has found: text for people, or one JSON object a line for machines; never both. */
export interface Output {
  readonly json: boolean;
  /** `data` for machines; `text` for people, without the final line end (empty: nothing). Both go to stdout. */
  print(data: Readonly<Record<string, unknown>>, text: string): void;
  /** The same, to stderr. */
  complain(data: Readonly<Record<string, unknown>>, text: string): void;
}

export function createOutput(json: boolean): Output {
  const writeTo = (stream: NodeJS.WriteStream) => (data: Readonly<Record<string, unknown>>, text: string) => {
    if (json) stream.write(`${JSON.stringify(data)}\n`);
    else if (text !== '') stream.write(`${text}\n`);
  };
  return { json, print: writeTo(process.stdout), complain: writeTo(process.stderr) };
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
