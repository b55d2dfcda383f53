-- Migration script: 005_migrate_media_files.sql

-- Migrate from photos table
INSERT INTO media_files (
  id,
  user_id,
  original_filename,
  file_key,
  file_url,
  thumbnail_url,
  file_type,
  mime_type,
  file_size_bytes,
  width,
  height,
  processing_status,
  metadata,
  folder_path,
  uploaded_at,
  created_at,
  updated_at
)
SELECT 
  p.id,
  vp.user_id,
  p.original_filename,
  'legacy/photos/' || p.id::TEXT, -- Generate file key
  p.file_url,
  p.thumbnail_url,
  'image',
  p.mime_type,
  p.file_size_bytes,
  p.width,
  p.height,
  'completed',
  p.metadata,
  '/projects/' || p.project_id::TEXT,
  p.created_at,
  p.created_at,
  p.updated_at
FROM photos p
JOIN video_projects vp ON p.project_id = vp.id
WHERE NOT EXISTS (
  SELECT 1 FROM media_files mf 
  WHERE mf.id = p.id
);

-- Migrate from media_items table (if exists)
INSERT INTO media_files (
  id,
  user_id,
  original_filename,
  file_key,
  file_url,
  thumbnail_url,
  file_type,
  mime_type,
  file_size_bytes,
  width,
  height,
  processing_status,
  metadata,
  folder_path,
  uploaded_at,
  created_at,
  updated_at
)
SELECT 
  mi.id,
  mi.user_id,
  mi.original_filename,
  'legacy/media/' || mi.id::TEXT,
  mi.file_url,
  mi.thumbnail_url,
  mi.file_type,
  mi.mime_type,
  mi.file_size_bytes,
  mi.width,
  mi.height,
  'completed',
  mi.metadata,
  '/library',
  mi.created_at,
  mi.created_at,
  mi.updated_at
FROM media_items mi
WHERE NOT EXISTS (
  SELECT 1 FROM media_files mf 
  WHERE mf.id = mi.id
);

-- Create project-media relationships
INSERT INTO project_media (
  project_id,
  media_file_id,
  display_order,
  duration_seconds,
  transition_type,
  added_at
)
SELECT 
  p.project_id,
  p.id, -- This is now the media_file_id
  p.upload_order,
  3.0, -- Default 3 seconds per photo
  'fade',
  p.created_at
FROM photos p
WHERE NOT EXISTS (
  SELECT 1 FROM project_media pm 
  WHERE pm.project_id = p.project_id 
    AND pm.media_file_id = p.id
);

-- Verify migration
SELECT 
  'Original photos count' as metric,
  COUNT(*) as count
FROM photos
UNION ALL
SELECT 
  'Original media_items count' as metric,
  COUNT(*) as count
FROM media_items
UNION ALL  
SELECT 
  'Migrated media_files count' as metric,
  COUNT(*) as count
FROM media_files
UNION ALL
SELECT 
  'Created project_media relationships' as metric,
  COUNT(*) as count
FROM project_media;
