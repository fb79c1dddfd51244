// Verifies a pasted list and reads the rows: a whole client with nothing but `fetch` and the generated types.

import type { Job, NewTask, PageJob, ProblemDocument, Task, TaskId } from './piecework.js';

/** An answer other than 2xx, with the problem document (RFC 9457) that came with it. */
export class PieceworkError extends Error {
  constructor(readonly problem: ProblemDocument) {
    super(problem.detail ?? problem.title);
  }
}

/**
 * A member that this client cannot do without. Any can be null where the service stands before another verification API that does
 * not give it; the answer's `unavailable` then names it.
 */
export function given<T>(value: T | null | undefined, name: string): T {
  if (value === null || value === undefined) throw new Error(`${name}: ext api data is not available`);
  return value;
}

export class Piecework {
  constructor(readonly baseUrl: string, private readonly apiKey: string) {}

  /** Makes a task. The same `idempotencyKey` and list within 24 hours give the same task, charged once. */
  createTask(list: NewTask, idempotencyKey: string): Promise<Task> {
    const headers = { 'Content-Type': 'application/json', 'Idempotency-Key': idempotencyKey };
    return this.ask<Task>('/v1/verification/tasks', { method: 'POST', headers, body: JSON.stringify(list) });
  }

  task(id: TaskId): Promise<Task> {
    return this.ask<Task>(`/v1/verification/tasks/${encodeURIComponent(id)}`);
  }

  /** The rows in their order, page by page. */
  async *jobs(id: TaskId): AsyncGenerator<Job> {
    let cursor: string | null | undefined;
    do {
      const query = new URLSearchParams({ limit: '200', ...(cursor ? { cursor } : {}) });
      const page = await this.ask<PageJob>(`/v1/verification/tasks/${encodeURIComponent(id)}/jobs?${query}`);
      yield* given(page.data, 'data');
      cursor = page.next_cursor;
    } while (cursor);
  }

  private async ask<T>(path: string, init: RequestInit = {}): Promise<T> {
    const headers = new Headers(init.headers);
    headers.set('X-API-Key', this.apiKey);
    const answer = await fetch(this.baseUrl + path, { ...init, headers });
    if (!answer.ok) throw new PieceworkError((await answer.json()) as ProblemDocument);
    return (await answer.json()) as T;
  }
}

const ended: readonly Task['state'][] = ['completed', 'cancelled', 'failed', 'expired'];

/** Verifies the addresses and gives those that mail can be sent to. */
export async function sendable(api: Piecework, emails: string[]): Promise<string[]> {
  let task = await api.createTask({ emails }, crypto.randomUUID());
  const id = given(task.id, 'id');
  while (!ended.includes(given(task.state, 'state'))) {
    await new Promise((resume) => setTimeout(resume, 1000));
    task = await api.task(id);
  }
  if (task.problem) throw new Error(`${task.problem.code}: ${task.problem.detail}`);
  const found: string[] = [];
  for await (const job of api.jobs(id)) if (job.status === 'valid') found.push(given(job.email, 'email'));
  return found;
}
