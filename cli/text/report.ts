import type { CheckResult, TargetReport, ValidationReport } from '../../engine/validate/report.ts';
import { type Paint, plain } from './paint.ts';
import { countText, durationText } from './units.ts';

const tones = { agrees: 'good', differs: 'bad', unproven: 'attention' } as const;

/** How many differing rows of a target are printed. */
const shownRows = 5;

/** A validation's result for people: a line for each target, the first differing rows, and the verdict with its reasons. */
export function reportText(report: ValidationReport, paint: Paint = plain): string {
  const verdict = { agrees: 'Every target agrees', differs: 'NOT every target agrees', unproven: 'Nothing is proved' }[
    report.verdict
  ];
  return [
    ...report.targets.flatMap(targetLines),
    ...checkLines(report.checks),
    ...report.reasons,
    paint(tones[report.verdict], `${verdict} (${durationText(report.spentMs / 1000)}).`),
  ].join('\n');
}

function targetLines(target: TargetReport): string[] {
  const counts = `${countText(target.compared)} rows compared, ${countText(target.quarantined.scopes)} scopes in quarantine`;
  const state = stateText(target);
  const rows = target.drift.slice(0, shownRows).map(({ kind, key, columns, repairedAt }) => {
    const named = Object.entries(key).map(([column, value]) => `${column} ${value}`);
    const which = Object.keys(columns).length > 0 ? ` in ${Object.keys(columns).join(', ')}` : '';
    return `    ${kind}${which}: ${named.join(', ')}${repairedAt === null ? '' : ' (repaired)'}`;
  });
  return [`  ${target.target.padEnd(20)} ${state}: ${counts}`, ...rows];
}

function stateText({ missing, extra, different, repaired, complete, unsettled }: TargetReport): string {
  const differing = missing + extra + different;
  if (differing > repaired) return `DIFFERS (${missing} missing, ${extra} too many, ${different} different)`;
  if (!complete) return 'was not compared to its end';
  if (unsettled.scopes > 0) return `NOT PROVED for ${countText(unsettled.scopes)} scopes`;
  return differing === 0 ? 'agrees' : `agrees again, ${countText(repaired)} rows repaired`;
}

const said = { pass: 'pass', fail: 'FAIL', moving: 'move with the traffic' } as const;

/** How many of the migration's checks came to each outcome, and the names of those that did not pass. */
function checkLines(checks: readonly CheckResult[]): string[] {
  const outcomes = (['pass', 'fail', 'moving'] as const).flatMap((outcome) => {
    const names = checks.filter((check) => check.outcome === outcome).map(({ name }) => name);
    if (names.length === 0) return [];
    return `${countText(names.length)} ${said[outcome]}${outcome === 'pass' ? '' : ` (${names.join(', ')})`}`;
  });
  return outcomes.length === 0 ? [] : [`  ${'counts and rules'.padEnd(20)} ${outcomes.join(', ')}`];
}
