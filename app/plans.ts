/** Plans are new in the normalized schema and there is one table of them, whatever side the rest is read from. */
export const planSql = `
  SELECT id, name, display_order AS "displayOrder", price_cents AS "priceCents", billing_interval AS "billingInterval",
         currency, max_projects AS "maxProjects", max_videos_per_month AS "maxVideosPerMonth",
         max_storage_gb AS "maxStorageGb", features, is_active AS "isActive", description
  FROM public.subscription_plans WHERE id = $1`;

/** Locks a user whose subscription is to be changed, if there is such a plan (NULL: the plan does not change). */
export const lockSubscriberSql = `
  SELECT u.id FROM public.users u
  WHERE u.id = $1 AND ($2::text IS NULL OR EXISTS (SELECT FROM public.subscription_plans p WHERE p.id = $2))
  FOR NO KEY UPDATE OF u`;

/** Locks a project, so that whoever else adds to it or orders it waits; answers its owner. */
export const lockProjectSql = `
  SELECT vp.user_id AS id FROM public.video_projects vp JOIN public.users u ON u.id = vp.user_id
  WHERE vp.id = $1 FOR NO KEY UPDATE OF vp`;
