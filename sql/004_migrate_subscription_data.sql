-- Phase 2.1 of the strategy: what user_subscriptions holds, as a view. The engine keeps the table equal to it (backfill,
-- live changes, repair), so the strategy's INSERT and its counts are not run here; 007 has the counts.

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
    -- A month is added in UTC: in the session's time zone the sum would depend on who reads the view.
    coalesce(s.current_period_end, (u.created_at AT TIME ZONE 'UTC' + INTERVAL '1 month') AT TIME ZONE 'UTC')
      AS current_period_end,
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
