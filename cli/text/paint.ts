import { styleText } from 'node:util';

export type Tone = 'good' | 'attention' | 'bad';

/** Text in a colour that says what its words say as well. */
export type Paint = (tone: Tone, text: string) => string;

export const plain: Paint = (_tone, text) => text;

const colours = { good: 'green', attention: 'yellow', bad: 'red' } as const;

/** Colours for a terminal; none for anything else, nor where NO_COLOR is set (https://no-color.org). */
export function painterOf(stream: NodeJS.WriteStream): Paint {
  if (process.env.NO_COLOR) return plain;
  return (tone, text) => styleText(colours[tone], text, { stream });
}
