-- Identifies this Redis, and chooses the instance that seeds it.
-- KEYS[1] the incarnation key, KEYS[2] the lock for seeding; ARGV[1] a nonce for a new incarnation, ARGV[2] an instance,
-- ARGV[3] how long the lock lasts, in milliseconds
-- Answers the incarnation's nonce, the server's role, and 1 if the asking instance is to seed Redis.
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
local role = string.match(redis.call('INFO', 'replication'), 'role:(%w+)')
if role ~= 'master' then
  return {'', role, 0}
end
local found = redis.call('HMGET', KEYS[1], 'nonce', 'run', 'ready')
local nonce, ready = found[1], found[3]
if not nonce or found[2] ~= run then
  nonce, ready = ARGV[1], '0'
  redis.call('HSET', KEYS[1], 'nonce', nonce, 'run', run, 'ready', ready)
  redis.call('DEL', KEYS[2])
end
if ready == '0' and redis.call('SET', KEYS[2], ARGV[2], 'NX', 'PX', ARGV[3]) then
  return {nonce, role, 1}
end
return {nonce, role, 0}
