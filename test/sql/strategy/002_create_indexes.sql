-- Migration script: 002_create_indexes.sql

-- Subscription plans indexes
CREATE INDEX idx_subscription_plans_active ON subscription_plans(is_active, display_order);
CREATE INDEX idx_subscription_plans_features_gin ON subscription_plans USING gin(features);

-- User subscriptions indexes
CREATE UNIQUE INDEX idx_user_subscriptions_active ON user_subscriptions(user_id) WHERE status = 'active';
CREATE INDEX idx_user_subscriptions_stripe ON user_subscriptions(stripe_subscription_id);
CREATE INDEX idx_user_subscriptions_period ON user_subscriptions(current_period_end) WHERE status = 'active';

-- Media files indexes
CREATE INDEX idx_media_files_user_id ON media_files(user_id, created_at DESC);
CREATE INDEX idx_media_files_type ON media_files(file_type, created_at DESC);
CREATE INDEX idx_media_files_hash ON media_files(content_hash) WHERE content_hash IS NOT NULL;
CREATE INDEX idx_media_files_folder ON media_files(user_id, folder_path);
CREATE INDEX idx_media_files_tags_gin ON media_files USING gin(tags);

-- Project media indexes
CREATE INDEX idx_project_media_project_order ON project_media(project_id, display_order);
CREATE INDEX idx_project_media_file ON project_media(media_file_id);

-- Generation jobs indexes
CREATE INDEX idx_generation_jobs_status_priority ON generation_jobs(status, priority DESC, queued_at);
CREATE INDEX idx_generation_jobs_project ON generation_jobs(project_id, created_at DESC);
CREATE INDEX idx_generation_jobs_user ON generation_jobs(user_id, created_at DESC);
CREATE INDEX idx_generation_jobs_service ON generation_jobs(generation_service, external_job_id);

-- System settings indexes
CREATE INDEX idx_system_settings_public ON system_settings(is_public) WHERE is_public = true;

-- Audit logs indexes (on partition)
CREATE INDEX idx_audit_logs_user_2024_01 ON audit_logs_2024_01(user_id, created_at DESC);
CREATE INDEX idx_audit_logs_resource_2024_01 ON audit_logs_2024_01(resource_type, resource_id, created_at DESC);
CREATE INDEX idx_audit_logs_action_2024_01 ON audit_logs_2024_01(action, created_at DESC);
