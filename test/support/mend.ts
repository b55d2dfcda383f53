const refused = (target: string) =>
  `(SELECT scope[1]::uuid FROM lockstep.quarantine WHERE direction = 'forward' AND target = '${target}')`;

/** PhotoMemory's legacy rows that are in quarantine become rows that the normalized tables take, or go. */
export const mendTrialSql = `
  UPDATE users SET subscription_plan = 'free' WHERE id IN ${refused('user_subscriptions')}
    AND NOT EXISTS (SELECT FROM subscription_plans p WHERE p.id = subscription_plan);
  UPDATE photos SET upload_order = 1 WHERE project_id IN ${refused('project_media')};
  UPDATE subscriptions SET stripe_subscription_id = NULL, stripe_customer_id = NULL
  WHERE user_id IN ${refused('user_subscriptions')};
  DELETE FROM photos WHERE id IN ${refused('media_files')};
  DELETE FROM media_items WHERE id IN ${refused('media_files')};
  DELETE FROM generated_videos WHERE id IN ${refused('generation_jobs')} OR id IN ${refused('media_files')}`;

/** Legacy keeps each user's total by hand; the normalized tables know it. */
export const mendTotalsSql = `
  UPDATE users u SET total_storage_bytes = r.total_storage_bytes FROM lockstep_reverse.users r
  WHERE r.id = u.id AND u.total_storage_bytes IS DISTINCT FROM r.total_storage_bytes`;
