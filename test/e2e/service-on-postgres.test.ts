import { describe } from 'vitest';
import { serviceSuite } from '../support/service-suite.ts';

describe('the service with its queue in Postgres', () => serviceSuite({}, 'now'));
