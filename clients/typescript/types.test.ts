// What users may rely on, held by the compiler: `npm test` fails to compile if the generated types lose it.

import type { NewTask, PageTask, ProblemDocument, Task, TaskState, VerificationStatus, operations, paths } from './piecework.js';

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const holds = <T extends true>(_?: T): void => undefined;

// Closed vocabularies are unions of literals, not plain strings.
holds<Same<VerificationStatus, 'valid' | 'risky' | 'invalid' | 'unknown'>>();
holds<Same<Extract<TaskState, 'completed' | 'failed' | 'cancelled'>, 'completed' | 'failed' | 'cancelled'>>();

// Paths lead to operations, operations to the schemas of their bodies.
type Create = paths['/v1/verification/tasks']['post'];
holds<Same<Create, operations['createTask']>>();
holds<Same<Create['requestBody']['content']['application/json'], NewTask>>();
holds<Same<Create['responses'][202]['content']['application/json'], Task>>();
holds<Same<Create['responses']['default']['content']['application/problem+json'], ProblemDocument>>();
holds<Same<operations['listTasks']['responses'][200]['content']['application/json'], PageTask>>();
holds<Same<operations['getTask']['parameters']['path']['id'] | null, Task['id']>>();

// What is required cannot be left out, and what is unknown cannot be sent.
export const list: NewTask = { emails: ['ada@gmail.com'] };
// @ts-expect-error a list needs its addresses
export const empty: NewTask = {};
// @ts-expect-error the addresses are an array
export const single: NewTask = { emails: 'ada@gmail.com' };
// @ts-expect-error no such field
export const extra: NewTask = { emails: [], priority: 1 };

// What can be missing has to be looked at before it is used.
export const reason = (task: Task): string | null | undefined => task.problem?.code;
// @ts-expect-error a task that did not fail has no problem
export const careless = (task: Task): string => task.problem.code;
// Another verification API may not give it; `unavailable` says so.
export const missing = (task: Task): boolean => task.rows === null && (task.unavailable ?? []).includes('/rows');
// @ts-expect-error a number that may not be there
export const sum = (task: Task): number => task.rows + 1;
