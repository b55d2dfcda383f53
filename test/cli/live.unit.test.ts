import { expect, test } from 'vitest';
import type { Answer } from '../../cli/answers/answers.ts';
import type { Output } from '../../cli/output.ts';
import { createLiveText } from '../../cli/text/live.ts';
import { plain } from '../../cli/text/paint.ts';
import { progressText } from '../../cli/text/progress.ts';

const answer: Answer = { event: 'backfill', targets: [] };

/** A place to draw on, a clock, and what was printed for machines. */
function stage({ isTTY, json = false, columns = 20 }: { isTTY: boolean; json?: boolean; columns?: number }) {
  let written = '';
  let nowMs = 0;
  const printed: Answer[] = [];
  const output: Output = {
    json,
    print: (given) => void printed.push(given),
    complain() {},
    say() {},
    paint: plain,
  };
  const stream = {
    isTTY,
    columns,
    write(text: string) {
      written += text;
      return true;
    },
  };
  const live = createLiveText(output, stream as NodeJS.WriteStream, () => nowMs);
  return {
    live,
    printed,
    written: () => written,
    pass(ms: number) {
      nowMs += ms;
    },
  };
}

test('on a terminal lines are drawn again in their place, cut to its width, and can be taken away', () => {
  const { live, written } = stage({ isTTY: true });
  live.show(answer, ['one', 'two that is much longer than the terminal']);
  live.show(answer, ['three']);
  expect(written()).toBe('one\ntwo that is much lon\n\x1b[2A\x1b[Jthree\n');
  live.clear();
  expect(written().endsWith('\x1b[1A\x1b[J')).toBe(true);
  // A terminal that does not know its width.
  const unknown = stage({ isTTY: true, columns: 0 });
  unknown.live.show(answer, ['whole']);
  expect(unknown.written()).toBe('whole\n');
});

test('elsewhere there are plain lines: the state every ten seconds, and the last one', () => {
  const { live, written, printed, pass } = stage({ isTTY: false });
  for (const line of ['a', 'b', 'c']) {
    live.show(answer, [line]);
    pass(4_000);
  }
  expect(written()).toBe('');
  live.show(answer, ['d']);
  expect(written()).toBe('d\n');
  live.show(answer, ['e']);
  live.end();
  live.end();
  expect([written(), printed]).toEqual(['d\ne\n', []]);
});

test('what would be cleared in the end is not told elsewhere', () => {
  const { live, written, pass } = stage({ isTTY: false });
  live.show(undefined, ['reading …']);
  pass(60_000);
  live.show(undefined, ['reading …']);
  live.clear();
  live.end();
  expect(written()).toBe('');
});

test('machines are told everything, and see no line', () => {
  for (const isTTY of [true, false]) {
    const { live, written, printed } = stage({ isTTY, json: true });
    live.show(answer, ['a']);
    live.show(undefined, ['b']);
    live.end();
    expect([written(), printed]).toEqual(['', [answer]]);
  }
});

test('a bar has as much of its length as is done, the rate and what is left', () => {
  const target = {
    id: 'x',
    reason: 'first start',
    requestedAt: '2026-01-01T00:00:00Z',
    finishedAt: null,
    paused: false,
    target: 'media_files',
    scopesDone: 250,
    scopesEstimated: 1000,
    rowsWritten: 300,
    startedAt: '2026-01-01T00:00:00Z',
    targetFinishedAt: null,
  };
  const nowMs = Date.parse('2026-01-01T00:00:10Z');
  expect(progressText(target, nowMs)).toBe(
    `media_files          ${'█'.repeat(6)}${'░'.repeat(18)}  25%  250 scopes, 300 rows written, 25 scopes/s, 30 s left`,
  );
  expect(progressText({ ...target, paused: true }, nowMs)).toMatch(/, paused$/);
  expect(progressText({ ...target, scopesDone: 0 }, nowMs)).toMatch(/ {2}0% {2}0 scopes, 300 rows written, waiting$/);
  expect(progressText({ ...target, targetFinishedAt: 'x' }, nowMs)).toMatch(
    /█{24} 100% {2}250 scopes, 300 rows written$/,
  );
});
