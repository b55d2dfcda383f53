-- Phase 2.1 of the strategy: what user_subscriptions holds, as a view, and the way back: what subscriptions and users hold
-- while the normalized tables are the truth. The engine keeps the tables equal to the views (backfill, live changes,
-- repair), so the strategy's INSERT and its counts are not run here; 007 has the counts.

CREATE SCHEMA lockstep_forward;

-- How a text is stored in a column VARCHAR(max_length): an assignment drops excess characters when all of them are
-- spaces (SQL standard), and refuses any other text that is too long. The view must say what is stored, and must leave
-- a text that is refused as it is, so that the write fails (22001) and only its own row is quarantined (erratum 12).
-- https://www.postgresql.org/docs/current/datatype-character.html
CREATE FUNCTION lockstep_forward.as_stored(value TEXT, max_length INTEGER) RETURNS VARCHAR
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
  WHEN length(value) > max_length AND rtrim(substr(value, max_length + 1), ' ') = '' THEN left(value, max_length)
  ELSE value
END;

-- A month is added in UTC: in the session's time zone the sum would depend on who reads the view.
CREATE FUNCTION lockstep_forward.month_after(moment TIMESTAMPTZ) RETURNS TIMESTAMPTZ
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (moment AT TIME ZONE 'UTC' + INTERVAL '1 month') AT TIME ZONE 'UTC';

-- One row for each subscription of a user that exists, and one for each user without any.
-- Orphaned subscriptions are left out, and listed by lockstep_forward.orphans (erratum 14).
--
-- Here and in 005 and 006 a parent is looked up by LATERAL ... OFFSET 0, which the planner cannot turn into a hash join:
-- whatever it believes about sizes, deriving a few scopes costs as many index lookups as they have rows, and never a
-- reading of the whole parent table.
CREATE VIEW lockstep_forward.user_subscriptions AS
SELECT
  derived.id,
  derived.user_id,
  derived.plan_id,
  -- Erratum 4: of several active ones the best stays active, the others become cancelled.
  CASE
    WHEN derived.status = 'active' AND row_number() OVER (
      PARTITION BY derived.user_id, derived.status
      ORDER BY derived.current_period_end DESC, derived.subscription_created_at DESC, derived.id DESC
    ) > 1 THEN 'cancelled'
    ELSE derived.status
  END AS status,
  derived.current_period_start,
  derived.current_period_end,
  derived.stripe_subscription_id,
  derived.stripe_customer_id,
  derived.created_at,
  derived.updated_at
FROM (
  SELECT
    -- Erratum 6: derived, not random; a re-run makes the same rows.
    coalesce(s.id, u.id) AS id,
    u.id AS user_id,
    -- Erratum 7: a plan that subscription_plans lacks is refused by the foreign key, for this user only.
    u.subscription_plan::VARCHAR AS plan_id,
    coalesce(s.status, 'active'::public.subscription_status) AS status,
    coalesce(s.current_period_start, u.created_at) AS current_period_start,
    coalesce(s.current_period_end, lockstep_forward.month_after(u.created_at)) AS current_period_end,
    lockstep_forward.as_stored(s.stripe_subscription_id, 255) AS stripe_subscription_id,
    lockstep_forward.as_stored(s.stripe_customer_id, 255) AS stripe_customer_id,
    u.created_at,
    u.updated_at,
    s.created_at AS subscription_created_at
  FROM public.users u
  LEFT JOIN LATERAL (SELECT * FROM public.subscriptions WHERE user_id = u.id OFFSET 0) AS s ON TRUE
) AS derived;

-- Erratum 4: the users whose legacy subscriptions cannot all stay active, for `plan` and the report.
CREATE VIEW lockstep_forward.subscription_conflicts AS
SELECT
  user_id,
  count(*) AS active_subscriptions,
  (array_agg(id) FILTER (WHERE status = 'active'))[1] AS kept_id,
  array_agg(id ORDER BY id) FILTER (WHERE status <> 'active') AS cancelled_ids
FROM (
  SELECT v.user_id, v.id, v.status
  FROM lockstep_forward.user_subscriptions v
  JOIN public.subscriptions s ON s.id = v.id
  WHERE coalesce(s.status, 'active') = 'active'
) AS active
GROUP BY user_id
HAVING count(*) > 1;

-- The way back. A legacy row keeps whatever the normalized row does not contradict: a NULL for which the forward view has
-- a substitute stays NULL as long as the substitute stands. So without a write to the normalized tables nothing is
-- written to the legacy ones, and what only they hold (orphans, refused rows, columns that were not carried over) stays.
CREATE SCHEMA lockstep_reverse;

-- `original` while what it became, `carried`, is still what is stored; carried is NULL where there is no legacy row.
CREATE FUNCTION lockstep_reverse.unless_changed(original ANYCOMPATIBLE, carried ANYCOMPATIBLE, stored ANYCOMPATIBLE)
RETURNS ANYCOMPATIBLE
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS 'SELECT CASE WHEN carried = stored THEN original ELSE stored END';

-- Scopes that the new schema refused: the legacy rows in them were never carried over, so their absence from the
-- normalized tables does not mean that they were deleted.
CREATE VIEW lockstep_reverse.refused AS
SELECT q.target, q.scope
FROM lockstep.quarantine q
WHERE q.direction = 'forward';

-- The subscription that erratum 6 makes up for a user without any is no legacy row, until something is set in it (its
-- plan is users.subscription_plan) or another one joins it: then it becomes one, with the user's id.
CREATE VIEW lockstep_reverse.subscriptions AS
SELECT
  kept.id,
  kept.user_id,
  kept.status,
  kept.current_period_start,
  kept.current_period_end,
  kept.stripe_subscription_id,
  kept.stripe_customer_id,
  kept.created_at,
  -- user_subscriptions.updated_at comes from the user, not from the legacy subscription: it says something about the
  -- latter only once something in it has changed.
  CASE
    WHEN (kept.user_id, kept.status, kept.current_period_start, kept.current_period_end,
          kept.stripe_subscription_id, kept.stripe_customer_id)
      IS NOT DISTINCT FROM
         (kept.legacy_user_id, kept.legacy_status, kept.legacy_period_start, kept.legacy_period_end,
          kept.legacy_stripe_subscription_id, kept.legacy_stripe_customer_id)
      THEN kept.legacy_updated_at
    ELSE kept.updated_at
  END AS updated_at
FROM (
  SELECT
    twin.id,
    twin.user_id,
    CASE
      WHEN coalesce(twin.legacy_status, 'active') = twin.status AND twin.legacy_id IS NOT NULL THEN twin.legacy_status
      -- Erratum 4: it was cancelled only because another one is better, and that other one is still active.
      WHEN twin.status = 'cancelled' AND coalesce(twin.legacy_status, 'active') = 'active' AND twin.legacy_id IS NOT NULL
        AND (twin.current_period_end, twin.created_at, twin.id) < (twin.best_period_end, twin.best_created_at, twin.best_id)
        THEN twin.legacy_status
      ELSE twin.status
    END AS status,
    lockstep_reverse.unless_changed(twin.legacy_period_start, coalesce(twin.legacy_period_start, twin.joined_at),
      twin.current_period_start) AS current_period_start,
    lockstep_reverse.unless_changed(twin.legacy_period_end,
      coalesce(twin.legacy_period_end, lockstep_forward.month_after(twin.joined_at)), twin.current_period_end)
      AS current_period_end,
    lockstep_reverse.unless_changed(twin.legacy_stripe_subscription_id,
      lockstep_forward.as_stored(twin.legacy_stripe_subscription_id, 255), twin.stripe_subscription_id)
      AS stripe_subscription_id,
    lockstep_reverse.unless_changed(twin.legacy_stripe_customer_id,
      lockstep_forward.as_stored(twin.legacy_stripe_customer_id, 255), twin.stripe_customer_id) AS stripe_customer_id,
    twin.created_at,
    twin.updated_at,
    twin.legacy_user_id,
    twin.legacy_status,
    twin.legacy_period_start,
    twin.legacy_period_end,
    twin.legacy_stripe_subscription_id,
    twin.legacy_stripe_customer_id,
    twin.legacy_updated_at
  FROM (
    SELECT
      us.id,
      us.user_id,
      us.status,
      us.current_period_start,
      us.current_period_end,
      us.stripe_subscription_id::TEXT AS stripe_subscription_id,
      us.stripe_customer_id::TEXT AS stripe_customer_id,
      coalesce(s.created_at, us.created_at) AS created_at,
      us.updated_at,
      s.id AS legacy_id,
      s.user_id AS legacy_user_id,
      s.status AS legacy_status,
      -- With a legacy row a NULL period stands for the user's; without one nothing does.
      s.current_period_start AS legacy_period_start,
      s.current_period_end AS legacy_period_end,
      CASE WHEN s.id IS NOT NULL THEN u.created_at END AS joined_at,
      s.stripe_subscription_id AS legacy_stripe_subscription_id,
      s.stripe_customer_id AS legacy_stripe_customer_id,
      s.updated_at AS legacy_updated_at,
      -- One is active at most.
      max(us.current_period_end) FILTER (WHERE us.status = 'active') OVER of_user AS best_period_end,
      max(coalesce(s.created_at, us.created_at)) FILTER (WHERE us.status = 'active') OVER of_user AS best_created_at,
      (max(us.id::TEXT) FILTER (WHERE us.status = 'active') OVER of_user)::UUID AS best_id,
      us.id = us.user_id AND s.id IS NULL AND count(*) OVER of_user = 1 AND us.status = 'active'
        AND us.current_period_start = u.created_at AND us.current_period_end = lockstep_forward.month_after(u.created_at)
        AND us.stripe_subscription_id IS NULL AND us.stripe_customer_id IS NULL AS made_up
    FROM public.user_subscriptions us
    CROSS JOIN LATERAL (SELECT created_at FROM public.users WHERE id = us.user_id OFFSET 0) AS u
    LEFT JOIN LATERAL (SELECT * FROM public.subscriptions WHERE id = us.id OFFSET 0) AS s ON TRUE
    WINDOW of_user AS (PARTITION BY us.user_id)
  ) AS twin
  WHERE NOT twin.made_up
) AS kept
UNION ALL
SELECT s.id, s.user_id, s.status, s.current_period_start, s.current_period_end, s.stripe_subscription_id,
       s.stripe_customer_id, s.created_at, s.updated_at
FROM public.subscriptions s
WHERE (SELECT us.id FROM public.user_subscriptions us WHERE us.id = s.id) IS NULL
  AND ((SELECT u.id FROM public.users u WHERE u.id = s.user_id) IS NULL
    OR EXISTS (SELECT FROM lockstep_reverse.refused r WHERE r.target = 'user_subscriptions' AND r.scope = ARRAY[s.user_id::TEXT]));

-- The legacy columns of users. Both are derived (erratum 23).
CREATE VIEW lockstep_reverse.users AS
SELECT
  u.id,
  -- The plan of the active subscription, or of the one that ended last. Legacy knows no user without a subscription: one
  -- whose subscriptions are gone has the default plan, as a new user has.
  coalesce(
    (SELECT lockstep_forward.as_stored(us.plan_id, 20) FROM public.user_subscriptions us
     WHERE us.user_id = u.id
     ORDER BY us.status = 'active' DESC, us.current_period_end DESC, us.created_at DESC, us.id DESC LIMIT 1),
    CASE
      WHEN EXISTS (SELECT FROM lockstep_reverse.refused r WHERE r.target = 'user_subscriptions' AND r.scope = ARRAY[u.id::TEXT])
        THEN u.subscription_plan
      ELSE 'free'
    END) AS subscription_plan,
  CASE WHEN coalesce(u.total_storage_bytes, 0) = files.bytes THEN u.total_storage_bytes ELSE files.bytes END
    AS total_storage_bytes
FROM public.users u
CROSS JOIN LATERAL (
  SELECT coalesce(sum(mf.file_size_bytes), 0)::BIGINT AS bytes FROM public.media_files mf WHERE mf.user_id = u.id
) AS files;
