import { type Pace, paceOfRun } from '../engine/backfill/progress.ts';
import type { Status } from '../engine/status/status.ts';
import type { Next, Station, Verdict } from './model.ts';
import { countText, durationText, plural } from './text.ts';

/** A lag that people notice; below it, everything that was committed is as good as applied. */
const noticeableLagSeconds = 10;

type Facts = Pick<Status, 'phase' | 'findings' | 'lag' | 'backfill' | 'quarantine' | 'validation'>;

/** What the page says first. What is broken comes before what is going on, and that before what someone should look at. */
export function verdictOf(status: Facts, nowMs: number): Verdict {
  const broken = status.findings.find(({ level }) => level === 'broken');
  if (broken) return { level: 'broken', ...split(broken.text) };
  if (status.phase === 'complete') {
    return { level: 'well', title: 'Complete', text: 'There is one schema, and nothing left to keep in step.' };
  }
  const unfinished = status.backfill.filter(({ finishedAt }) => finishedAt === null);
  if (unfinished.length > 0)
    return backfilling(
      unfinished.some(({ paused }) => paused),
      paceOfRun(unfinished, nowMs),
    );
  if (status.validation?.verdict === 'differs') {
    return {
      level: 'attention',
      title: `${plural(status.validation.rowsDrifted, 'row')} had drifted`,
      text: `The last validation, ${durationText(status.validation.secondsAgo)} ago, found them. Synchronization goes on.`,
    };
  }
  if (status.lag.seconds > noticeableLagSeconds) {
    return {
      level: 'working',
      title: `Catching up, ${durationText(status.lag.seconds)} behind`,
      text: 'Changes are being applied; the oldest that is not is that old.',
    };
  }
  const scopes = status.quarantine.reduce((sum, group) => sum + group.scopes, 0);
  if (scopes > 0) {
    const text =
      'Their rows do not fit the new schema. Everything else is kept in step; they come back once they are mended.';
    return { level: 'attention', title: `In step, but for ${plural(scopes, 'scope')} in quarantine`, text };
  }
  const [finding] = status.findings;
  if (finding) return { level: 'attention', ...split(finding.text) };
  const turned = status.phase === 'reverse' ? 'The new schema is the truth, and legacy follows. ' : '';
  return { level: 'well', title: 'In step', text: `${turned}${lagSentence(status)} ${validationSentence(status)}` };
}

function backfilling(paused: boolean, { share, scopesPerSecond, secondsLeft }: Pace): Verdict {
  const title = `Backfill ${paused ? 'paused' : 'running'}, ${Math.floor(share * 100)} % done`;
  if (paused)
    return {
      level: 'attention',
      title,
      text: 'Changes are applied all the same. `lockstep backfill --resume` goes on.',
    };
  if (scopesPerSecond === undefined || secondsLeft === undefined) {
    return { level: 'working', title, text: 'It has just begun. Changes are applied all the while.' };
  }
  const text = `About ${durationText(secondsLeft)} left, at ${countText(scopesPerSecond)} scopes a second. Changes are applied all the while.`;
  return { level: 'working', title, text };
}

function lagSentence({ lag }: Facts): string {
  return lag.seconds < 1
    ? 'What was committed a second ago is applied.'
    : `What was committed ${durationText(lag.seconds)} ago is applied.`;
}

function validationSentence({ validation }: Facts): string {
  if (!validation) return 'It has never been validated.';
  const when = `${durationText(validation.secondsAgo)} ago`;
  if (validation.verdict === null) return `A validation that began ${when} is not finished.`;
  if (validation.verdict === 'unproven') return `The last validation, ${when}, could not prove everything.`;
  const rows = validation.samplePercent === null ? 'Every row' : `A sample of ${validation.samplePercent} %`;
  return `${rows}${validation.whole ? '' : ' of some targets'} agreed ${when}.`;
}

/** A finding's first sentence is what is the matter. */
function split(text: string): { title: string; text: string } {
  const end = text.search(/[.:] (?=[A-Z])|: /);
  if (end < 0) return { title: text.replace(/\.$/, ''), text: '' };
  const rest = text.slice(end + 2);
  return { title: text.slice(0, end), text: rest.charAt(0).toUpperCase() + rest.slice(1) };
}

const done = (backfill: Status['backfill']) =>
  backfill.length > 0 && backfill.every(({ finishedAt }) => finishedAt !== null);

/** What comes next, while nothing is broken: a finding that is says itself what to do. */
export function nextOf(status: Facts & Pick<Status, 'slot'> & { readonly armed?: boolean }): Next {
  const broken = status.findings.find(({ level }) => level === 'broken');
  if (broken) return { text: 'First this: see above.', command: null };
  if (status.phase === 'complete') return { text: 'Nothing: the migration has come to its end.', command: null };
  if (!status.slot)
    return { text: 'Start the listener. It asks for the first backfill by itself.', command: 'lockstep listen' };
  // The way back begins equal: it has no backfill of its own until someone asks for one.
  if (!done(status.backfill) && (status.phase === 'forward' || status.backfill.length > 0))
    return { text: 'Let the backfill finish, then compare every row.', command: 'lockstep backfill --status' };
  if (status.quarantine.length > 0) {
    return { text: 'Mend the rows in quarantine, then have them merged again.', command: 'lockstep retry' };
  }
  if (status.validation?.verdict === 'differs') {
    return {
      text: 'Look at the report, then let the rows that drifted be merged.',
      command: 'lockstep validate --repair',
    };
  }
  const { validation } = status;
  if (validation?.verdict !== 'agrees' || validation.samplePercent !== null || !validation.whole) {
    return { text: 'Compare every row; it is made for live traffic.', command: 'lockstep validate' };
  }
  if (status.phase === 'reverse') {
    return { text: 'Watch the application on the new schema. A rollback can still bring it back.', command: null };
  }
  if (status.armed) {
    return { text: 'The way back is prepared. See what is against a cutover.', command: 'lockstep cutover --dry-run' };
  }
  return { text: 'Nothing is due. Validate again from time to time.', command: 'lockstep validate' };
}

/** The way of a migration, and where on it this one is. */
export function stationsOf({ phase, backfill, slot }: Pick<Status, 'phase' | 'backfill' | 'slot'>): Station[] {
  const names: [string, string][] = [
    ['Capture', 'changes of the legacy tables are read'],
    ['Backfill', 'what was there before is derived'],
    ['Forward', 'legacy is the truth, the new schema follows'],
    ['Reverse', 'the new schema is the truth, legacy follows'],
    ['Complete', 'one schema'],
  ];
  const at = { forward: !slot ? 0 : done(backfill) ? 2 : 1, reverse: 3, complete: 4 }[phase];
  return names.map(([name, text], index) => {
    const state = index < at ? 'done' : index === at ? 'current' : 'ahead';
    return { name, text, state };
  });
}
