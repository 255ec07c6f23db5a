import { useRedis } from '../support/redis.ts';
import { serviceSuite } from '../support/service-suite.ts';

const redis = useRedis();

redis.describe('the service with its queue in Redis', () =>
  serviceSuite({ REDIS_URL: redis.url }, 'then'),
);
