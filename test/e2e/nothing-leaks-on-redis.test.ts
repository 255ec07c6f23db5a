import { leakSuite } from '../support/leak-suite.ts';
import { useRedis } from '../support/redis.ts';

const redis = useRedis();

redis.describe('a service with its queue in Redis', () => leakSuite({ REDIS_URL: redis.url }));
