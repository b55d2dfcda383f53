import { z } from 'zod';
import { columnsOf } from '../changes.ts';
import { lockSubscriberSql, planSql } from '../plans.ts';
import type { SubscriptionRepository } from '../repositories.ts';
import type { Sql } from '../sql.ts';
import { subscriptionPlan, type UserSubscription, userSubscription } from '../types.ts';
import { subscriptionKey, type Touch } from './keys.ts';
import { checkLegacyLimit, legacyFeatures } from './limits.ts';
import { stored } from './stored.ts';

/**
 * Errata 4 and 6: of several active subscriptions the one with the latest end counts; a user without any has one that is
 * made up, with his own id, for the month after he came. Status NULL is active. A month is added in UTC.
 */
export const userSubscriptionSql = `
  SELECT coalesce(s.id, u.id) AS id, u.id AS "userId", u.subscription_plan AS "planId", 'active' AS status,
         coalesce(s.current_period_start, u.created_at) AS "currentPeriodStart", period.ends AS "currentPeriodEnd",
         ${stored('s.stripe_subscription_id', 255)} AS "stripeSubscriptionId",
         ${stored('s.stripe_customer_id', 255)} AS "stripeCustomerId",
         u.created_at AS "createdAt", u.updated_at AS "updatedAt"
  FROM public.users u
  LEFT JOIN public.subscriptions s ON s.user_id = u.id
  CROSS JOIN LATERAL (SELECT coalesce(s.current_period_end,
    (u.created_at AT TIME ZONE 'UTC' + interval '1 month') AT TIME ZONE 'UTC') AS ends) AS period
  WHERE u.id = $1 AND coalesce(s.status, 'active') = 'active'
  ORDER BY period.ends DESC, s.created_at DESC, coalesce(s.id, u.id) DESC
  LIMIT 1`;

export const createUserSql = `
  INSERT INTO public.users (id, email, display_name) VALUES ($1, $2, $3) ON CONFLICT (id) DO NOTHING`;
/** All but the one that counts, so that it alone decides what happens next. */
export const cancelOthersSql = `
  UPDATE public.subscriptions SET status = 'cancelled', updated_at = now()
  WHERE user_id = $1 AND coalesce(status, 'active') = 'active' AND id <> $2`;
export const insertSubscriptionSql = `
  INSERT INTO public.subscriptions (id, user_id, status, current_period_start, current_period_end, stripe_subscription_id,
    stripe_customer_id)
  VALUES ($1, $2, 'active', $3, $4, $5, $6) ON CONFLICT (id) DO NOTHING`;
/** The subscription that was made up until now. */
export const materializeSql = `
  INSERT INTO public.subscriptions (id, user_id, status)
  SELECT u.id, u.id, 'active' FROM public.users u
  WHERE u.id = $1 AND NOT EXISTS (SELECT FROM public.subscriptions s WHERE s.user_id = u.id)`;
export const updateSubscriptionSql = `
  UPDATE public.subscriptions s
  SET (status, current_period_start, current_period_end, stripe_subscription_id, stripe_customer_id) = (
    SELECT n.status, n.current_period_start, n.current_period_end, n.stripe_subscription_id, n.stripe_customer_id
    FROM jsonb_populate_record(s, $2::jsonb) AS n), updated_at = now()
  WHERE s.id = $1`;
export const setPlanSql = `
  UPDATE public.users SET subscription_plan = coalesce($2, subscription_plan), updated_at = now() WHERE id = $1`;
export const deleteSubscriptionsSql = 'DELETE FROM public.subscriptions WHERE user_id = $1';

const idRow = z.strictObject({ id: z.string() });

const columns = {
  status: 'status',
  currentPeriodStart: 'current_period_start',
  currentPeriodEnd: 'current_period_end',
  stripeSubscriptionId: 'stripe_subscription_id',
  stripeCustomerId: 'stripe_customer_id',
} as const;

export interface LegacySubscriptionRepository extends SubscriptionRepository {
  getUserSubscriptionLegacy(userId: string): Promise<UserSubscription | null>;
}

/** Subscriptions on subscriptions and users.subscription_plan. */
export function legacySubscriptions(sql: Sql, touch: Touch): LegacySubscriptionRepository {
  const getUserSubscription = (userId: string) => sql.row(userSubscription, userSubscriptionSql, [userId]);
  return {
    getUserSubscription,
    getUserSubscriptionLegacy: getUserSubscription,
    getSubscriptionPlan: (planId) => sql.row(subscriptionPlan, planSql, [planId]),
    getUserSubscriptionFeatures: (userId) => legacyFeatures(sql, userId),
    checkUserLimit: (userId, limit, amount = 1) => checkLegacyLimit(sql, userId, limit, amount),

    async createUser({ id, email, displayName }) {
      await sql.run(createUserSql, [id, email, displayName]);
      touch(subscriptionKey(id));
    },

    createSubscription: (userId, subscription) =>
      sql.transaction(async (tx) => {
        const { id, planId, currentPeriodStart, currentPeriodEnd, stripeSubscriptionId, stripeCustomerId } =
          subscription;
        if (!(await tx.row(idRow, lockSubscriberSql, [userId, planId]))) return false;
        await tx.run(cancelOthersSql, [userId, id]);
        const row = [id, userId, currentPeriodStart, currentPeriodEnd, stripeSubscriptionId, stripeCustomerId];
        await tx.run(insertSubscriptionSql, row);
        await tx.run(setPlanSql, [userId, planId]);
        touch(subscriptionKey(userId));
        return true;
      }),

    updateSubscription: (userId, changes) =>
      sql.transaction(async (tx) => {
        const planId = changes.planId ?? null;
        if (!(await tx.row(idRow, lockSubscriberSql, [userId, planId]))) return false;
        const active = await tx.row(userSubscription, userSubscriptionSql, [userId]);
        if (!active) return false;
        const changed = columnsOf(changes, columns);
        if (changed !== '{}') {
          await tx.run(materializeSql, [userId]);
          await tx.run(cancelOthersSql, [userId, active.id]);
          await tx.run(updateSubscriptionSql, [active.id, changed]);
        }
        await tx.run(setPlanSql, [userId, planId]);
        touch(subscriptionKey(userId));
        return true;
      }),

    deleteSubscriptions: (userId) =>
      sql.transaction(async (tx) => {
        if (!(await tx.row(idRow, lockSubscriberSql, [userId, null]))) return false;
        await tx.run(deleteSubscriptionsSql, [userId]);
        await tx.run(setPlanSql, [userId, 'free']);
        touch(subscriptionKey(userId));
        return true;
      }),
  };
}
