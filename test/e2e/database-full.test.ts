import { describe } from 'vitest';
import { troubleSuite, troublesNamed } from '../support/database-trouble.ts';
import { useRedis } from '../support/redis.ts';

const redis = useRedis();

describe('a service whose Postgres, its queue there too,', () =>
  troubleSuite({}, troublesNamed(/full/)));

redis.describe('a service whose Postgres, its queue on Redis,', () =>
  troubleSuite({ REDIS_URL: redis.url }, troublesNamed(/last row/)),
);
