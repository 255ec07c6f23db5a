import { describe } from 'vitest';
import { leakSuite } from '../support/leak-suite.ts';

describe('a service with its queue in Postgres', () => leakSuite({}));
