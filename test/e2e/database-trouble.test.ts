import { describe } from 'vitest';
import { troubleSuite, troublesNamed } from '../support/database-trouble.ts';

describe('a service whose Postgres, its queue there too,', () =>
  troubleSuite({}, troublesNamed(/read-only|connections/)));
