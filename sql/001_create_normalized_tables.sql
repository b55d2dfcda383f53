-- Phase 1.1 of the strategy: the normalized tables beside the legacy ones.
--
-- Foreign keys to users and video_projects carry ON UPDATE CASCADE ON DELETE CASCADE throughout. In the strategy most
-- only cascade deletes; while the new tables run a moment behind, the application's own change of a key, or delete of
-- a user whose project has just moved, would then fail on rows that it does not know. What only names a user, the audit
-- log and who has changed a setting, outlives that user: ON DELETE SET NULL. In the strategy such a row keeps the
-- application from deleting a user at all.

CREATE TABLE subscription_plans (
  id VARCHAR(50) PRIMARY KEY,
  name VARCHAR(100) NOT NULL,
  display_order INTEGER NOT NULL DEFAULT 0,
  price_cents INTEGER NOT NULL,
  billing_interval VARCHAR(20) NOT NULL,
  currency VARCHAR(3) DEFAULT 'USD' NOT NULL,
  max_projects INTEGER,
  max_videos_per_month INTEGER,
  max_storage_gb INTEGER,
  features JSONB DEFAULT '[]' NOT NULL,
  is_active BOOLEAN DEFAULT TRUE,
  description TEXT,
  created_at TIMESTAMPTZ DEFAULT now() NOT NULL,
  updated_at TIMESTAMPTZ DEFAULT now() NOT NULL
);

INSERT INTO subscription_plans
  (id, name, price_cents, billing_interval, max_projects, max_videos_per_month, max_storage_gb, features)
VALUES
  ('free', 'Free Plan', 0, 'month', 3, 5, 1, '["watermark"]'),
  ('pro', 'Pro Plan', 1900, 'month', 50, 100, 50, '["no_watermark", "priority_support"]'),
  ('enterprise', 'Enterprise Plan', 9900, 'month', -1, -1, 500,
   '["no_watermark", "priority_support", "custom_branding", "api_access"]');

CREATE TABLE user_subscriptions (
  id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
  user_id UUID NOT NULL REFERENCES users (id) ON UPDATE CASCADE ON DELETE CASCADE,
  plan_id VARCHAR(50) NOT NULL REFERENCES subscription_plans (id),
  status subscription_status NOT NULL DEFAULT 'active',
  current_period_start TIMESTAMPTZ NOT NULL,
  current_period_end TIMESTAMPTZ NOT NULL,
  cancel_at_period_end BOOLEAN DEFAULT FALSE,
  cancelled_at TIMESTAMPTZ,
  -- Deferrable, so that two subscriptions may swap their Stripe ids in one transaction (as erratum 13 for photos).
  stripe_subscription_id VARCHAR(255) UNIQUE DEFERRABLE INITIALLY IMMEDIATE,
  stripe_customer_id VARCHAR(255),
  created_at TIMESTAMPTZ DEFAULT now() NOT NULL,
  updated_at TIMESTAMPTZ DEFAULT now() NOT NULL,
  -- Erratum 5: instead of the unique partial index of step 002 a deferrable exclusion constraint of the same name and
  -- meaning, so that within one transaction a subscription may become active before another ceases to be.
  CONSTRAINT idx_user_subscriptions_active
    EXCLUDE USING btree (user_id WITH =) WHERE (status = 'active') DEFERRABLE INITIALLY IMMEDIATE
);

CREATE TABLE media_files (
  id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
  user_id UUID NOT NULL REFERENCES users (id) ON UPDATE CASCADE ON DELETE CASCADE,
  original_filename VARCHAR(255) NOT NULL,
  file_key TEXT NOT NULL UNIQUE,
  file_url TEXT NOT NULL,
  thumbnail_url TEXT,
  file_type VARCHAR(20) NOT NULL,
  mime_type VARCHAR(100) NOT NULL,
  file_size_bytes BIGINT NOT NULL,
  width INTEGER,
  height INTEGER,
  duration_seconds INTEGER,
  processing_status VARCHAR(20) DEFAULT 'completed',
  processing_error TEXT,
  metadata JSONB DEFAULT '{}',
  content_hash VARCHAR(64),
  folder_path TEXT DEFAULT '/',
  tags TEXT[] DEFAULT '{}',
  uploaded_at TIMESTAMPTZ DEFAULT now() NOT NULL,
  last_accessed_at TIMESTAMPTZ,
  created_at TIMESTAMPTZ DEFAULT now() NOT NULL,
  updated_at TIMESTAMPTZ DEFAULT now() NOT NULL
);

-- Erratum 13: both UNIQUE constraints are deferrable, so that photos may swap places in one transaction.
CREATE TABLE project_media (
  id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
  project_id UUID NOT NULL REFERENCES video_projects (id) ON UPDATE CASCADE ON DELETE CASCADE,
  media_file_id UUID NOT NULL REFERENCES media_files (id) ON DELETE CASCADE,
  display_order INTEGER NOT NULL DEFAULT 0,
  duration_seconds NUMERIC(5,2),
  transition_type VARCHAR(50) DEFAULT 'fade',
  settings JSONB DEFAULT '{}',
  added_at TIMESTAMPTZ DEFAULT now() NOT NULL,
  UNIQUE (project_id, media_file_id) DEFERRABLE INITIALLY IMMEDIATE,
  UNIQUE (project_id, display_order) DEFERRABLE INITIALLY IMMEDIATE
);

CREATE TABLE generation_jobs (
  id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
  project_id UUID NOT NULL REFERENCES video_projects (id) ON UPDATE CASCADE ON DELETE CASCADE,
  user_id UUID NOT NULL REFERENCES users (id) ON UPDATE CASCADE ON DELETE CASCADE,
  job_type VARCHAR(20) NOT NULL DEFAULT 'video',
  priority INTEGER DEFAULT 5,
  status generation_status NOT NULL DEFAULT 'queued',
  progress_percentage INTEGER DEFAULT 0,
  generation_service VARCHAR(50) NOT NULL,
  external_job_id VARCHAR(255),
  estimated_duration_seconds INTEGER,
  actual_duration_seconds INTEGER,
  compute_cost_cents INTEGER,
  -- Not a plain reference as in the strategy: deleting a user deletes media files, and must not fail on their jobs.
  output_file_id UUID REFERENCES media_files (id) ON DELETE SET NULL,
  output_metadata JSONB DEFAULT '{}',
  error_message TEXT,
  retry_count INTEGER DEFAULT 0,
  max_retries INTEGER DEFAULT 3,
  queued_at TIMESTAMPTZ DEFAULT now() NOT NULL,
  started_at TIMESTAMPTZ,
  completed_at TIMESTAMPTZ,
  failed_at TIMESTAMPTZ,
  -- Erratum 28: a legacy status that the new schema does not know is refused here, for its own row only.
  CONSTRAINT generation_jobs_status_known
    CHECK (status::TEXT IN ('queued', 'processing', 'completed', 'failed', 'cancelled'))
);

CREATE TABLE system_settings (
  key VARCHAR(100) PRIMARY KEY,
  value JSONB NOT NULL,
  description TEXT,
  is_public BOOLEAN DEFAULT FALSE,
  updated_by UUID REFERENCES users (id) ON UPDATE CASCADE ON DELETE SET NULL,
  updated_at TIMESTAMPTZ DEFAULT now() NOT NULL
);

-- Erratum 1: the primary key of a partitioned table contains the partition key.
CREATE TABLE audit_logs (
  id UUID DEFAULT gen_random_uuid(),
  user_id UUID REFERENCES users (id) ON UPDATE CASCADE ON DELETE SET NULL,
  session_id VARCHAR(255),
  ip_address INET,
  user_agent TEXT,
  action VARCHAR(100) NOT NULL,
  resource_type VARCHAR(50) NOT NULL,
  resource_id UUID,
  changes JSONB,
  metadata JSONB DEFAULT '{}',
  success BOOLEAN NOT NULL DEFAULT TRUE,
  error_message TEXT,
  created_at TIMESTAMPTZ DEFAULT now() NOT NULL,
  PRIMARY KEY (id, created_at)
) PARTITION BY RANGE (created_at);

-- The strategy's partition; its bounds say the time zone, so that they do not depend on the session's.
CREATE TABLE audit_logs_2024_01 PARTITION OF audit_logs
  FOR VALUES FROM ('2024-01-01 00:00:00+00') TO ('2024-02-01 00:00:00+00');

-- Erratum 2: rows of a month without a partition go here; 003 has the function that makes monthly ones ahead of time.
CREATE TABLE audit_logs_default PARTITION OF audit_logs DEFAULT;
