import { expect } from 'vitest';
import { answers } from '../../cli/answers/answers.ts';
import type { EventName } from '../../cli/answers/versions.ts';
import type { Event } from './lockstep.ts';

/** An answer follows its schema, and has no field that the schema does not know. Returns its event. */
export function checkAnswer(answer: Event): EventName {
  const event = answer.event as EventName;
  expect(Object.keys(answers)).toContain(event);
  // Unknown fields are left out by parsing.
  expect(answers[event].parse(answer)).toEqual(answer);
  return event;
}

/** The answers among the lines of a command with --json; a listener's log lines are none. */
export function answersIn(text: string): Event[] {
  const lines = text.split('\n').filter((line) => line !== '');
  return lines.map((line) => JSON.parse(line) as Event).filter(({ event }) => event !== undefined);
}
