/**
 * What a read depends on, by name. A legacy write says which of them it touches, so that the manager knows for which reads
 * the normalized tables have to have caught up with it.
 */
export type Key = string;

export const subscriptionKey = (userId: string): Key => `subscription ${userId}`;
export const fileKey = (id: string): Key => `file ${id}`;
export const libraryKey = (userId: string): Key => `library ${userId}`;
export const projectKey = (projectId: string): Key => `project ${projectId}`;
export const jobKey = (id: string): Key => `job ${id}`;
export const projectJobsKey = (projectId: string): Key => `jobs of project ${projectId}`;
export const videosKey = (userId: string): Key => `videos ${userId}`;

/** Told of each key that a write touches. */
export type Touch = (key: Key) => void;
