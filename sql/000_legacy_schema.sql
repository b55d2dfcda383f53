-- The legacy schema of PhotoMemory, as far as the migration reads it. Local only: production has it already.
-- Errata, last section: the columns that the strategy implies. Erratum 3: the legacy types, with the values it implies.

CREATE TYPE subscription_status AS ENUM ('active', 'trialing', 'past_due', 'cancelled', 'expired');

-- 'archived' is a value that the new schema does not know (erratum 28).
CREATE TYPE generation_status AS ENUM ('queued', 'processing', 'completed', 'failed', 'cancelled', 'archived');

CREATE TABLE users (
  id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
  email TEXT,
  display_name TEXT,
  subscription_plan VARCHAR(20) DEFAULT 'free',
  total_storage_bytes BIGINT DEFAULT 0,
  created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  updated_at TIMESTAMPTZ NOT NULL DEFAULT now()
);

CREATE TABLE subscriptions (
  id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
  user_id UUID,
  status subscription_status DEFAULT 'active',
  current_period_start TIMESTAMPTZ,
  current_period_end TIMESTAMPTZ,
  stripe_subscription_id TEXT,
  stripe_customer_id TEXT,
  created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  updated_at TIMESTAMPTZ NOT NULL DEFAULT now()
);

CREATE TABLE video_projects (
  id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
  user_id UUID,
  title TEXT,
  status TEXT DEFAULT 'draft',
  created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  updated_at TIMESTAMPTZ NOT NULL DEFAULT now()
);

CREATE TABLE photos (
  id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
  project_id UUID,
  original_filename TEXT,
  file_url TEXT,
  thumbnail_url TEXT,
  mime_type TEXT,
  file_size_bytes BIGINT,
  width INTEGER,
  height INTEGER,
  metadata JSONB DEFAULT '{}',
  upload_order INTEGER,
  created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  updated_at TIMESTAMPTZ NOT NULL DEFAULT now()
);

CREATE TABLE media_items (
  id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
  user_id UUID,
  original_filename TEXT,
  file_url TEXT,
  thumbnail_url TEXT,
  mime_type TEXT,
  file_size_bytes BIGINT,
  width INTEGER,
  height INTEGER,
  metadata JSONB DEFAULT '{}',
  created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  updated_at TIMESTAMPTZ NOT NULL DEFAULT now()
);

CREATE TABLE generated_videos (
  id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
  project_id UUID,
  status generation_status DEFAULT 'queued',
  progress_percentage INTEGER DEFAULT 0,
  generation_service TEXT,
  external_generation_id TEXT,
  duration_seconds INTEGER,
  file_url TEXT,
  thumbnail_url TEXT,
  file_size_bytes BIGINT,
  ai_prompt TEXT,
  error_message TEXT,
  created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  started_at TIMESTAMPTZ,
  completed_at TIMESTAMPTZ,
  updated_at TIMESTAMPTZ NOT NULL DEFAULT now()
);

CREATE TABLE usage_records (
  id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
  user_id UUID,
  period_start TIMESTAMPTZ,
  period_end TIMESTAMPTZ,
  metric TEXT,
  quantity BIGINT,
  created_at TIMESTAMPTZ NOT NULL DEFAULT now()
);

-- The foreign keys came late and were never validated: rows older than them may be orphans (erratum 14).
ALTER TABLE subscriptions ADD CONSTRAINT subscriptions_user_id_fkey
  FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE NOT VALID;
ALTER TABLE video_projects ADD CONSTRAINT video_projects_user_id_fkey
  FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE NOT VALID;
ALTER TABLE photos ADD CONSTRAINT photos_project_id_fkey
  FOREIGN KEY (project_id) REFERENCES video_projects (id) ON DELETE CASCADE NOT VALID;
ALTER TABLE media_items ADD CONSTRAINT media_items_user_id_fkey
  FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE NOT VALID;
ALTER TABLE generated_videos ADD CONSTRAINT generated_videos_project_id_fkey
  FOREIGN KEY (project_id) REFERENCES video_projects (id) ON DELETE CASCADE NOT VALID;
ALTER TABLE usage_records ADD CONSTRAINT usage_records_user_id_fkey
  FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE NOT VALID;

CREATE INDEX idx_users_subscription ON users (subscription_plan);
CREATE INDEX idx_photos_project_id ON photos (project_id);
CREATE INDEX idx_photos_upload_order ON photos (project_id, upload_order);
CREATE INDEX idx_generated_videos_project_id ON generated_videos (project_id);
CREATE INDEX idx_generated_videos_status ON generated_videos (status);
-- Not named in the strategy: what the forward views join by, and what cascades look up.
CREATE INDEX idx_subscriptions_user_id ON subscriptions (user_id);
CREATE INDEX idx_video_projects_user_id ON video_projects (user_id);
CREATE INDEX idx_media_items_user_id ON media_items (user_id);
CREATE INDEX idx_usage_records_user_id ON usage_records (user_id);
