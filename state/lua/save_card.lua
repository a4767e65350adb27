-- Stores a card for whoever claimed it last. With VERSION the claim ends: the card leaves the outbox
-- if it shows the stored version without a doubt and every event up to CURSOR was posted, else it is due
-- again after a pause. The owner stays noted, so that the same release can be repeated. Returns ok | fenced.
local card, cards, rollout, events = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local id, owner, document, retention = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local version, cursor, pause = ARGV[5], tonumber(ARGV[6]), tonumber(ARGV[7])

if redis.call('HGET', card, 'owner') ~= owner then
  return {'fenced'}
end
redis.call('HSET', card, 'card', document)
redis.call('EXPIRE', card, retention)
if version == '' then
  return {'ok'}
end
local stored = tonumber(redis.call('HGET', rollout, 'version') or '0')
local last = tonumber(redis.call('ZREVRANGE', events, 0, 0, 'WITHSCORES')[2] or '0')
if stored > tonumber(version) or last > cursor or redis.call('HEXISTS', card, 'doubt') == 1 then
  redis.call('ZADD', cards, int(clock() + pause), id)
else
  redis.call('ZREM', cards, id)
end
return {'ok'}
