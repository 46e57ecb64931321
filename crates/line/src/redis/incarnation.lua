-- Identifies this Redis.
-- KEYS[1] the incarnation key; ARGV[1] a nonce for a new incarnation
-- Answers the incarnation's nonce, and 1 if this incarnation is seeded.
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
local found = redis.call('HMGET', KEYS[1], 'nonce', 'run', 'seeded')
if found[1] and found[2] == run then
  return {found[1], found[3] == found[1] and 1 or 0}
end
redis.call('HSET', KEYS[1], 'nonce', ARGV[1], 'run', run)
return {ARGV[1], 0}
