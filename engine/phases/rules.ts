import { LockstepError } from '../errors.ts';
import { nameOf, quote, quoteRelation } from '../identifiers.ts';
import type { Target } from '../migration/contract.ts';
import { type Queryable, textRows } from '../text-query.ts';

/** Rules of views are what makes them views; a disabled rule does nothing. */
const rulesSql = `
  SELECT r.rulename AS name
  FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p') AND r.ev_type <> '1' AND r.ev_enabled <> 'D'
  ORDER BY r.rulename LIMIT 1`;

/**
 * Refuses a target that a rewrite rule is on: the server takes no INSERT … ON CONFLICT and no RETURNING there, so that every
 * merge would fail, and only once the direction has changed. https://www.postgresql.org/docs/current/rules-update.html
 *
 * @throws LockstepError LS_TARGET_RULE
 */
export async function refuseRules(db: Queryable, targets: readonly Target[]): Promise<void> {
  for (const { relation } of targets) {
    const [rule] = await textRows<{ name: string }>(db, rulesSql, [relation.schema, relation.name]);
    if (!rule) continue;
    throw new LockstepError(
      'LS_TARGET_RULE',
      `Table ${nameOf(relation)} has the rewrite rule "${rule.name}", and Lockstep cannot write to a table with one ` +
        `(DROP RULE ${quote(rule.name)} ON ${quoteRelation(relation)}).`,
    );
  }
}
