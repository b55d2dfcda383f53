-- Migration script: 006_migrate_generation_jobs.sql

-- Migrate from generated_videos table
INSERT INTO generation_jobs (
  id,
  project_id,
  user_id,
  job_type,
  status,
  progress_percentage,
  generation_service,
  external_job_id,
  actual_duration_seconds,
  output_metadata,
  error_message,
  queued_at,
  started_at,
  completed_at,
  failed_at
)
SELECT 
  gv.id,
  gv.project_id,
  vp.user_id,
  'video',
  gv.status::TEXT::generation_status,
  gv.progress_percentage,
  gv.generation_service,
  gv.external_generation_id,
  gv.duration_seconds,
  jsonb_build_object(
    'file_url', gv.file_url,
    'thumbnail_url', gv.thumbnail_url,
    'file_size_bytes', gv.file_size_bytes,
    'duration_seconds', gv.duration_seconds
  ),
  gv.error_message,
  gv.created_at,
  gv.started_at,
  gv.completed_at,
  CASE WHEN gv.status = 'failed' THEN gv.updated_at END
FROM generated_videos gv
JOIN video_projects vp ON gv.project_id = vp.id
WHERE NOT EXISTS (
  SELECT 1 FROM generation_jobs gj 
  WHERE gj.id = gv.id
);

-- Create media files for completed videos
INSERT INTO media_files (
  user_id,
  original_filename,
  file_key,
  file_url,
  thumbnail_url,
  file_type,
  mime_type,
  file_size_bytes,
  duration_seconds,
  processing_status,
  metadata,
  folder_path,
  uploaded_at,
  created_at,
  updated_at
)
SELECT 
  vp.user_id,
  'generated_video_' || gv.id::TEXT || '.mp4',
  'generated/videos/' || gv.id::TEXT,
  gv.file_url,
  gv.thumbnail_url,
  'video',
  'video/mp4',
  COALESCE(gv.file_size_bytes, 0),
  gv.duration_seconds,
  CASE gv.status 
    WHEN 'completed' THEN 'completed'
    WHEN 'failed' THEN 'failed'
    ELSE 'processing'
  END,
  jsonb_build_object(
    'generation_job_id', gv.id,
    'ai_prompt', gv.ai_prompt
  ),
  '/generated/' || gv.project_id::TEXT,
  gv.completed_at,
  gv.created_at,
  gv.updated_at
FROM generated_videos gv
JOIN video_projects vp ON gv.project_id = vp.id
WHERE gv.file_url IS NOT NULL
  AND NOT EXISTS (
    SELECT 1 FROM media_files mf 
    WHERE mf.metadata->>'generation_job_id' = gv.id::TEXT
  );

-- Update generation jobs with output file references
UPDATE generation_jobs gj
SET output_file_id = mf.id
FROM media_files mf
WHERE mf.metadata->>'generation_job_id' = gj.id::TEXT
  AND gj.output_file_id IS NULL;

-- Verify migration
SELECT 
  'Original generated_videos count' as metric,
  COUNT(*) as count
FROM generated_videos
UNION ALL
SELECT 
  'Migrated generation_jobs count' as metric,
  COUNT(*) as count  
FROM generation_jobs
UNION ALL
SELECT 
  'Created video media files' as metric,
  COUNT(*) as count
FROM media_files 
WHERE file_type = 'video';
