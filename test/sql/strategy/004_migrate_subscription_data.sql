-- Migration script: 004_migrate_subscription_data.sql

-- Create user subscriptions from existing users.subscription_plan
INSERT INTO user_subscriptions (
  user_id,
  plan_id,
  status,
  current_period_start,
  current_period_end,
  stripe_subscription_id,
  stripe_customer_id,
  created_at,
  updated_at
)
SELECT 
  u.id,
  u.subscription_plan,
  CASE 
    WHEN s.status IS NOT NULL THEN s.status::TEXT::subscription_status
    ELSE 'active'::subscription_status
  END,
  COALESCE(s.current_period_start, u.created_at),
  COALESCE(s.current_period_end, u.created_at + INTERVAL '1 month'),
  s.stripe_subscription_id,
  s.stripe_customer_id,
  u.created_at,
  u.updated_at
FROM users u
LEFT JOIN subscriptions s ON u.id = s.user_id
WHERE NOT EXISTS (
  SELECT 1 FROM user_subscriptions us 
  WHERE us.user_id = u.id
);

-- Verify migration
SELECT 
  'Original users count' as metric,
  COUNT(*) as count
FROM users
UNION ALL
SELECT 
  'Migrated subscriptions count' as metric,
  COUNT(*) as count
FROM user_subscriptions;
