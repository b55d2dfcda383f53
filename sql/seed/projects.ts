import { type Dice, minutesAfterStart, orphans } from './dice.ts';
import { joined } from './people.ts';

/** Project j of user n; a user has two or three. */
const project = 'n * 4 + j';
const projectsOf = (d: Dice, users: number) =>
  `generate_series(1, ${users}) AS n, LATERAL generate_series(1, 2 + ${d.roll('third project', 'n', 2)}) AS j`;
const projectStart = (d: Dice) => `${joined(d)} + j * 5000`;

/** Orphaned projects: half without a user, half with one that does not exist. Each has two photos and a video. */
const orphanedProjects = (users: number) => `generate_series(1, ${2 * orphans(users, 1000)}) AS n`;

export function seedProjects(d: Dice, users: number): string {
  const statuses = ["'draft'", "'active'", "'active'", "'completed'", "'deleted'", 'NULL'];
  return `
    INSERT INTO public.video_projects (id, user_id, title, status, created_at, updated_at)
    SELECT ${d.id('project', project)}, ${d.id('user', 'n')}, 'Memories ' || ${project}, ${d.pick('project status', project, statuses)},
      ${minutesAfterStart(projectStart(d))}, ${minutesAfterStart(`${projectStart(d)} + 900`)}
    FROM ${projectsOf(d, users)}
    UNION ALL
    SELECT ${d.id('orphaned project', 'n')}, CASE WHEN n % 2 = 0 THEN ${d.id('nobody', 'n')} END, 'Lost ' || n, 'active',
      ${minutesAfterStart('n')}, ${minutesAfterStart('n')}
    FROM ${orphanedProjects(users)}
    ON CONFLICT (id) DO NOTHING`;
}

/**
 * About 20 for each user. Errata 12 and 13: names, types and sizes that are NULL, too long or padded with spaces; orders
 * that are tied (user 1), NULL (user 2), negative (user 3), or leave INTEGER when their ties are broken (user 4).
 * Erratum 14: orphans of every kind.
 */
export function seedPhotos(d: Dice, users: number): string {
  const number = `(${project}) * 32 + i`;
  const count = `CASE WHEN n <= 20 AND j = 1 THEN 6 ELSE ${d.roll('photos', project, 17)} END`;
  const tied = d.rarely('tied', project, 'n = 1 AND j = 1', 100);
  const one = (user: number, photo: number) => `n = ${user} AND j = 1 AND i = ${photo}`;
  const url = `'https://cdn.photomemory.example/photos/' || md5('file ' || ${number}) || '/IMG_' || ${number} || '.jpg'`;
  return `
    INSERT INTO public.photos (id, project_id, original_filename, file_url, thumbnail_url, mime_type, file_size_bytes,
      width, height, metadata, upload_order, created_at, updated_at)
    SELECT ${d.id('photo', number)}, ${d.id('project', project)},
      CASE
        WHEN ${d.rarely('photo without name', number, one(5, 1), 300)} THEN NULL
        WHEN ${d.rarely('long photo name', number, one(6, 1), 2000)} THEN repeat('é', 256)
        WHEN ${d.rarely('longest photo name', number, one(6, 2), 2000)} THEN repeat('é', 255)
        WHEN ${d.rarely('padded photo name', number, one(7, 1), 2000)} THEN rpad('IMG.jpg', 300)
        WHEN ${one(7, 2)} THEN ''
        ELSE 'IMG_' || ${number} || '.jpg'
      END,
      CASE WHEN NOT ${d.rarely('photo without url', number, one(11, 1), 5000)} THEN ${url} END,
      CASE WHEN ${d.roll('thumbnail', number, 20)} > 0 THEN ${url} || '?thumb' END,
      CASE
        WHEN ${d.rarely('photo without type', number, one(8, 1), 300)} THEN NULL
        WHEN ${d.rarely('long photo type', number, one(9, 1), 5000)} THEN 'image/' || repeat('x', 100)
        ELSE ${d.pick('photo type', number, ["'image/jpeg'", "'image/jpeg'", "'image/png'", "'image/heic'"])}
      END,
      CASE WHEN NOT ${d.rarely('photo without size', number, one(10, 1), 300)} THEN 200000 + ${d.roll('photo size', number, 6_000_000)} END,
      4032, 3024,
      CASE
        WHEN ${d.rarely('photo without metadata', number, one(11, 2), 200)} THEN NULL
        WHEN ${d.rarely('large metadata', number, one(12, 1), 5000)} THEN jsonb_build_object('exif',
          (SELECT string_agg(md5('exif ' || ${number} || ' ' || k), '') FROM generate_series(1, 700) AS k))
        ELSE jsonb_build_object('iso', 100 * (1 + ${d.roll('iso', number, 8)}), 'camera', 'PM-' || (i % 4))
      END,
      CASE
        WHEN ${tied} THEN i / 2
        WHEN ${d.rarely('unordered', project, 'n = 2 AND j = 1', 100)} THEN CASE WHEN i % 3 > 0 THEN i END
        WHEN n = 3 AND j = 1 THEN i - 3
        WHEN n = 4 AND j = 1 THEN least(2147483641 + 2 * i::bigint, 2147483647)
        WHEN ${d.roll('sparse', project, 20)} = 0 THEN i * 10
        ELSE i
      END,
      ${minutesAfterStart(`${projectStart(d)} + CASE WHEN ${tied} THEN i / 3 ELSE i END`)},
      ${minutesAfterStart(`${projectStart(d)} + i + ${d.roll('photo updated', number, 9000)}`)}
    FROM ${projectsOf(d, users)}, LATERAL generate_series(1, ${count}) AS i
    UNION ALL
    SELECT ${d.id('orphaned photo', 'n')}, CASE WHEN n % 2 = 0 THEN ${d.id('no project', 'n')} END, 'lost.jpg',
      'https://cdn.photomemory.example/lost/' || n || '.jpg', NULL, 'image/jpeg', 1000, 10, 10, '{}'::jsonb, n,
      ${minutesAfterStart('n')}, ${minutesAfterStart('n')}
    FROM generate_series(1, ${2 * orphans(users, 200)}) AS n
    UNION ALL
    SELECT ${d.id('photo of orphaned project', 'n * 2 + i')}, ${d.id('orphaned project', 'n')}, 'lost.jpg',
      'https://cdn.photomemory.example/lost/' || n || '.jpg', NULL, 'image/jpeg', 1000, 10, 10, '{}'::jsonb, i,
      ${minutesAfterStart('n')}, ${minutesAfterStart('n')}
    FROM ${orphanedProjects(users)}, generate_series(1, 2) AS i
    ON CONFLICT (id) DO NOTHING`;
}

/**
 * About 3 for each user. Errata 11 and 28: videos that are not completed, with and without a file; failed ones; a status
 * that is unknown (user 13) or NULL (user 14); a service that is NULL (user 16) or too long (user 17).
 */
export function seedVideos(d: Dice, users: number): string {
  const number = `(${project}) * 8 + i`;
  const count = `CASE WHEN n <= 20 AND j = 1 THEN 2 ELSE ${d.roll('videos', project, 3)} END`;
  const one = (user: number) => `n = ${user} AND j = 1 AND i = 1`;
  const statuses = ["'queued'", "'processing'", "'failed'", "'cancelled'", ...Array(11).fill("'completed'")];
  return `
    INSERT INTO public.generated_videos (id, project_id, status, progress_percentage, generation_service,
      external_generation_id, duration_seconds, file_url, thumbnail_url, file_size_bytes, ai_prompt, error_message,
      created_at, started_at, completed_at, updated_at)
    SELECT id, project_id, status, CASE status WHEN 'completed' THEN 100 WHEN 'processing' THEN number % 100 ELSE 0 END,
      CASE
        WHEN ${d.rarely('no service', 'number', 'no_service', 3000)} THEN NULL
        WHEN ${d.rarely('long service', 'number', 'long_service', 3000)} THEN repeat('service ', 8)
        ELSE ${d.pick('service', 'number', ["'runway'", "'pika'", "'luma'"])}
      END,
      CASE WHEN status <> 'queued' THEN 'gen_' || md5('generation ' || number) END,
      CASE WHEN status = 'completed' THEN 10 + number % 80 END,
      CASE WHEN status = 'completed' OR with_file THEN 'https://cdn.photomemory.example/videos/' || id || '.mp4' END,
      CASE WHEN status = 'completed' THEN 'https://cdn.photomemory.example/videos/' || id || '.jpg' END,
      CASE WHEN status = 'completed' AND ${d.roll('video without size', 'number', 100)} > 0 THEN 1000000 + ${d.roll('video size', 'number', 90_000_000)} END,
      'A trip to remember, scene ' || number,
      CASE WHEN status = 'failed' THEN 'The service answered 503' END,
      ${minutesAfterStart('created')},
      CASE WHEN status <> 'queued' THEN ${minutesAfterStart('created + 1')} END,
      CASE WHEN status = 'completed' THEN ${minutesAfterStart('created + 9')} END,
      ${minutesAfterStart('created + 10')}
    FROM (
      SELECT ${number} AS number, ${d.id('video', number)} AS id, ${d.id('project', project)} AS project_id,
        CASE
          WHEN ${d.rarely('archived', number, one(13), 300)} THEN 'archived'
          WHEN ${d.rarely('video without status', number, one(14), 3000)} THEN NULL
          WHEN ${one(15)} THEN 'processing'
          WHEN ${one(18)} THEN 'failed'
          ELSE ${d.pick('video status', number, statuses)}
        END::public.generation_status AS status,
        ${d.rarely('early file', number, one(15), 50)} AS with_file,
        ${one(16)} AS no_service, ${one(17)} AS long_service,
        ${projectStart(d)} + 600 + i * 20 AS created
      FROM ${projectsOf(d, users)}, LATERAL generate_series(1, ${count}) AS i
      UNION ALL
      SELECT n, ${d.id('orphaned video', 'n')}, CASE WHEN n % 2 = 0 THEN ${d.id('no project', 'n')} END, 'completed', false, false, false, n
      FROM generate_series(1, ${2 * orphans(users, 500)}) AS n
      UNION ALL
      SELECT n, ${d.id('video of orphaned project', 'n')}, ${d.id('orphaned project', 'n')}, 'completed', false, false, false, n
      FROM ${orphanedProjects(users)}
    ) AS video
    ON CONFLICT (id) DO NOTHING`;
}

/** The counter that legacy keeps in users; stale for one user in a hundred. */
export function seedStorageTotals(d: Dice): string {
  return `
    UPDATE public.users u
    SET total_storage_bytes = CASE WHEN ${d.roll('stale total', 'hashtextextended(u.id::text, 0)', 100)} = 0 THEN total.bytes / 2 ELSE total.bytes END
    FROM (
      SELECT user_id, sum(bytes)::bigint AS bytes FROM (
        SELECT user_id, file_size_bytes AS bytes FROM public.media_items
        UNION ALL
        SELECT vp.user_id, p.file_size_bytes FROM public.photos p JOIN public.video_projects vp ON vp.id = p.project_id
        UNION ALL
        SELECT vp.user_id, gv.file_size_bytes FROM public.generated_videos gv JOIN public.video_projects vp ON vp.id = gv.project_id
      ) AS file
      GROUP BY user_id
    ) AS total
    WHERE u.id = total.user_id AND u.total_storage_bytes = 0`;
}
