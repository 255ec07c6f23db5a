import { randomBytes } from 'node:crypto';
import { expect, it } from 'vitest';
import { keyPrefix } from '../../src/queue/backend.ts';
import { useRedis } from '../support/redis.ts';
import { deleteKeys, openRedis } from '../support/redis-service.ts';
import { redisTexts } from '../support/stored-texts.ts';

const redis = useRedis();

redis.describe('the reading of Redis', () => {
  it('reads every type of key', async () => {
    const prefix = keyPrefix(`vcc_leak_${randomBytes(4).toString('hex')}`);
    const client = openRedis(redis.url);
    try {
      await client.set(`${prefix}:string`, 'in-string');
      await client.hset(`${prefix}:hash`, 'in-hash-field', 'in-hash');
      await client.rpush(`${prefix}:list`, 'in-list');
      await client.sadd(`${prefix}:set`, 'in-set');
      await client.zadd(`${prefix}:zset`, 1, 'in-zset');
      await client.xadd(`${prefix}:stream`, '*', 'field', 'in-stream');
      await client.set(`${prefix}:in-name`, '');
      const all = [...(await redisTexts(redis.url, prefix)).values()].join(' ');
      for (const one of ['string', 'hash', 'hash-field', 'list', 'set', 'zset', 'stream', 'name']) {
        expect(all).toContain(`in-${one}`);
      }
    } finally {
      await deleteKeys(client, prefix);
      client.disconnect();
    }
  });
});
