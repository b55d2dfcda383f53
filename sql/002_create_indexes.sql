-- Phase 1.2 of the strategy: indexes and constraints. All tables are new and empty.

-- Subscription plans
CREATE INDEX idx_subscription_plans_active ON subscription_plans (is_active, display_order);
CREATE INDEX idx_subscription_plans_features_gin ON subscription_plans USING gin (features);

-- User subscriptions
-- Erratum 5: idx_user_subscriptions_active is an exclusion constraint of the table, in 001.
CREATE INDEX idx_user_subscriptions_stripe ON user_subscriptions (stripe_subscription_id);
-- Erratum 15: step 009 of the strategy makes this index again, as idx_user_subscriptions_period_end. It exists once.
CREATE INDEX idx_user_subscriptions_period ON user_subscriptions (current_period_end) WHERE status = 'active';
-- Not in the strategy: merges and cascades find all subscriptions of a user, whatever their status.
CREATE INDEX idx_user_subscriptions_user ON user_subscriptions (user_id);

-- Media files
CREATE INDEX idx_media_files_user_id ON media_files (user_id, created_at DESC);
CREATE INDEX idx_media_files_type ON media_files (file_type, created_at DESC);
CREATE INDEX idx_media_files_hash ON media_files (content_hash) WHERE content_hash IS NOT NULL;
CREATE INDEX idx_media_files_folder ON media_files (user_id, folder_path);
CREATE INDEX idx_media_files_tags_gin ON media_files USING gin (tags);

-- Project media
CREATE INDEX idx_project_media_project_order ON project_media (project_id, display_order);
CREATE INDEX idx_project_media_file ON project_media (media_file_id);

-- Generation jobs
CREATE INDEX idx_generation_jobs_status_priority ON generation_jobs (status, priority DESC, queued_at);
-- The strategy names created_at, which this table does not have; queued_at holds the legacy created_at.
CREATE INDEX idx_generation_jobs_project ON generation_jobs (project_id, queued_at DESC);
CREATE INDEX idx_generation_jobs_user ON generation_jobs (user_id, queued_at DESC);
CREATE INDEX idx_generation_jobs_service ON generation_jobs (generation_service, external_job_id);
-- Not in the strategy: without it the delete of a media file reads all jobs, to find the one that refers to it.
CREATE INDEX idx_generation_jobs_output_file ON generation_jobs (output_file_id) WHERE output_file_id IS NOT NULL;

-- System settings
CREATE INDEX idx_system_settings_public ON system_settings (is_public) WHERE is_public = TRUE;

-- Audit logs (on partitions). Erratum 2: 003 makes the same three for each new month.
CREATE INDEX idx_audit_logs_user_2024_01 ON audit_logs_2024_01 (user_id, created_at DESC);
CREATE INDEX idx_audit_logs_resource_2024_01 ON audit_logs_2024_01 (resource_type, resource_id, created_at DESC);
CREATE INDEX idx_audit_logs_action_2024_01 ON audit_logs_2024_01 (action, created_at DESC);
CREATE INDEX idx_audit_logs_user_default ON audit_logs_default (user_id, created_at DESC);
CREATE INDEX idx_audit_logs_resource_default ON audit_logs_default (resource_type, resource_id, created_at DESC);
CREATE INDEX idx_audit_logs_action_default ON audit_logs_default (action, created_at DESC);

-- Not in the strategy: what the change of a row names besides its key when these tables are the truth. An update or a
-- delete carries the old values of the replica identity, so the user, project or file that a row has left is known
-- without looking for it. https://www.postgresql.org/docs/current/logical-replication-publication.html
CREATE UNIQUE INDEX idx_user_subscriptions_identity ON user_subscriptions (id, user_id);
CREATE UNIQUE INDEX idx_media_files_identity ON media_files (id, user_id);
CREATE UNIQUE INDEX idx_project_media_identity ON project_media (id, project_id, media_file_id);
ALTER TABLE user_subscriptions REPLICA IDENTITY USING INDEX idx_user_subscriptions_identity;
ALTER TABLE media_files REPLICA IDENTITY USING INDEX idx_media_files_identity;
ALTER TABLE project_media REPLICA IDENTITY USING INDEX idx_project_media_identity;
