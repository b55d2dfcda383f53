import { z } from 'zod';
import type { Sql } from '../sql.ts';
import { type SubscriptionFeatures, subscriptionFeatures, type UserLimit } from '../types.ts';
import { storedBytesSql } from './media-sql.ts';

/*
 * What step 003's functions answer, from the legacy tables: until a user reads the normalized schema they would answer
 * from tables that may not be filled yet. Erratum 16 holds here as there.
 */

export const featuresSql = `
  SELECT p.id AS "planId", p.features, p.max_projects AS "maxProjects", p.max_videos_per_month AS "maxVideosPerMonth",
         p.max_storage_gb AS "maxStorageGb", best.ends > now() AS "isActive"
  FROM public.users u
  JOIN public.subscription_plans p ON p.id = u.subscription_plan
  CROSS JOIN LATERAL (
    SELECT max(coalesce(s.current_period_end, month.later)) AS ends
    FROM (SELECT (u.created_at AT TIME ZONE 'UTC' + interval '1 month') AT TIME ZONE 'UTC' AS later) AS month
    LEFT JOIN public.subscriptions s ON s.user_id = u.id
    WHERE coalesce(s.status, 'active') = 'active'
  ) AS best
  WHERE u.id = $1 AND best.ends IS NOT NULL`;

export const projectsSql = `
  SELECT count(*)::numeric + $3::integer <= $2::numeric AS within FROM public.video_projects
  WHERE user_id = $1 AND status IS DISTINCT FROM 'deleted'`;
export const videosSql = `
  SELECT count(*)::numeric + $3::integer <= $2::numeric AS within
  FROM public.generated_videos gv JOIN public.video_projects vp ON vp.id = gv.project_id
  WHERE vp.user_id = $1 AND gv.status = 'completed' AND gv.completed_at >= date_trunc('month', now())`;
export const storageSql = `
  SELECT bytes + $3::integer * 1024::numeric ^ 3 <= $2::numeric * 1024::numeric ^ 3 AS within
  FROM (${storedBytesSql}) AS stored`;

const limits = {
  projects: { sql: projectsSql, most: 'maxProjects' },
  videos_per_month: { sql: videosSql, most: 'maxVideosPerMonth' },
  storage_gb: { sql: storageSql, most: 'maxStorageGb' },
} as const;

export function legacyFeatures(sql: Sql, userId: string): Promise<SubscriptionFeatures | null> {
  return sql.row(subscriptionFeatures, featuresSql, [userId]);
}

export async function checkLegacyLimit(sql: Sql, userId: string, limit: UserLimit, amount: number): Promise<boolean> {
  const features = await legacyFeatures(sql, userId);
  if (!features?.isActive || !Object.hasOwn(limits, limit)) return false;
  const most = features[limits[limit].most];
  if (most === null || most === -1) return most === -1;
  const answer = await sql.row(z.strictObject({ within: z.boolean() }), limits[limit].sql, [userId, most, amount]);
  return answer?.within === true;
}
