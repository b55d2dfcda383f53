import type { z } from 'zod';
import { machine } from './machine.ts';
import { preparing } from './preparing.ts';
import { running } from './running.ts';
import { turning } from './turning.ts';
import type { EventName } from './versions.ts';

/** By event, the schema of every answer that a command gives with --json. docs/json.md and docs/schema are made of it. */
export const answers = { ...machine, ...preparing, ...running, ...turning } as const satisfies Record<
  EventName,
  z.ZodObject
>;

type Readonlys<T> = T extends readonly (infer Element)[]
  ? readonly Readonlys<Element>[]
  : T extends object
    ? { readonly [Name in keyof T]: Readonlys<T[Name]> }
    : T;

/** What a command says for machines; its version is added when it is printed. */
export type Answer = {
  [Event in EventName]: Readonlys<Omit<z.infer<(typeof answers)[Event]>, 'version'>>;
}[EventName];
