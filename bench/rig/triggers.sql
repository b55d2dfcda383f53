-- The same dual write, as triggers: what teams do without Lockstep, written with care. The photo's file and its place in
-- the project, from the row itself; nothing is read but the owner. (Ties of upload_order are not broken: the benchmarks'
-- rows have none, and renumbering a project in each of its photos' triggers would be slower still.)
CREATE FUNCTION bench_dual_write() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  owner uuid;
BEGIN
  IF TG_OP = 'DELETE' THEN
    DELETE FROM public.media_files WHERE id = OLD.id;
    RETURN NULL;
  END IF;
  SELECT vp.user_id INTO owner FROM public.video_projects vp WHERE vp.id = NEW.project_id;
  INSERT INTO public.media_files AS t (id, user_id, original_filename, file_key, file_url, thumbnail_url, file_type, mime_type,
    file_size_bytes, width, height, processing_status, metadata, folder_path, uploaded_at, created_at, updated_at)
  VALUES (NEW.id, owner, NEW.original_filename, 'legacy/photos/' || NEW.id, NEW.file_url, NEW.thumbnail_url, 'image',
    coalesce(NEW.mime_type, 'application/octet-stream'), coalesce(NEW.file_size_bytes, 0), NEW.width, NEW.height, 'completed',
    NEW.metadata, '/projects/' || NEW.project_id, NEW.created_at, NEW.created_at, NEW.updated_at)
  ON CONFLICT (id) DO UPDATE SET user_id = EXCLUDED.user_id, original_filename = EXCLUDED.original_filename,
    file_url = EXCLUDED.file_url, thumbnail_url = EXCLUDED.thumbnail_url, mime_type = EXCLUDED.mime_type,
    file_size_bytes = EXCLUDED.file_size_bytes, width = EXCLUDED.width, height = EXCLUDED.height,
    metadata = EXCLUDED.metadata, folder_path = EXCLUDED.folder_path, updated_at = EXCLUDED.updated_at;
  IF TG_OP = 'INSERT' OR (OLD.project_id, OLD.upload_order) IS DISTINCT FROM (NEW.project_id, NEW.upload_order) THEN
    INSERT INTO public.project_media (id, project_id, media_file_id, display_order, duration_seconds, transition_type, added_at)
    VALUES (NEW.id, NEW.project_id, NEW.id, NEW.upload_order, 3.0, 'fade', NEW.created_at)
    ON CONFLICT (id) DO UPDATE SET project_id = EXCLUDED.project_id, display_order = EXCLUDED.display_order;
  END IF;
  RETURN NULL;
END;
$$;
CREATE TRIGGER bench_dual_write AFTER INSERT OR UPDATE OR DELETE ON public.photos FOR EACH ROW EXECUTE FUNCTION bench_dual_write();
