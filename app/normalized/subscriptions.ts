import { z } from 'zod';
import { columnsOf } from '../changes.ts';
import { lockSubscriberSql, planSql } from '../plans.ts';
import type { SubscriptionRepository } from '../repositories.ts';
import type { Sql } from '../sql.ts';
import { subscriptionFeatures, subscriptionPlan, userSubscription } from '../types.ts';

export const userSubscriptionSql = `
  SELECT id, user_id AS "userId", plan_id AS "planId", status, current_period_start AS "currentPeriodStart",
         current_period_end AS "currentPeriodEnd", stripe_subscription_id AS "stripeSubscriptionId",
         stripe_customer_id AS "stripeCustomerId", created_at AS "createdAt", updated_at AS "updatedAt"
  FROM public.user_subscriptions WHERE user_id = $1 AND status = 'active'`;
export const featuresSql = `
  SELECT plan_id AS "planId", features, max_projects AS "maxProjects", max_videos_per_month AS "maxVideosPerMonth",
         max_storage_gb AS "maxStorageGb", is_active AS "isActive"
  FROM public.get_user_subscription_features($1)`;
export const limitSql = 'SELECT public.check_user_limit($1, $2, $3) AS within';

export const createUserSql = `
  INSERT INTO public.users (id, email, display_name) VALUES ($1, $2, $3) ON CONFLICT (id) DO NOTHING`;
/** Legacy makes up a subscription for a user without any; here it is a row, with the user's id (erratum 6). */
export const insertFreeSql = `
  INSERT INTO public.user_subscriptions (id, user_id, plan_id, status, current_period_start, current_period_end, created_at,
    updated_at)
  SELECT u.id, u.id, 'free', 'active', u.created_at, (u.created_at AT TIME ZONE 'UTC' + interval '1 month') AT TIME ZONE 'UTC',
         u.created_at, u.updated_at
  FROM public.users u
  WHERE u.id = $1 AND NOT EXISTS (SELECT FROM public.user_subscriptions us WHERE us.user_id = u.id)`;
/** In legacy a subscription that was made up is gone as soon as there is a real one. */
export const deleteMadeUpSql = `
  DELETE FROM public.user_subscriptions us USING public.users u
  WHERE us.user_id = $1 AND us.id = $1 AND u.id = $1 AND us.current_period_start = u.created_at
    AND us.stripe_subscription_id IS NULL AND us.status = 'active'`;
export const cancelSql = `
  UPDATE public.user_subscriptions SET status = 'cancelled', updated_at = now() WHERE user_id = $1 AND status = 'active'`;
/** created_at is the user's, as that of the rows that have come from legacy. */
export const insertSubscriptionSql = `
  INSERT INTO public.user_subscriptions (id, user_id, plan_id, status, current_period_start, current_period_end,
    stripe_subscription_id, stripe_customer_id, created_at)
  SELECT $1, u.id, $3, 'active', $4, $5, $6, $7, u.created_at FROM public.users u WHERE u.id = $2
  ON CONFLICT (id) DO NOTHING`;
export const updateSubscriptionSql = `
  UPDATE public.user_subscriptions us
  SET (plan_id, status, current_period_start, current_period_end, stripe_subscription_id, stripe_customer_id) = (
    SELECT n.plan_id, n.status, n.current_period_start, n.current_period_end, n.stripe_subscription_id, n.stripe_customer_id
    FROM jsonb_populate_record(us, $2::jsonb) AS n), updated_at = now()
  WHERE us.user_id = $1 AND us.status = 'active'`;
/** Legacy has one time for a user and his subscription. */
export const touchUserSql = 'UPDATE public.users SET updated_at = now() WHERE id = $1';
export const deleteSubscriptionsSql = 'DELETE FROM public.user_subscriptions WHERE user_id = $1';

const idRow = z.strictObject({ id: z.string() });

const columns = {
  planId: 'plan_id',
  status: 'status',
  currentPeriodStart: 'current_period_start',
  currentPeriodEnd: 'current_period_end',
  stripeSubscriptionId: 'stripe_subscription_id',
  stripeCustomerId: 'stripe_customer_id',
} as const;

/** Subscriptions on user_subscriptions. */
export function normalizedSubscriptions(sql: Sql): SubscriptionRepository {
  return {
    getUserSubscription: (userId) => sql.row(userSubscription, userSubscriptionSql, [userId]),
    getSubscriptionPlan: (planId) => sql.row(subscriptionPlan, planSql, [planId]),
    getUserSubscriptionFeatures: (userId) => sql.row(subscriptionFeatures, featuresSql, [userId]),

    async checkUserLimit(userId, limit, amount = 1) {
      const answer = await sql.row(z.strictObject({ within: z.boolean() }), limitSql, [userId, limit, amount]);
      return answer?.within === true;
    },

    createUser: ({ id, email, displayName }) =>
      sql.transaction(async (tx) => {
        await tx.run(createUserSql, [id, email, displayName]);
        await tx.run(insertFreeSql, [id]);
      }),

    createSubscription: (userId, subscription) =>
      sql.transaction(async (tx) => {
        const { id, planId, currentPeriodStart, currentPeriodEnd, stripeSubscriptionId, stripeCustomerId } =
          subscription;
        if (!(await tx.row(idRow, lockSubscriberSql, [userId, planId]))) return false;
        await tx.run(deleteMadeUpSql, [userId]);
        await tx.run(cancelSql, [userId]);
        const row = [id, userId, planId, currentPeriodStart, currentPeriodEnd, stripeSubscriptionId, stripeCustomerId];
        await tx.run(insertSubscriptionSql, row);
        await tx.run(touchUserSql, [userId]);
        return true;
      }),

    updateSubscription: (userId, changes) =>
      sql.transaction(async (tx) => {
        if (!(await tx.row(idRow, lockSubscriberSql, [userId, changes.planId ?? null]))) return false;
        if ((await tx.run(updateSubscriptionSql, [userId, columnsOf(changes, columns)])) === 0) return false;
        await tx.run(touchUserSql, [userId]);
        return true;
      }),

    deleteSubscriptions: (userId) =>
      sql.transaction(async (tx) => {
        if (!(await tx.row(idRow, lockSubscriberSql, [userId, null]))) return false;
        await tx.run(deleteSubscriptionsSql, [userId]);
        await tx.run(touchUserSql, [userId]);
        await tx.run(insertFreeSql, [userId]);
        return true;
      }),
  };
}
