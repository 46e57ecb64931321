-- Notes that Redis is seeded, if it is still this incarnation.
-- KEYS[1] the incarnation key; ARGV[1] the nonce
if redis.call('HGET', KEYS[1], 'nonce') == ARGV[1] then
  redis.call('HSET', KEYS[1], 'ready', '1')
end
